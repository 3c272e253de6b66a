"""Consumes a topic in a group with confluent-kafka until SIGTERM, then leaves.

group.py BOOTSTRAP TOPIC GROUP eager|cooperative|consumer

Prints "+ P,P" when partitions are assigned and "P O" for each record handled, before its offset is committed.
"""

import signal
import sys

from confluent_kafka import Consumer, KafkaException

COMMIT_AFTER = 50

bootstrap, topic, group, protocol = sys.argv[1:]
running = True


def stop(_signal, _frame):
    global running
    running = False


def settings():
    if protocol == "consumer":
        return {"group.protocol": "consumer"}
    strategy = {"eager": "range", "cooperative": "cooperative-sticky"}[protocol]
    return {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}


def commit(consumer):
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        # The group goes on from the last commit that succeeded.
        print(error, file=sys.stderr)


def assigned(_consumer, partitions):
    print("+", ",".join(str(one.partition) for one in partitions), flush=True)


def revoked(consumer, _partitions):
    commit(consumer)


signal.signal(signal.SIGTERM, stop)
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "reconnect.backoff.max.ms": 500,
        **settings(),
    }
)
consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
handled = 0
while running:
    message = consumer.poll(0.2)
    if message is not None and message.error() is None:
        print(message.partition(), message.offset(), flush=True)
        handled += 1
    if handled >= COMMIT_AFTER or (handled > 0 and message is None):
        commit(consumer)
        handled = 0
consumer.close()
