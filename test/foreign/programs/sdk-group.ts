/*
 * Consumes a topic in a group with Millrace's SDK until SIGTERM, then leaves:
 * node sdk-group.ts BOOTSTRAP TOPIC GROUP eager|cooperative|consumer
 * Prints `+ P,P` when partitions are assigned and `P O` for each record handled, before its offset is committed.
 */
import { bytes } from '../../../src/client/codecs.ts';
import { Millrace } from '../../../src/client/millrace.ts';

const [bootstrap = '', topic = '', group = '', protocol = ''] = process.argv.slice(2);
const client = await Millrace.connect(bootstrap);
const consumer = client.consumer({
  group,
  topics: topic,
  ...(protocol === 'consumer'
    ? { protocol: 'consumer' }
    : {
        protocol: 'classic',
        assignors: [protocol === 'eager' ? 'range' : 'cooperative-sticky'],
        sessionTimeoutMs: 6_000,
        heartbeatIntervalMs: 1_000,
      }),
  value: bytes,
  autoCommitIntervalMs: 200,
  onAssigned: (partitions) => {
    process.stdout.write(`+ ${partitions.map((one) => one.partition).join(',')}\n`);
  },
});
process.once('SIGTERM', () => void consumer.close());
for await (const { partition, offset } of consumer) process.stdout.write(`${partition} ${offset}\n`);
await client.close();
