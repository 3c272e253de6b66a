import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import { LeaderEpochs } from '../../src/log/leader-epochs.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchBytes, batchesIn, field, nextOffset, stamp } from '../../src/record/batch.ts';
import { hookedDisk } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextIn,
  contextOn,
  copyOf,
  FOLDER,
  failureOf,
  filesOf,
  kill,
  logFiles,
  NEVER_MS,
  oneSegment,
  openLog,
  readAll,
  tempFolder,
  withLogOf,
} from './support.ts';

/** A folder with a log that was closed after `proven` batches, and killed after all of `batches`. */
async function killedLog(proven: number, batches: Buffer[], settings = oneSegment): Promise<string> {
  const root = tempFolder();
  let context = contextIn(root);
  let log = await openLog(context, settings);
  for (const batch of batches.slice(0, proven)) await append(context, log, batch);
  await log.close();
  context = contextIn(root);
  log = await openLog(context, settings);
  for (const batch of batches.slice(proven)) await append(context, log, batch);
  await kill(log);
  return root;
}

const fiveBatches = [1, 3, 2, 1, 4].map((count, i) => batchOf({ count, valueBytes: 3 * i, tag: i }));

const activeFile = (root: string): string => filesOf(root, '.log').at(-1)!;

/** What was kept aside, in order. */
function quarantined(root: string): Buffer {
  const folder = path.join(root, FOLDER, 'quarantine');
  if (!fs.existsSync(folder)) return Buffer.alloc(0);
  const kept = fs.readdirSync(folder).filter((name) => name !== 'places');
  return Buffer.concat(kept.map((name) => fs.readFileSync(path.join(folder, name))));
}

describe('a torn tail', () => {
  test('cut at every byte: whole batches stay, the rest is kept aside, and the log goes on', async () => {
    const root = await killedLog(2, fiveBatches);
    const whole = logFiles(root);
    const ends = [...batchesIn(whole)].map((at) => ({ end: at + batchBytes(whole, at), next: nextOffset(whole, at) }));
    const provenEnd = ends[1]!.end;
    for (let length = provenEnd; length <= whole.length; length += 1) {
      const copy = copyOf(root);
      fs.truncateSync(activeFile(copy), length);
      const kept = ends.findLast(({ end }) => end <= length)!;
      await withLogOf(copy, async (log, context) => {
        expect(log.marks.facts()).toMatchObject({
          acceptedNext: kept.next,
          durableNext: kept.next,
          highWatermark: kept.next,
        });
        expect((await readAll(log)).equals(whole.subarray(0, kept.end))).toBe(true);
        expect(quarantined(copy).equals(whole.subarray(kept.end, length))).toBe(true);
        expect(context.warnings.length).toBe(kept.end === length ? 0 : 1);
        const { baseOffset } = await append(context, log, { tag: 'more' });
        expect(baseOffset).toBe(kept.next);
      });
      if (length % 10 === 0) {
        await withLogOf(copy, async (log, context) => {
          expect(log.marks.acceptedNext).toBe(kept.next + 1);
          expect(context.warnings).toEqual([]);
        });
      }
      fs.rmSync(copy, { recursive: true });
    }
  });

  const garbage: [string, (last: Buffer) => Buffer][] = [
    ['zeros', () => Buffer.alloc(5000)],
    ['ones', () => Buffer.alloc(5000, 0xff)],
    ['noise', () => Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 7919) >> 3))],
    ['a header without its records', (last) => last.subarray(0, 61)],
    ['the last batch again', (last) => last],
    ['a batch whose records are not those it was sealed with', (last) => restamped(last, { flip: 70 })],
    ['a batch that leaves a gap', (last) => restamped(last, { offset: 12 })],
    ['a batch at an offset far off', (last) => restamped(last, { offset: 2 ** 40 })],
    ['a batch of an older leader epoch', (last) => restamped(last, { offset: 11, epoch: 0 })],
    ['a batch of another format', (last) => restamped(last, { offset: 11, magic: 1 })],
    ['a batch of negative length', (last) => restamped(last, { offset: 11, length: -13 })],
    ['a batch longer than the file', (last) => restamped(last, { offset: 11, length: 2 ** 31 - 1 })],
  ];

  test.each(garbage)('of %s is cut off and kept aside', async (_, make) => {
    const root = await killedLog(2, fiveBatches);
    const whole = logFiles(root);
    const tail = make(whole.subarray([...batchesIn(whole)].at(-1)!));
    fs.appendFileSync(activeFile(root), tail);
    await withLogOf(root, async (log, context) => {
      expect(log.marks.acceptedNext).toBe(11);
      expect((await readAll(log)).equals(whole)).toBe(true);
      expect(quarantined(root).equals(tail)).toBe(true);
      expect(context.warnings[0]!.facts).toMatchObject({ cutBytes: tail.length, endOffset: 11 });
    });
  });

  test('again and again at the same place and time: each is kept aside, none overwrites another', async () => {
    const root = await killedLog(5, fiveBatches);
    const all = ['one', 'two', 'three'];
    for (const tail of all) {
      fs.appendFileSync(activeFile(root), tail);
      await withLogOf(root, async (log) => expect(log.marks.acceptedNext).toBe(11));
    }
    expect(quarantined(root).toString()).toBe(all.join(''));
  });

  test('what is found past the proven point is synced, then proven: the next start reads none of it', async () => {
    const root = await killedLog(2, fiveBatches);
    const calls: string[] = [];
    const disk = hookedDisk(realDisk(root), async ({ name, path: file }, proceed) => {
      calls.push(`${name} ${path.basename(file)}`);
      return proceed();
    });
    const segment = path.basename(activeFile(root));
    await kill(await openLog(contextOn(disk)));
    const synced = calls.indexOf(`sync ${segment}`);
    expect(calls).toContain(`read ${segment}`);
    expect(synced).toBeGreaterThan(calls.lastIndexOf(`read ${segment}`));
    expect(calls.indexOf('rename checkpoint')).toBeGreaterThan(synced);
    expect(calls.lastIndexOf(`syncFolder ${FOLDER}`)).toBeGreaterThan(calls.indexOf('rename checkpoint'));
    calls.length = 0;
    const again = await openLog(contextOn(disk));
    expect(again.marks.acceptedNext).toBe(11);
    // But for the one batch with the youngest record, which the time index is held against.
    expect(calls.filter((call) => call === `read ${segment}`).length).toBeLessThanOrEqual(1);
    expect(calls.filter((call) => call.startsWith('write'))).toEqual([]);
    await kill(again);
  });

  test('what is not proven is taken in again with its producers, epochs and indexes', async () => {
    const sent = (i: number): Buffer => batchOf({ producerId: 5, producerEpoch: 0, baseSequence: i, valueBytes: 200 });
    const root = await killedLog(
      5,
      Array.from({ length: 40 }, (_, i) => sent(i)),
      oneSegment,
    );
    await withLogOf(
      root,
      async (log, context) => {
        expect(log.epochs.starts).toEqual([{ epoch: 1, startOffset: 0 }]);
        expect(await append(context, log, sent(37))).toMatchObject({ duplicate: true, baseOffset: 37 });
        expect(await append(context, log, sent(40))).toMatchObject({ duplicate: false, baseOffset: 40 });
        expect((await log.segments[0]!.index.loaded()).offsets.length).toBeGreaterThan(10);
        expect((await log.segments[0]!.index.loaded()).maxTimestampMs).toBe(1000);
      },
      oneSegment,
    );
  });
});

/** A batch at other values of the fields that no CRC covers, or with a byte flipped. */
function restamped(
  batch: Buffer,
  { offset, epoch = 1, magic, length, flip }: { [name in 'offset' | 'epoch' | 'magic' | 'length' | 'flip']?: number },
): Buffer {
  const copy = Buffer.from(batch);
  stamp(copy, 0, offset ?? 11, epoch);
  if (magic !== undefined) copy[field.magic] = magic;
  if (length !== undefined) copy.writeInt32BE(length, field.length);
  if (flip !== undefined) copy[flip] = copy[flip]! ^ 1;
  return copy;
}

describe('several segments', () => {
  const many = Array.from({ length: 30 }, (_, i) => batchOf({ count: 2, valueBytes: 100, tag: i }));
  const small = { ...oneSegment, segmentBytes: 1000 };

  test('killed at any moment of its life, a log opens as it was', async () => {
    const root = tempFolder();
    const context = contextIn(root);
    const log = await openLog(context, small);
    for (const batch of many) {
      await append(context, log, batch);
      const copy = copyOf(root);
      await withLogOf(copy, async (opened) => {
        expect(opened.marks.acceptedNext).toBe(log.marks.acceptedNext);
        expect((await readAll(opened)).equals(logFiles(root))).toBe(true);
      });
      fs.rmSync(copy, { recursive: true });
    }
    expect(log.segments.length).toBeGreaterThan(4);
    await kill(log);
  });

  test('that no checkpoint tells of are found, their torn end included', async () => {
    const root = await killedLog(0, many, small);
    const whole = logFiles(root);
    fs.rmSync(path.join(root, FOLDER, 'checkpoint'));
    fs.appendFileSync(activeFile(root), 'torn');
    await withLogOf(root, async (log) => {
      expect(log.marks.acceptedNext).toBe(60);
      expect((await readAll(log)).equals(whole)).toBe(true);
      expect(quarantined(root).toString()).toBe('torn');
    });
  });

  test('whose checkpoint is gone are told of, where there must have been one', async () => {
    const root = await killedLog(0, many, small);
    const lose = (): void => fs.rmSync(path.join(root, FOLDER, 'checkpoint'));
    const lost = [
      { message: expect.stringContaining('the checkpoint of a partition is gone'), facts: { logStart: 0 } },
    ];
    lose();
    await withLogOf(root, async (_, { warnings }) => expect(warnings).toMatchObject(lost));
    // It has one again.
    await withLogOf(root, async (_, { warnings }) => expect(warnings).toEqual([]));
    lose();
    for (const file of filesOf(root, '.log').slice(0, -1)) fs.rmSync(file);
    const logStart = Number(path.basename(activeFile(root), '.log'));
    await withLogOf(root, async (log, { warnings }) => {
      expect(log.marks.logStart).toBe(logStart);
      expect(warnings).toMatchObject([{ ...lost[0], facts: { logStart } }]);
    });
    // A new log that was killed has none yet.
    const fresh = await killedLog(0, many.slice(0, 2), oneSegment);
    fs.rmSync(path.join(fresh, FOLDER, 'checkpoint'));
    await withLogOf(fresh, async (_, { warnings }) => expect(warnings).toEqual([]));
  });

  test('an empty one that a roll left is used when it is the last, and gone when others follow', async () => {
    const root = await killedLog(0, many, small);
    const whole = logFiles(root);
    const leftover = (offset: number): string => path.join(root, FOLDER, `${String(offset).padStart(20, '0')}.log`);
    fs.writeFileSync(leftover(60), '');
    await withLogOf(root, async (log) => {
      expect(log.segments.at(-1)!.baseOffset).toBe(60);
      expect((await readAll(log)).equals(whole)).toBe(true);
    });
    // In the midst of what another holds: its name would hide the batches after it.
    fs.writeFileSync(leftover(3), '');
    await withLogOf(root, async (log) => {
      expect((await readAll(log)).equals(whole)).toBe(true);
      expect(fs.existsSync(leftover(3))).toBe(false);
    });
  });

  test('one that does not go on where the one before it ends is kept aside', async () => {
    const root = await killedLog(0, many, small);
    const whole = logFiles(root);
    const stray = batchOf({ tag: 'stray' });
    stamp(stray, 0, 70, 1);
    fs.writeFileSync(path.join(root, FOLDER, `${String(70).padStart(20, '0')}.log`), stray);
    await withLogOf(root, async (log) => {
      expect(log.marks.acceptedNext).toBe(60);
      expect((await readAll(log)).equals(whole)).toBe(true);
      expect(quarantined(root).equals(stray)).toBe(true);
    });
  });
});

async function readUpTo(log: PartitionLog, endNext: number, offset = 0): Promise<Buffer> {
  const buffers: Buffer[] = [];
  for (let at = offset; at < endNext; ) {
    const read = await log.reader.read(at, { endNext, bytesMax: 1 << 20, atLeastOne: true });
    buffers.push(...read.buffers);
    at = read.nextOffset;
  }
  return Buffer.concat(buffers);
}

/** The folder of a killed log of ten records of which none was synced, and which begins at offset 8. */
async function trimmedUnsynced(): Promise<string> {
  const root = tempFolder();
  const context = contextIn(root);
  const log = await openLog(context, { ...oneSegment, flushMessages: NEVER_MS });
  for (let i = 0; i < 10; i += 1) await append(context, log);
  await log.trim(8);
  await kill(log);
  return root;
}

describe('bytes that were proven durable are gone: never is an offset given again', () => {
  test('cut at every byte: what is left is served, appends go on after what was proven', async () => {
    const root = await killedLog(5, fiveBatches);
    const whole = logFiles(root);
    for (let length = 0; length < whole.length; length += 7) {
      const copy = copyOf(root);
      fs.truncateSync(activeFile(copy), length);
      await withLogOf(copy, async (log, context) => {
        expect(log.marks.facts()).toMatchObject({ logStart: 0, acceptedNext: 11, highWatermark: 11 });
        expect(context.warnings[0]!.facts).toMatchObject({ expectedBytes: whole.length, continueAt: 11 });
        expect(await append(context, log, { tag: 'more' })).toMatchObject({ baseOffset: 11 });
        expect((await readAll(log, 1 << 20, 11)).length).toBeGreaterThan(0);
        expect(quarantined(copy).length).toBe(0);
        if (length < batchBytes(whole, 0)) return;
        const first = await log.reader.read(0, { endNext: 11, bytesMax: 1, atLeastOne: true });
        expect(Buffer.concat(first.buffers).equals(whole.subarray(0, batchBytes(whole, 0)))).toBe(true);
      });
      fs.rmSync(copy, { recursive: true });
    }
  });

  test('the active segment’s file is gone: the older ones stay as they are', async () => {
    const many = Array.from({ length: 30 }, (_, i) => batchOf({ count: 2, valueBytes: 100, tag: i }));
    const root = await killedLog(30, many, { ...oneSegment, segmentBytes: 1000 });
    const gone = fs.statSync(activeFile(root)).size;
    const older = logFiles(root).subarray(0, -gone);
    fs.rmSync(activeFile(root));
    await withLogOf(root, async (log, context) => {
      expect(log.marks.acceptedNext).toBe(60);
      expect(log.segments.at(-1)!.baseOffset).toBe(60);
      await append(context, log, { tag: 'more' });
      const olderEnd = nextOffset(older, [...batchesIn(older)].at(-1)!);
      expect((await readUpTo(log, olderEnd)).equals(older)).toBe(true);
      // No reader passes what is gone without being told.
      expect(await failureOf(readUpTo(log, 61, olderEnd))).toMatchObject({ fault: 'corruptBatch' });
      expect((await readUpTo(log, 61, 60)).length).toBeGreaterThan(0);
      expect(quarantined(root).length).toBe(0);
    });
  });

  test('with segments after it: those are served and the log goes on after them', async () => {
    const many = Array.from({ length: 30 }, (_, i) => batchOf({ count: 2, valueBytes: 100, tag: i }));
    const root = await killedLog(2, many, { ...oneSegment, segmentBytes: 1000 });
    // As when no roll since could write its checkpoint: that of the clean stop is the last.
    const early = await killedLog(2, many.slice(0, 2), { ...oneSegment, segmentBytes: 1000 });
    fs.copyFileSync(path.join(early, FOLDER, 'checkpoint'), path.join(root, FOLDER, 'checkpoint'));
    const files = filesOf(root, '.log');
    fs.truncateSync(files[0]!, 10);
    const rest = Buffer.concat(files.slice(1).map((file) => fs.readFileSync(file)));
    await withLogOf(root, async (log, context) => {
      expect(log.marks.acceptedNext).toBe(60);
      expect((await readAll(log, 1 << 20, log.segments[1]!.baseOffset)).equals(rest)).toBe(true);
      expect(quarantined(root).length).toBe(0);
      expect(await append(context, log)).toMatchObject({ baseOffset: 60 });
    });
  });

  test('all segment files are gone: it goes on empty, with offsets as they were', async () => {
    const root = await killedLog(5, fiveBatches);
    fs.rmSync(activeFile(root));
    // Told once: the one that follows knows where the log starts, also after a kill.
    for (const told of [[{ message: expect.stringContaining('the segment files of a partition are gone') }], []]) {
      await withLogOf(root, async (log, { warnings }) => {
        expect(log.marks.facts()).toMatchObject({ logStart: 11, acceptedNext: 11, highWatermark: 11 });
        expect(warnings).toMatchObject(told);
      });
    }
  });

  test('all segment files are gone of a log that was not synced up to its start: it goes on there, and keeps what is appended', async () => {
    const root = await trimmedUnsynced();
    fs.rmSync(activeFile(root));
    for (let opening = 0; opening < 3; opening += 1) {
      await withLogOf(root, async (opened, again) => {
        expect(opened.marks.facts()).toMatchObject({ logStart: 8, acceptedNext: 8 + opening });
        expect(await append(again, opened)).toMatchObject({ baseOffset: 8 + opening });
      });
    }
  });
});

describe('the log’s start', () => {
  test('stays where it was moved to, through kills and clean stops', async () => {
    const root = await killedLog(
      0,
      Array.from({ length: 30 }, (_, i) => batchOf({ count: 2, valueBytes: 100, tag: i })),
      {
        ...oneSegment,
        segmentBytes: 1000,
      },
    );
    for (const [logStart, end] of [
      [5, kill],
      [17, kill],
      [31, 'close'],
      [31, kill],
      [60, kill],
    ] as const) {
      const context = contextIn(root);
      const log = await openLog(context, { segmentBytes: 1000 });
      await log.trim(logStart);
      expect(log.marks.logStart).toBe(logStart);
      expect(log.segments[0]!.baseOffset).toBeLessThanOrEqual(logStart);
      expect(log.segments[1]?.baseOffset ?? Number.POSITIVE_INFINITY).toBeGreaterThan(logStart);
      expect(filesOf(root, '.log').length).toBe(log.segments.length);
      await (end === 'close' ? log.close() : kill(log));
      await withLogOf(root, async (opened) =>
        expect(opened.marks.facts()).toMatchObject({ logStart, acceptedNext: 60 }),
      );
    }
  });

  test('past what a power cut left: the log goes on there, empty', async () => {
    const root = await trimmedUnsynced();
    // None of it was synced, and nothing said that it would be.
    fs.truncateSync(activeFile(root), 100);
    for (let opening = 0; opening < 2; opening += 1) {
      await withLogOf(root, async (opened, again) => {
        expect(opened.marks.facts()).toMatchObject({ logStart: 8, acceptedNext: 8 + opening });
        await append(again, opened);
      });
    }
  });
});

test('epochs that were begun and lost with the tail are known to nobody', async () => {
  const root = await killedLog(2, fiveBatches);
  const context = contextIn(root);
  const log = await openLog(context, oneSegment, 4);
  const size = fs.statSync(activeFile(root)).size;
  await append(context, log);
  await kill(log);
  fs.truncateSync(activeFile(root), size);
  await withLogOf(root, async (opened) => {
    expect(opened.epochs.starts).toEqual(new LeaderEpochs([{ epoch: 1, startOffset: 0 }]).starts);
  });
});
