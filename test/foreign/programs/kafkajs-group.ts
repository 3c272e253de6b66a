/*
 * Consumes a topic in a group with kafkajs until SIGTERM, then leaves: node kafkajs-group.ts BOOTSTRAP TOPIC GROUP eager
 * Prints `+ P,P` when partitions are assigned and `P O` for each record handled, before its offset is committed.
 */
import { Kafka, logLevel } from 'kafkajs';

const [bootstrap = '', topic = '', groupId = ''] = process.argv.slice(2);
const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000 };
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry });
const consumer = kafka.consumer({ groupId, sessionTimeout: 6_000, heartbeatInterval: 1_000, retry });
consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  process.stdout.write(`+ ${(payload.memberAssignment[topic] ?? []).join(',')}\n`);
});
consumer.on(consumer.events.CRASH, ({ payload }) => {
  process.stderr.write(`${payload.error.message}\n`);
  if (!payload.restart) process.exit(1);
});
// It may leave a timer behind that would keep the process.
process.once('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)));
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  autoCommitInterval: 200,
  eachMessage: async ({ partition, message }) => {
    process.stdout.write(`${partition} ${message.offset}\n`);
  },
});
