import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { Pace } from '../../src/base/pace.ts';
import { keyedRecords } from '../../src/log/keyed-records.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { inlineCodecs } from '../../src/record/compression.ts';
import { rebuiltBatch } from '../../src/record/rebuild-batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { promptClock } from './compacted-log.ts';

/** A pace that notes how often others had a turn. */
function countedPace(goOn = () => {}): { pace: Pace; pauses: () => number } {
  let pauses = 0;
  const clock: typeof promptClock = {
    ...promptClock,
    after(delayMs, action) {
      pauses += 1;
      return promptClock.after(delayMs, action);
    },
  };
  return { pace: new Pace(clock, Number.POSITIVE_INFINITY, goOn), pauses: () => pauses };
}

function batchOf(records: number, valueBytes: number): Buffer {
  const value = Buffer.alloc(valueBytes);
  const all = Array.from({ length: records }, (_, i) => ({ timestampMs: 1000 + i, key: Buffer.from(`k${i}`), value }));
  return buildBatch(all, { compression: 'zstd' });
}

test('a batch of many records is looked into, and written again, in slices between which others have a turn', async () => {
  const RECORDS = 20_000;
  const batch = batchOf(RECORDS, 1);
  const looking = countedPace();
  const keyed = (await keyedRecords(batch, inlineCodecs, looking.pace))!;
  expect(keyed.length).toBe(RECORDS);
  expect(looking.pauses()).toBeGreaterThanOrEqual(10);
  const writing = countedPace();
  const kept = keyed.filter((_, i) => i % 2 === 1).map(({ record }) => record);
  const rebuilt = (await rebuiltBatch(batch, kept, null, { codecs: inlineCodecs, pace: writing.pace }))!;
  expect(writing.pauses()).toBeGreaterThanOrEqual(10);
  expect([...recordsOf(rebuilt)]).toEqual([...recordsOf(batch)].filter((_, i) => i % 2 === 1));
});

test('a batch of few but large records is written again in slices too', async () => {
  const batch = batchOf(40, 256 * 1024);
  const records = (await keyedRecords(batch, inlineCodecs, countedPace().pace))!.map(({ record }) => record);
  const { pace, pauses } = countedPace();
  await rebuiltBatch(batch, records, null, { codecs: inlineCodecs, pace });
  expect(pauses()).toBeGreaterThanOrEqual(39);
});

test('a pass that is told to stop in the middle of a batch does not take the batch for one that cannot be read', async () => {
  const stop = new Fault('brokerStopped');
  const { pace } = countedPace(() => {
    throw stop;
  });
  await expect(keyedRecords(batchOf(20_000, 1), inlineCodecs, pace)).rejects.toBe(stop);
});
