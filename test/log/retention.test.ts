import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { type RetentionLimits, retire } from '../../src/log/retention.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { problem } from '../disk/failure.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { compactLog } from './compacted-log.ts';
import { hookedDisk, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  contextIn,
  contextOn,
  dropCache,
  failureOf,
  filesOf,
  openLog,
  readAll,
  type TestContext,
  tempFolder,
} from './support.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;
const forEver: RetentionLimits = { retentionMs: -1, retentionBytes: -1 };
const byAge = (retentionMs: number): RetentionLimits => ({ retentionMs, retentionBytes: -1 });
const bySize = (retentionBytes: number): RetentionLimits => ({ retentionMs: -1, retentionBytes });

/** A log with a segment for each list of timestamps, one batch for each of those. */
async function segmentsOf(context: TestContext, times: readonly (readonly number[])[]): Promise<PartitionLog> {
  const log = await openLog(context, { segmentBytes: 1 << 20 });
  for (const [i, stamps] of times.entries()) {
    if (i > 0) await log.roll(log.segments.at(-1)!);
    for (const timestampMs of stamps) await append(context, log, { timestampsMs: [timestampMs] });
  }
  return log;
}

const bases = (log: PartitionLog): number[] => log.segments.map(({ baseOffset }) => baseOffset);

describe('by age', () => {
  test('a segment goes when its youngest record is older than the limit, not when it is as old', async () => {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[NOW_MS - 20, NOW_MS - 11], [NOW_MS - 10], [NOW_MS - 5]]);
    expect(await retire(log, byAge(11), NOW_MS)).toMatchObject({ segments: 0 });
    expect(await retire(log, byAge(10), NOW_MS)).toMatchObject({ segments: 1 });
    expect(log.marks.logStart).toBe(2);
    expect(await retire(log, byAge(9), NOW_MS)).toMatchObject({ segments: 1 });
    expect(bases(log)).toEqual([3]);
    await log.close();
  });

  test('a younger one keeps all that follow it', async () => {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[NOW_MS - 50], [NOW_MS], [NOW_MS - 50], [NOW_MS]]);
    expect(await retire(log, byAge(10), NOW_MS)).toMatchObject({ segments: 1 });
    expect(bases(log)).toEqual([1, 2, 3]);
    await log.close();
  });

  test('the active segment is ended first when all are old, so there is always one', async () => {
    const root = tempFolder();
    const context = contextIn(root);
    const log = await segmentsOf(context, [[NOW_MS - 50], [NOW_MS - 40, NOW_MS - 30]]);
    expect(await retire(log, byAge(10), NOW_MS)).toMatchObject({ segments: 2 });
    expect(log.marks).toMatchObject({ logStart: 3, acceptedNext: 3 });
    expect(filesOf(root, '.log').map((file) => file.slice(-24))).toEqual(['00000000000000000003.log']);
    expect(await append(context, log, {})).toMatchObject({ baseOffset: 3 });
    // The empty one is never deleted, nor is it ended again.
    await log.close();
  });

  test('an empty log stays as it is', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context);
    expect(await retire(log, { retentionMs: 0, retentionBytes: 0 }, NOW_MS)).toMatchObject({ segments: 0 });
    expect(bases(log)).toEqual([0]);
    await log.close();
  });

  test('records without a time, and those of a time to come, do not go by age; the latter are told of', async () => {
    const context = contextIn(tempFolder());
    const timeless = await segmentsOf(context, [[-1], [NOW_MS]]);
    expect(await retire(timeless, byAge(0), NOW_MS)).toMatchObject({ segments: 0, futureMs: null });
    await timeless.close();
    for (const aheadMs of [1, 10 * 365 * DAY_MS, 8.64e15 - NOW_MS]) {
      const log = await segmentsOf(contextIn(tempFolder()), [[NOW_MS + aheadMs], [NOW_MS]]);
      expect(await retire(log, byAge(0), NOW_MS)).toMatchObject({ segments: 0, futureMs: NOW_MS + aheadMs });
      await log.close();
    }
  });

  test('what is not visible to readers yet is not deleted', async () => {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[NOW_MS - 50]]);
    await append(context, log, { timestampsMs: [NOW_MS - 50] }, 'written');
    expect(log.marks.highWatermark).toBe(1);
    expect(await retire(log, byAge(10), NOW_MS)).toMatchObject({ segments: 0 });
    await log.close();
  });

  test('index files that are gone, cut or empty make nothing old', async () => {
    const fs = await import('node:fs');
    for (const harm of ['gone', 'empty', 'short'] as const) {
      const root = tempFolder();
      const first = contextIn(root);
      const made = await openLog(first, { segmentBytes: 1 << 20, indexIntervalBytes: 1 });
      for (let i = 0; i < 10; i += 1) await append(first, made, { timestampsMs: [NOW_MS - 100 + i * 10] });
      await made.roll(made.segments.at(-1)!);
      await append(first, made, { timestampsMs: [NOW_MS] });
      await made.close();
      const [index] = filesOf(root, '.timeindex');
      if (harm === 'gone') fs.rmSync(index!);
      else fs.truncateSync(index!, harm === 'empty' ? 0 : 24);
      const context = contextIn(root);
      const log = await openLog(context, { segmentBytes: 1 << 20 });
      expect(await retire(log, byAge(50), NOW_MS), harm).toMatchObject({ segments: 0 });
      expect(await retire(log, byAge(5), NOW_MS), harm).toMatchObject({ segments: 1 });
      await log.close();
    }
  });
});

describe('by size', () => {
  test('the oldest go while the log without them still has as much as the limit', async () => {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[1], [2], [3], [4]]);
    const each = log.segments[0]!.sizeBytes;
    expect(await retire(log, bySize(4 * each), NOW_MS)).toMatchObject({ segments: 0 });
    expect(await retire(log, bySize(3 * each + 1), NOW_MS)).toMatchObject({ segments: 0 });
    expect(await retire(log, bySize(3 * each), NOW_MS)).toMatchObject({ segments: 1, bytes: each });
    expect(await retire(log, bySize(0), NOW_MS)).toMatchObject({ segments: 3 });
    expect(log.marks).toMatchObject({ logStart: 4, acceptedNext: 4 });
    await log.close();
  });

  test('−1 keeps all, of either', async () => {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[1], [2], [3]]);
    expect(await retire(log, forEver, NOW_MS)).toMatchObject({ segments: 0 });
    expect(bases(log)).toEqual([0, 1, 2]);
    await log.close();
  });
});

test('a reader in the midst of what is deleted gets what it reads, or is told that it is gone', async () => {
  const context = contextIn(tempFolder(), 1);
  const log = await segmentsOf(context, [Array.from({ length: 40 }, () => 1), [NOW_MS]]);
  dropCache(context);
  const before = await readAll(log, 300);
  const reads = Array.from({ length: 40 }, (_, at) =>
    Promise.resolve()
      .then(() => log.reader.read(at, { endNext: 40, bytesMax: 300, atLeastOne: true }))
      .then(({ buffers }) => Buffer.concat(buffers)),
  );
  const [outcomes] = await Promise.all([Promise.allSettled(reads), retire(log, byAge(10), NOW_MS)]);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') expect(before.includes(outcome.value)).toBe(true);
    else expect(outcome.reason).toMatchObject({ fault: 'offsetOutOfRange' });
  }
  expect(await failureOf(readAll(log, 300, 0))).toMatchObject({ fault: 'offsetOutOfRange' });
  await log.close();
});

test('appends go on while the active segment is ended for its age, and none is lost', async () => {
  const context = contextIn(tempFolder());
  const log = await segmentsOf(context, [[1, 2, 3]]);
  const passes: Promise<unknown>[] = [];
  const appends: Promise<unknown>[] = [];
  for (let i = 0; i < 50; i += 1) {
    if (i % 5 === 0) passes.push(retire(log, byAge(10), NOW_MS));
    appends.push(append(context, log, { timestampsMs: [NOW_MS], tag: i }));
    if (i % 7 === 0) await appends.at(-1);
  }
  await Promise.all([...appends, ...passes]);
  const text = (await readAll(log, 1 << 20, Math.max(3, log.marks.logStart))).toString('latin1');
  for (let i = 0; i < 50; i += 1) expect(text).toContain(`${i}.`);
  expect(log.marks.acceptedNext).toBe(53);
  await log.close();
});

test('a record that is appended while the active segment is ended for its age is not deleted with it', async () => {
  for (let turns = 0; turns < 40; turns += 1) {
    const context = contextIn(tempFolder());
    const log = await segmentsOf(context, [[NOW_MS - 50], [NOW_MS - 40]]);
    const retiring = retire(log, byAge(10), NOW_MS);
    for (let i = 0; i < turns; i += 1) await null;
    await append(context, log, { timestampsMs: [NOW_MS], tag: 'young' });
    await retiring;
    expect(log.marks.logStart).toBe(2);
    expect((await readAll(log)).toString('latin1')).toContain('young');
    await log.close();
  }
});

test('nothing young goes when compaction makes fewer segments of the old ones meanwhile', async () => {
  const context = contextIn(tempFolder());
  const log = await openLog(context);
  const ages = [50, 40, 30, 9, 8, 7, 6, 5, 4, 3, 2, 1];
  for (const ms of ages) {
    const record = { timestampMs: NOW_MS - ms, key: Buffer.from(`k${ms}`), value: Buffer.from(`v${ms}.`) };
    await append(context, log, buildBatch([record]));
    await log.roll(log.segments.at(-1)!);
  }
  const before = log.segments.length;
  // What it takes to look into the first young one.
  log.segments[3]!.index.maxTimestampMs = async () => {
    await compactLog(context, log, { settings: { segmentBytes: 3 * log.segments[0]!.sizeBytes } });
    return NOW_MS - 9;
  };
  await retire(log, byAge(10), NOW_MS);
  expect(log.segments.length).toBeLessThan(before - 3);
  expect(log.marks.logStart).toBe(3);
  const left = (await readAll(log)).toString('latin1');
  for (const ms of ages.slice(3)) expect(left).toContain(`v${ms}.`);
  await log.close();
});

test('on a full disk that has no room for another segment, the old ones before the active one go all the same', async () => {
  let isFull = false;
  const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name, path }, proceed) => {
    if (isFull && (name === 'write' || (name === 'open' && path.endsWith('.new')))) throw new Fault('diskFull');
    if (name === 'remove' && path.endsWith('.log') && isFull) isFull = false;
    return proceed();
  });
  const context = contextOn(disk);
  const log = await segmentsOf(context, [[NOW_MS - 50], [NOW_MS - 40], [NOW_MS - 30]]);
  isFull = true;
  await retire(log, byAge(10), NOW_MS);
  expect(bases(log)).toEqual([3]);
  await log.close();
});

test('a segment whose end the disk cannot read keeps none of the old ones before it, and goes when it can be read', async () => {
  let bad = '';
  const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name, path }, proceed) => {
    if (name === 'read' && path === bad) throw problem('EIO', path, 'read');
    return proceed();
  });
  const made = await segmentsOf(contextOn(disk), [
    [NOW_MS - 50],
    [NOW_MS - 40],
    [NOW_MS - 30],
    [NOW_MS - 20],
    [NOW_MS],
  ]);
  await made.close();
  const log = await openLog(contextOn(disk), { segmentBytes: 1 << 20 });
  bad = log.segments[2]!.logPath;
  for (const segments of [2, 0]) {
    const { failure, ...retired } = await retire(log, byAge(10), NOW_MS);
    expect(retired).toMatchObject({ segments });
    expect(String(failure)).toContain(bad);
  }
  expect(bases(log)).toEqual([2, 3, 4]);
  bad = '';
  expect(await retire(log, byAge(10), NOW_MS)).toMatchObject({ segments: 2, failure: null });
  await log.close();
});

test('whenever the power goes, the log begins where it was told to, or where it began before: no gap, nothing young lost', async () => {
  for (let calls = 0, lived = false; !lived; calls += 1) {
    for (const cut of ['nothing', 'all', 'reordered'] as const) {
      const disk = new SimulatedDisk(new SeededRandom(calls));
      disk.cutPowerAfter(calls);
      let started = 0;
      const life = async (): Promise<void> => {
        const context = contextOn(disk);
        const log = await segmentsOf(context, [[1, 2], [3], [NOW_MS], [NOW_MS]]);
        started = 1;
        await retire(log, byAge(10), NOW_MS);
        started = 2;
        await log.close();
      };
      const outcome = await Promise.race([life().then(() => 'lived'), disk.died.then(() => 'died')]);
      lived = outcome === 'lived';
      const context = contextOn(disk.afterPowerCut(cut));
      const log = await openLog(context, { segmentBytes: 1 << 20 });
      expect([0, 2, 3]).toContain(log.marks.logStart);
      if (started === 0) expect(log.marks.logStart).toBe(0);
      if (started >= 1) expect(log.marks.acceptedNext).toBe(5);
      if (started === 2) expect(log.marks.logStart).toBe(3);
      await readAll(log);
      await log.close();
    }
  }
});

test('whatever segments there are, it deletes what Kafka’s rules say', async () => {
  const random = new SeededRandom(7);
  for (let run = 0; run < 150; run += 1) {
    const context = contextOn(new SimulatedDisk(random));
    const times = Array.from({ length: 1 + random.below(5) }, () =>
      Array.from({ length: 1 + random.below(3) }, () => NOW_MS - random.below(100)),
    );
    const log = await segmentsOf(context, times);
    const sizes = log.segments.map(({ sizeBytes }) => sizeBytes);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const retentionMs = random.below(4) === 0 ? -1 : random.below(100);
    const retentionBytes = random.below(2) === 0 ? -1 : random.below(total + 100);
    await retire(log, { retentionMs, retentionBytes }, NOW_MS);
    // Size first, then age, each from the oldest on: as Apache Kafka does it.
    let bySizeCount = 0;
    let excess = total - retentionBytes;
    while (retentionBytes >= 0 && bySizeCount < sizes.length && excess >= sizes[bySizeCount]!) {
      excess -= sizes[bySizeCount++]!;
    }
    let count = bySizeCount;
    while (retentionMs >= 0 && count < times.length && NOW_MS - Math.max(...times[count]!) > retentionMs) count += 1;
    const expected = times.slice(0, count).reduce((sum, { length }) => sum + length, 0);
    expect(log.marks.logStart).toBe(expected);
    await log.close();
  }
});
