/* Sends standard input with kafkajs: node kafkajs-produce.ts BOOTSTRAP TOPIC COMPRESSION */
import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { keyedBatches } from './keyed-batches.ts';

const [bootstrap = '', topic = '', compression = 'none'] = process.argv.slice(2);
const kafka = new Kafka({
  brokers: [bootstrap],
  logLevel: logLevel.NOTHING,
  retry: { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000 },
});
const producer = kafka.producer({
  idempotent: true,
  maxInFlightRequests: 1,
  createPartitioner: Partitioners.DefaultPartitioner,
});
await producer.connect();
for await (const messages of keyedBatches()) {
  await producer.send({
    topic,
    messages,
    acks: -1,
    compression: compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
  });
}
await producer.disconnect();
