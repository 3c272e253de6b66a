/* Writes a topic to standard output with our own SDK: node sdk-consume.ts BOOTSTRAP TOPIC */
import { once } from 'node:events';
import { bytes } from '../../../src/client/codecs.ts';
import { Millrace } from '../../../src/millrace.ts';

const [bootstrap = '', topic = ''] = process.argv.slice(2);
await using client = await Millrace.connect(bootstrap);
const reader = client.reader({ topic, key: bytes, value: bytes, to: 'end' });
const newline = Buffer.from('\n');
const tab = Buffer.from('\t');
for await (const { records } of reader.batches()) {
  const pieces = records.flatMap(({ partition, offset, keyBytes, valueBytes }) => [
    Buffer.from(`${partition}\t${offset}\t`),
    keyBytes!,
    tab,
    valueBytes!,
    newline,
  ]);
  if (!process.stdout.write(Buffer.concat(pieces))) await once(process.stdout, 'drain');
}
