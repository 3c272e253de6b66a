"""Sends standard input, or writes a topic to standard output, with confluent-kafka.

client.py produce BOOTSTRAP TOPIC COMPRESSION
client.py consume BOOTSTRAP TOPIC END,END,...   the offset after the last record, per partition
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def produce(bootstrap, topic, compression):
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": compression,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
        }
    )
    for line in sys.stdin.buffer:
        key, _, value = line[:-1].partition(b"\t")
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    if failures:
        raise KafkaException(failures[0])


def consume(bootstrap, topic, ends):
    # A group id must be named, but nothing is committed and the group is never joined.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    missing = {partition: int(end) for partition, end in enumerate(ends.split(",")) if int(end) > 0}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in missing])
    while missing:
        lines = []
        for message in consumer.consume(10000, timeout=1):
            if message.error() is not None:
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            lines.append(b"%d\t%d\t%b\t%b\n" % (partition, offset, message.key(), message.value()))
            if offset + 1 >= missing.get(partition, 0):
                missing.pop(partition, None)
        sys.stdout.buffer.write(b"".join(lines))
    sys.stdout.buffer.flush()
    consumer.close()


{"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
