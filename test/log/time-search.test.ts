import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { offsetForTime, offsetOfMaxTimestamp, type TimedOffset } from '../../src/log/time-search.ts';
import { stampLogAppendTime } from '../../src/record/batch.ts';
import { compressions } from '../../src/record/compression.ts';
import { Gate, hookedDisk, isLogFile, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextIn,
  contextOn,
  dropCache,
  kill,
  openLog,
  settle,
  tempFolder,
  until,
} from './support.ts';

/** The rule: the first of those in the log that is not older. */
function firstFrom(timesMs: readonly number[], logStart: number, timestampMs: number): TimedOffset | null {
  const offset = timesMs.findIndex((ms, at) => at >= logStart && ms >= timestampMs);
  return offset < 0 ? null : { offset, timestampMs: timesMs[offset]!, leaderEpoch: 1 };
}

const largestFrom = (timesMs: readonly number[], logStart: number): TimedOffset | null =>
  timesMs.length > logStart ? firstFrom(timesMs, logStart, Math.max(...timesMs.slice(logStart))) : null;

/** Searches for every time there is and those beside it. */
async function expectFound(log: PartitionLog, timesMs: readonly number[]): Promise<void> {
  const { logStart } = log.marks;
  for (const timestampMs of new Set([0, ...timesMs.flatMap((ms) => [ms - 1, ms, ms + 1])])) {
    expect(await offsetForTime(log, timestampMs)).toEqual(firstFrom(timesMs, logStart, timestampMs));
  }
  expect(await offsetOfMaxTimestamp(log)).toEqual(largestFrom(timesMs, logStart));
}

const anyBatch = fc.record({
  timesMs: fc.array(fc.nat(60), { minLength: 1, maxLength: 4 }),
  compression: fc.constantFrom(...compressions),
  logAppendTimeMs: fc.option(fc.nat(60), { freq: 5 }),
});

test('finds the first record at or after a time and the youngest of all, in whatever order the times are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyBatch, { maxLength: 30 }), fc.nat(100), async (batches, trimPercent) => {
      const root = tempFolder();
      let context = contextIn(root);
      let log = await openLog(context, { segmentBytes: 1200, indexIntervalBytes: 200 });
      const timesMs: number[] = [];
      await Promise.all(
        batches.map((spec) => {
          const batch = batchOf({
            count: spec.timesMs.length,
            timestampsMs: spec.timesMs.map((ms) => ms + 1),
            compression: spec.compression,
          });
          if (spec.logAppendTimeMs !== null) stampLogAppendTime(batch, 0, spec.logAppendTimeMs + 1);
          timesMs.push(...spec.timesMs.map((ms) => (spec.logAppendTimeMs ?? ms) + 1));
          return append(context, log, batch);
        }),
      );
      await expectFound(log, timesMs);
      await log.trim(Math.floor((timesMs.length * trimPercent) / 100));
      await expectFound(log, timesMs);
      await (trimPercent % 2 === 0 ? log.close() : kill(log));
      context = contextIn(root);
      log = await openLog(context, { segmentBytes: 1200, indexIntervalBytes: 200 });
      await expectFound(log, timesMs);
      await append(context, log, { timestampsMs: [40] });
      await expectFound(log, [...timesMs, 40]);
      await kill(log);
    }),
    { numRuns: 25 },
  );
});

describe('in an empty log', () => {
  test('nothing is found, also when it was not always empty', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context);
    await expectFound(log, []);
    await append(context, log, { count: 5, timestampsMs: [5, 9, 1, 7, 3] });
    await log.trim(5);
    await expectFound(log, [5, 9, 1, 7, 3]);
    await kill(log);
  });
});

test('records without a time are older than any that has one', async () => {
  const context = contextIn(tempFolder());
  const log = await openLog(context);
  await append(context, log, { timestampsMs: [-1], count: 2 });
  expect(await offsetForTime(log, 0)).toBe(null);
  expect(await offsetOfMaxTimestamp(log)).toMatchObject({ offset: 0, timestampMs: -1 });
  await append(context, log, { timestampsMs: [7] });
  expect(await offsetForTime(log, 0)).toMatchObject({ offset: 2 });
  await kill(log);
});

test('the youngest of a segment was deleted: another segment may have the youngest of what is left', async () => {
  const context = contextIn(tempFolder());
  const log = await openLog(context, { segmentBytes: 300 });
  for (const ms of [50, 10, 30, 20, 40, 5]) await append(context, log, { timestampsMs: [ms], valueBytes: 60 });
  expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0, 2, 4]);
  await log.trim(1);
  await expectFound(log, [50, 10, 30, 20, 40, 5]);
  await kill(log);
});

test('what is not visible is not found; the youngest of all waits until it is', async () => {
  const gate = new Gate();
  const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name, path }, proceed) => {
    if (name === 'sync' && isLogFile(path)) await gate.pass();
    return proceed();
  });
  const context = contextOn(disk);
  const log = await openLog(context);
  await append(context, log, { timestampsMs: [10] });
  gate.close();
  await append(context, log, { timestampsMs: [20] }, 'written');
  expect(await offsetForTime(log, 15)).toBe(null);
  let found: TimedOffset | null = null;
  const youngest = offsetOfMaxTimestamp(log).then((offset) => {
    found = offset;
  });
  await until(() => gate.arrived === 1);
  await settle();
  expect(found).toBe(null);
  gate.open();
  await youngest;
  expect(found).toMatchObject({ offset: 1, timestampMs: 20 });
  await kill(log);
});

test('records that are deleted during a search are passed over', async () => {
  let left = -1;
  let log: PartitionLog;
  const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name }, proceed) => {
    if (name === 'read' && left-- === 0) await log.trim(25);
    return proceed();
  });
  const timesMs = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 100 + i : 100));
  for (const segmentBytes of [2000, 1 << 20]) {
    for (let readsBefore = 0; readsBefore < 12; readsBefore += 1) {
      const context = contextOn(disk);
      log = await openLog(context, { segmentBytes }, 1, `p-${segmentBytes}-${readsBefore}`);
      await Promise.all(timesMs.map((ms) => append(context, log, { timestampsMs: [ms], valueBytes: 100 })));
      await log.rest(0);
      dropCache(context);
      left = readsBefore;
      const found = await offsetForTime(log, 109);
      expect([10, 26]).toContain(found!.offset);
      left = readsBefore;
      expect(await offsetOfMaxTimestamp(log)).toMatchObject({ offset: 38 });
      left = -1;
      await kill(log);
    }
  }
});
