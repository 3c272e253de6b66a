/* Sends standard input with our own SDK: node sdk-produce.ts BOOTSTRAP TOPIC PARTITIONER */
import { bytes } from '../../../src/client/codecs.ts';
import type { PartitionerName } from '../../../src/client/partitioner.ts';
import { Millrace } from '../../../src/millrace.ts';
import { keyedBatches } from './keyed-batches.ts';

const [bootstrap = '', topic = '', partitioner = ''] = process.argv.slice(2);
await using client = await Millrace.connect(bootstrap);
const producer = client.producer({ key: bytes, value: bytes, partitioner: partitioner as PartitionerName });
for await (const batch of keyedBatches()) await producer.sendMany(batch.map((line) => ({ topic, ...line })));
