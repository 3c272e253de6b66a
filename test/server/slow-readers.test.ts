import { expect, test, vi } from 'vitest';
import { checkBatch } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { batch, fetchOf, makeTopic, produce, startBroker, until } from './support.ts';

/* An answer that waits for its socket holds memory that others could use. */

test('a reader that takes its time gets what it asked for, whatever is written until then', async () => {
  const { broker, client } = await startBroker({ tailCacheBytesMax: 256 * 1024 });
  const writer = await client();
  for (const topic of ['large', 'tail', 'other']) await makeTopic(writer, topic);
  for (let i = 0; i < 7; i += 1) await produce(writer, 'large', batch(['x'.repeat(1_000_000)]));
  await produce(writer, 'tail', batch(['what it asked for'.repeat(500)]));
  const reader = await client();
  const read = vi.spyOn(broker.topics.get('tail').partitions[0]!.reader, 'read');
  // More than sockets hold is before it in the answer.
  reader.socket.pause();
  const all = { maxBytes: 0x7fffffff, partitionMaxBytes: 0x7fffffff };
  const topics = ['large', 'tail'].flatMap((topic) => fetchOf(topic, all).topics!);
  const asked = reader.post('Fetch', 12, { ...fetchOf('large', all), topics });
  await until(() => read.mock.calls.length > 0);
  // All of the memory for the youngest batches is used again.
  for (let i = 0; i < 20; i += 1) await produce(writer, 'other', batch(['y'.repeat(50_000)]));
  reader.socket.resume();
  const { responses } = reader.decode('Fetch', 12, await reader.answerTo(asked));
  const records = Buffer.concat(responses[1]!.partitions[0]!.records ?? []);
  expect(checkBatch(records, 0, records.length)).toBeNull();
  expect(Array.from(recordsOf(records), ({ value }) => String(value))).toEqual(['what it asked for'.repeat(500)]);
});
