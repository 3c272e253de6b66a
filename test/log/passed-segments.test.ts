import { expect, test } from 'vitest';
import type { CompactionReport } from '../../src/log/compaction.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { CompactedLog, newestOf, openCompacted, plain, RETENTION_MS } from './compacted-log.ts';
import { hookedDisk } from './hooked-disk.ts';
import { bytesOf, failureOf } from './support.ts';

/* Segments that a pass leaves as they are, since not all of them can be read, until they are whole again. */

/** Passes enough for a tombstone to go, unless something keeps it; what the last one did. */
async function compactOften(log: CompactedLog): Promise<CompactionReport | null> {
  let report: CompactionReport | null = null;
  for (let pass = 0; pass < 4; pass += 1) {
    for (let i = 0; i < 10; i += 1) await log.append(plain(2));
    log.context.clock.advance(2 * RETENTION_MS);
    report = await log.compact();
  }
  return report;
}

function readAt({ log }: CompactedLog, offset: number) {
  return log.reader.read(offset, { endNext: log.marks.highWatermark, bytesMax: 1, atLeastOne: true });
}

test.each(['a file is lost', 'a file is cut behind a batch'])(
  '%s: no pass takes what is missing for compacted, and the file, put back, is as it was',
  async (what) => {
    const isLost = what === 'a file is lost';
    const { disk, log } = await openCompacted();
    for (let i = 0; i < 30; i += 1) await log.append(plain(i % 10));
    const [before, hit] = log.log.segments.map(({ baseOffset, logPath }) => ({ baseOffset, logPath }));
    await log.log.close();
    const whole = await bytesOf(disk, hit!.logPath);
    const put = async (bytes: Buffer): Promise<void> => {
      await log.log.close();
      await disk.remove(hit!.logPath);
      if (bytes.length > 0) await (await disk.open(hit!.logPath, 'create')).write([bytes], 0);
      await log.open(disk);
    };
    await put(whole.subarray(0, isLost ? 0 : whole.length / 2));
    // The file that ends too early, and a key of which a value is missing.
    const { logPath: shortPath, baseOffset: shortBase } = isLost ? before! : hit!;
    const missing = hit!.baseOffset + 3;
    await log.append(plain(missing, null));
    const short = await bytesOf(disk, shortPath);
    for (const report of [await log.compact(), await compactOften(log)]) {
      expect(report!.damaged).toEqual([
        expect.stringContaining(`${shortPath} at byte ${short.length}: it ends before`),
      ]);
    }
    expect((await bytesOf(disk, shortPath)).equals(short)).toBe(true);
    await log.log.close();
    await log.open(disk);
    log.dropCache();
    expect((await readAt(log, shortBase)).nextOffset).toBe(shortBase + 1);
    expect(await failureOf(Promise.resolve(readAt(log, missing)))).toMatchObject({ fault: 'corruptBatch' });
    await put(whole);
    expect(newestOf(await log.read()).get(`k${missing}`)).toMatchObject({ value: null });
    await compactOften(log);
    expect(newestOf(await log.read()).get(`k${missing}`)).toBeUndefined();
    await log.check();
    await log.log.close();
  },
);

/** A log in which a pass had to leave a segment with a value of k1, which was deleted long ago; `flip` makes it sound. */
async function withPassed() {
  const { disk, log } = await openCompacted();
  for (const key of [100, 101, 102, 103, 1, 50, 51, 52, 60, 61, 62, 63]) await log.append(plain(key));
  const { logPath: path, baseOffset } = log.log.segments[1]!;
  const flip = async (): Promise<void> => {
    await log.log.rest(0);
    disk.flip(path, 80, 1);
  };
  await flip();
  for (let key = 10; key < 40; key += 1) await log.append(plain(key));
  await log.append(plain(1, null));
  await compactOften(log);
  expect(await log.log.compacted.passed()).toEqual([baseOffset]);
  return { disk, log, path, flip };
}

/** Whether k1 does when all is compacted, at a time when its tombstone is too old to stay. */
async function comesBack(log: CompactedLog): Promise<boolean> {
  log.context.clock.advance(100 * RETENTION_MS);
  await compactOften(log);
  const found = newestOf(await log.read()).get('k1');
  await log.log.close();
  return found !== undefined && found.value !== null;
}

test('a deleted key does not come back with a file that is sound again, wherever a pass ends whose map has no room for all keys', async () => {
  const back: number[] = [];
  for (let calls = 0, done = false; !done; calls += 1) {
    const { disk, log, flip } = await withPassed();
    await flip();
    for (let i = 0; i < 10; i += 1) await log.append(plain(2));
    disk.cutPowerAfter(calls);
    done = await Promise.race([
      log.compact({ keyMapBytes: 0 }).then((report) => report!.mapWasFull),
      disk.died.then(() => false),
    ]);
    await log.open(disk.afterPowerCut('all'));
    if (await comesBack(log)) back.push(calls);
  }
  expect(back).toEqual([]);
});

test('a deleted key does not come back with a passed file that was away for a while, wherever a pass ended meanwhile', async () => {
  const back: number[] = [];
  for (let calls = 0, done = false; !done; calls += 1) {
    const { disk, log, path, flip } = await withPassed();
    await flip();
    await log.log.close();
    const whole = await bytesOf(disk, path);
    await disk.remove(path);
    await log.open(disk);
    for (let i = 0; i < 10; i += 1) await log.append(plain(2));
    disk.cutPowerAfter(calls);
    done = await Promise.race([log.compact().then(() => true), disk.died.then(() => false)]);
    const after = disk.afterPowerCut('all');
    await (await after.open(path, 'create')).write([whole], 0);
    await log.open(after);
    if (await comesBack(log)) back.push(calls);
  }
  expect(back).toEqual([]);
});

test('a segment that the disk cannot read is passed and told of, and compacted when it can be read again', async () => {
  const { disk, log } = await openCompacted();
  await log.append(plain(1));
  for (let i = 0; i < 6; i += 1) await log.append(plain(2));
  await log.append(plain(1, null));
  const { logPath, baseOffset } = log.log.segments[0]!;
  await log.log.rest(0);
  disk.fail({ fault: 'EIO', of: (call, path) => call === 'read' && path === logPath, from: 0, forEver: true });
  const report = await compactOften(log);
  expect(report!.damaged).toEqual([
    expect.stringContaining(`${logPath} at byte 0: it cannot be read: the disk failed`),
  ]);
  expect(log.log.segments.map(({ hasGaps }) => hasGaps).slice(0, 2)).toEqual([false, true]);
  expect(await log.log.compacted.passed()).toEqual([baseOffset]);
  disk.heal();
  expect(newestOf(await log.read()).get('k1')).toMatchObject({ value: null });
  await compactOften(log);
  expect(newestOf(await log.read()).get('k1')).toBeUndefined();
  await log.check();
  await log.log.close();
});

test('a segment is not passed since too many files are open: the pass is tried again', async () => {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 12; i += 1) await log.append(plain(i % 3));
  const { logPath } = log.log.segments[0]!;
  await log.log.rest(0);
  disk.fail({ fault: 'EMFILE', of: (call, path) => call === 'open' && path === logPath, from: 0, forEver: true });
  expect(await failureOf(log.compact())).toMatchObject({ fault: 'diskError' });
  disk.heal();
  expect(await log.compact()).toMatchObject({ damaged: [], cleanNext: log.log.segments.at(-1)!.baseOffset });
  await log.check();
  await log.log.close();
});

test.each([
  { when: 'while keys are looked for', call: 'read', file: '00000000000000000000.log', logStart: 8 },
  { when: 'when they are written again', call: 'open', file: '.log.cleaned-1', logStart: 4 },
])(
  'segments that are deleted $when are no end of a pass: the others are compacted',
  async ({ call, file, logStart }) => {
    let trims = false;
    const log = new CompactedLog({ segmentBytes: 400 });
    const disk = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
      if (trims && name === call && path.endsWith(file)) {
        trims = false;
        await log.log.trim(logStart);
      }
      return proceed();
    });
    await log.open(disk);
    for (let i = 0; i < 30; i += 1) await log.append(plain(i % 5));
    await log.log.rest(0);
    trims = true;
    const report = await log.compact({ settings: { segmentBytes: 800 } });
    expect(trims).toBe(false);
    expect(log.log.segments[0]!.baseOffset).toBe(logStart);
    expect(report).toMatchObject({ damaged: [], cleanNext: log.log.segments.at(-1)!.baseOffset, recordsKept: 5 });
    await log.check();
    await log.log.close();
  },
);
