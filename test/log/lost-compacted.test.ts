import { expect, test } from 'vitest';
import { readCompacted } from '../../src/log/compacted-segments.ts';
import { baseOffset } from '../../src/record/batch.ts';
import { CompactedLog, compactionSettings, openCompacted, plain } from './compacted-log.ts';
import { append, batchOf, bytesOf, failureOf } from './support.ts';

/* What a start can see of a compacted segment that is gone or cut: `compacted` has all of them, with their sizes. */

/** A log that was stopped cleanly, and three compacted segments of it that lie side by side. */
async function stopped(keyOf = (i: number) => i % 10) {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 30; i += 1) await log.append(plain(keyOf(i)));
  await log.compact({ settings: { ...compactionSettings, segmentBytes: 500 } });
  const compacted = log.log.segments.filter(({ hasGaps }) => hasGaps);
  expect(compacted.length).toBeGreaterThan(2);
  const [before, hit, after] = compacted.map(({ baseOffset, logPath }) => ({ baseOffset, logPath }));
  await log.log.close();
  return { disk, before: before!, hit: hit!, after: after! };
}

const openOn = async ({ disk }: { disk: Parameters<CompactedLog['open']>[0] }): Promise<CompactedLog> => {
  const log = new CompactedLog({ segmentBytes: 400 });
  await log.open(disk);
  return log;
};

test('one that is gone with all its files is told of by the start, once, with the files around it', async () => {
  const folder = await stopped();
  const { disk, before, hit, after } = folder;
  for (const ending of ['log', 'index', 'timeindex', 'producers', 'sums']) {
    await disk.remove(hit.logPath.replace(/log$/, ending));
  }
  for (const times of [1, 0]) {
    const { context, log } = await openOn({ disk });
    expect(context.warnings.length).toBe(times);
    if (times > 0) {
      const facts = {
        file: before.logPath,
        firstOffset: hit.baseOffset,
        lastOffset: after.baseOffset - 1,
        nextFile: after.logPath,
      };
      expect(context.warnings).toMatchObject([{ message: expect.stringContaining('records are missing'), facts }]);
    }
    const reading = log.reader.read(hit.baseOffset, { endNext: after.baseOffset, bytesMax: 1, atLeastOne: true });
    expect(await failureOf(Promise.resolve(reading))).toMatchObject({ fault: 'corruptBatch' });
    expect(await append(context, log, batchOf({ tag: 'more' }))).toMatchObject({ duplicate: false });
    await log.close();
  }
});

test('one that is cut is told of by the start', async () => {
  const folder = await stopped();
  const { disk, hit } = folder;
  const bytes = disk.files().get(hit.logPath)!.length;
  const file = await disk.open(hit.logPath, 'write');
  await file.truncate(bytes - 10);
  await file.close();
  const { context, log } = await openOn(folder);
  expect(context.warnings).toMatchObject([
    {
      message: expect.stringContaining('a compacted segment is not as long as compaction wrote it'),
      facts: { file: hit.logPath, expectedBytes: bytes, foundBytes: bytes - 10 },
    },
  ]);
  await log.close();
});

/** Loses one of which some records are left, and lets a pass change others. */
async function passedOver() {
  const folder = await stopped((i) => (i % 2 === 0 ? i : 99));
  const { disk, hit } = folder;
  const whole = await bytesOf(disk, hit.logPath);
  await disk.remove(hit.logPath);
  const opened = await openOn(folder);
  for (let i = 0; i < 12; i += 1) await opened.append(plain(40 + i));
  expect(await opened.compact()).toMatchObject({ damaged: [expect.any(String)], recordsDropped: 1 });
  return { ...folder, opened, whole };
}

test('one that is put back after a pass is served as it was', async () => {
  const folder = await passedOver();
  const { disk, hit, opened, whole } = folder;
  await opened.log.close();
  const file = await disk.open(hit.logPath, 'create');
  await file.write([whole], 0);
  const { context, log } = await openOn(folder);
  expect(context.warnings).toEqual([]);
  for (const offset of [hit.baseOffset, hit.baseOffset + 2]) {
    const { buffers } = await log.reader.read(offset, { endNext: 40, bytesMax: 1, atLeastOne: true });
    expect(baseOffset(buffers[0]!, 0)).toBe(offset);
  }
  await log.close();
});

test('one that is lost is noted until the log begins behind it', async () => {
  const folder = await passedOver();
  const { disk, hit, after, opened } = folder;
  const notedBases = async () => (await readCompacted(disk, 'p')).segments.map(({ base }) => base);
  expect(await notedBases()).toContain(hit.baseOffset);
  await opened.log.trim(after.baseOffset);
  for (let i = 0; i < 12; i += 1) await opened.append(plain(60 + i));
  await opened.compact();
  expect(await notedBases()).not.toContain(hit.baseOffset);
  await opened.log.close();
});
