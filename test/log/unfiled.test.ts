import { expect, test } from 'vitest';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { file, openJournaled, warm } from './journaled.ts';
import { append, dropCache, readAll } from './support.ts';

test('what waits in memory for its file stays as it was, through as many appends of others as there may be', async () => {
  const opened = await openJournaled(new SimulatedDisk(new SeededRandom(1)), ['a', 'b'], { segmentBytes: 1 << 20 });
  const { context } = opened;
  const [log, other] = opened.logs as [PartitionLog, PartitionLog];
  await warm(opened);
  for (let i = 0; i < 5; i += 1) await append(context, log, { tag: `waits-${i}`, valueBytes: 500 });
  expect(log.segments[0]!.unfiledBytes).toBeGreaterThan(0);
  const seen = await readAll(log);
  // Several times all the memory that there is for the youngest batches.
  for (let i = 0; i < 40; i += 1) await append(context, other, { tag: `passes-${i}`, valueBytes: 5000 });
  expect((await readAll(log)).equals(seen)).toBe(true);
  await file(opened);
  dropCache(context);
  expect((await readAll(log)).equals(seen)).toBe(true);
});
