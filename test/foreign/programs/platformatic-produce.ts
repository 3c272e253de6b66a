/* Sends standard input with @platformatic/kafka: node platformatic-produce.ts BOOTSTRAP TOPIC COMPRESSION */
import { compatibilityPartitioner, Producer, type ProducerOptions } from '@platformatic/kafka';
import { keyedBatches } from './keyed-batches.ts';

const [bootstrap = '', topic = '', compression = 'none'] = process.argv.slice(2);
type Options = ProducerOptions<Buffer, Buffer, Buffer, Buffer>;
const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
  clientId: 'foreign',
  bootstrapBrokers: [bootstrap],
  idempotent: true,
  partitioner: compatibilityPartitioner,
  compression: compression as NonNullable<Options['compression']>,
  retryDelay: 200,
});
for await (const batch of keyedBatches()) {
  await producer.send({ messages: batch.map((line) => ({ topic, ...line })) });
}
await producer.close();
