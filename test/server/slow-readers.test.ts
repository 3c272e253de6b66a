import { describe, expect, test, vi } from 'vitest';
import { batchesIn, checkBatch } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import type { Draft } from '../../src/wire/codec.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { batch, fetchOf, makeTopic, produce, produceOf, startBroker, until } from './support.ts';

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

describe('while others read as fast as they can, into the same memory again and again', () => {
  const PARTITIONS = 3;
  const BATCHES = 120;
  const writtenAt = (partition: number, offset: number): string => `${partition}/${offset} `.padEnd(90_000, 'x');
  const wishes = (offset: number, partitionMaxBytes: number): Draft<Messages['Fetch']['request']> => {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      fetchOffset: (offset + partition * 31) % BATCHES,
      partitionMaxBytes,
    }));
    return { maxWaitMs: 0, minBytes: 0, maxBytes: 0x7fffffff, topics: [{ topic: 'cold', partitions }] };
  };

  /** Throws unless an answer holds what was written, from the offsets asked for on; returns its records' bytes. */
  function bytesAsWritten({ responses }: Messages['Fetch']['response'], offset: number): number {
    let bytes = 0;
    for (const { partitionIndex, errorCode, records } of responses[0]!.partitions) {
      expect(errorCode).toBe(0);
      const all = Buffer.concat(records ?? []);
      let expected = (offset + partitionIndex * 31) % BATCHES;
      for (const at of batchesIn(all)) {
        expect(checkBatch(all, at, all.length)).toBeNull();
        const [record] = recordsOf(all, at);
        expect(record!.offset).toBe(expected);
        if (String(record!.value) !== writtenAt(partitionIndex, expected))
          throw new Error(`other bytes at ${expected}`);
        expected += 1;
      }
      bytes += all.length;
    }
    return bytes;
  }

  test('each reader gets the bytes that were written, however slowly it takes them', async () => {
    const { client } = await startBroker({ tailCacheBytesMax: 256 * 1024 });
    const writer = await client();
    await makeTopic(writer, 'cold', PARTITIONS);
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const posted = Array.from({ length: BATCHES }, (_, offset) =>
        writer.post('Produce', 9, produceOf('cold', batch([writtenAt(partition, offset)]), -1, partition)),
      );
      await Promise.all(posted.map((id) => writer.answerTo(id)));
    }
    let slowOnes = 5;
    let fastBytes = 0;
    let slowBytesMost = 0;
    const readSlowly = async (number: number): Promise<void> => {
      const reader = await client();
      for (let round = 0; round < 3; round += 1) {
        const offset = number * 7 + round * 23;
        const asked = reader.post('Fetch', 12, wishes(offset, 0x7fffffff));
        let answer: Buffer | null = null;
        void reader.answerTo(asked).then((frame) => {
          answer = frame;
        });
        while (answer === null) {
          reader.socket.pause();
          await new Promise((resolve) => setTimeout(resolve, 2));
          reader.socket.resume();
          await new Promise(setImmediate);
        }
        slowBytesMost = Math.max(slowBytesMost, bytesAsWritten(reader.decode('Fetch', 12, answer), offset));
      }
      slowOnes -= 1;
    };
    const readFast = async (number: number): Promise<void> => {
      const reader = await client();
      for (let offset = number * 41; slowOnes > 0; offset += 13) {
        const answer = await reader.request('Fetch', 12, wishes(offset % BATCHES, 1 << 20));
        fastBytes += bytesAsWritten(answer, offset % BATCHES);
      }
    };
    await Promise.all([0, 1, 2, 3, 4].map(readSlowly).concat([0, 1].map(readFast)));
    // More than sockets hold, so that a part of it waited.
    expect(slowBytesMost).toBeGreaterThan(8 << 20);
    expect(fastBytes).toBeGreaterThan(PARTITIONS << 20);
  }, 60_000);
});
