import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { offsetForTime, offsetOfMaxTimestamp } from '../../src/log/time-search.ts';
import { baseOffset, batchBytes, batchesIn } from '../../src/record/batch.ts';
import {
  append,
  batchOf,
  contextIn,
  copyOf,
  FOLDER,
  failureOf,
  filesOf,
  logFiles,
  openLog,
  readAll,
  tempFolder,
  withLogOf,
} from './support.ts';

const BATCHES = 36;
const RECORDS = 2;
const idempotent = (i: number): Buffer =>
  batchOf({
    producerId: 3 + (i % 2),
    producerEpoch: 0,
    baseSequence: (i >> 1) * RECORDS,
    count: RECORDS,
    valueBytes: 20 + ((i * 31) % 60),
    // Up and down, so that time entries are not one per offset entry.
    timestampsMs: [1000 + i * 10 - (i % 3) * 25, 1000 + i * 10 - (i % 5) * 15],
    tag: i,
  });

/** A log of several segments that was closed, and all its bytes. */
let root: string;
let bytes: Buffer;
let originals: [name: string, content: Buffer][];
/** Some, and all, of the times that there are, and beyond. */
const someTimesMs = Array.from({ length: 12 }, (_, i) => 950 + i * 37);
const everyTimeMs = Array.from({ length: 90 }, (_, i) => 930 + i * 5);

beforeAll(async () => {
  root = tempFolder();
  const context = contextIn(root);
  const log = await openLog(context, { segmentBytes: 1800, indexIntervalBytes: 250 });
  for (let i = 0; i < BATCHES; i += 1) await append(context, log, idempotent(i));
  expect(log.segments.length).toBeGreaterThan(2);
  await log.close();
  bytes = logFiles(root);
  const names = fs.readdirSync(path.join(root, FOLDER));
  originals = names.map((name) => [name, fs.readFileSync(path.join(root, FOLDER, name))]);
});

/** What a reader finds at each batch, and a search at each time. */
async function found(log: PartitionLog, timesMs: readonly number[]): Promise<string> {
  const endNext = log.marks.highWatermark;
  const all: unknown[] = [];
  for (let offset = 0; offset < endNext; offset += RECORDS) {
    const read = await log.reader.read(offset, { endNext, bytesMax: 1, atLeastOne: true });
    all.push([read.nextOffset, Buffer.concat(read.buffers).toString('base64')]);
  }
  for (const timestampMs of timesMs) all.push(await offsetForTime(log, timestampMs));
  all.push(await offsetOfMaxTimestamp(log));
  return JSON.stringify(all);
}

const everything = (log: PartitionLog): Promise<string> => found(log, everyTimeMs);
const most = (log: PartitionLog): Promise<string> => found(log, someTimesMs);

/** Opens the log after `change` has been at work, and puts the files back: opening what was closed writes nothing. */
async function changed<T>(change: (folder: string) => void, use: (log: PartitionLog) => Promise<T>): Promise<T> {
  change(root);
  try {
    return await withLogOf(root, use);
  } finally {
    fs.rmSync(path.join(root, FOLDER, 'quarantine'), { recursive: true, force: true });
    for (const [name, content] of originals) {
      const file = path.join(root, FOLDER, name);
      if (!fs.existsSync(file) || !fs.readFileSync(file).equals(content)) fs.writeFileSync(file, content);
    }
    expect(fs.readdirSync(path.join(root, FOLDER)).length).toBe(originals.length);
  }
}

function flip(file: string, at: number, bits: number): void {
  const content = fs.readFileSync(file);
  content[at] = content[at]! ^ bits;
  fs.writeFileSync(file, content);
}

function entryBytesOf(file: string): number {
  return file.endsWith('.index') ? 8 : 12;
}

function entriesIn(file: string): number {
  return fs.statSync(file).size / entryBytesOf(file);
}

function cutEntries(file: string, count: number): void {
  fs.truncateSync(file, Math.max(0, fs.statSync(file).size - count * entryBytesOf(file)));
}

/** Takes from the offsets or times of an index as much as leaves them ascending. */
function nudge(file: string): void {
  const content = fs.readFileSync(file);
  const [entryBytes, lowBytesAt] = file.endsWith('.index') ? [8, 0] : [12, 4];
  let before = 0;
  for (let at = lowBytesAt; at + entryBytes < content.length; at += entryBytes) {
    const value = content.readUInt32BE(at);
    content.writeUInt32BE(before + 1, at);
    before = value;
  }
  fs.writeFileSync(file, content);
}

describe('an index is a cache: whatever becomes of it, reads and searches find the same', () => {
  const damages: [string, (file: string) => void][] = [
    ['deleted', (file) => fs.rmSync(file)],
    ['emptied', (file) => fs.truncateSync(file, 0)],
    ['cut in an entry', (file) => fs.truncateSync(file, Math.max(0, fs.statSync(file).size - 3))],
    ['cut before the last entry', (file) => cutEntries(file, 1)],
    ['cut in the middle, between entries', (file) => cutEntries(file, Math.ceil(entriesIn(file) / 2))],
    ['padded with zeros', (file) => fs.appendFileSync(file, Buffer.alloc(240))],
    ['too low in all entries but the last', nudge],
    ['zeros', (file) => fs.writeFileSync(file, Buffer.alloc(fs.statSync(file).size))],
    ['one entry of zeros', (file) => fs.writeFileSync(file, Buffer.alloc(file.endsWith('.index') ? 8 : 12))],
    ['that of another segment', (file) => fs.copyFileSync(filesOf(root, path.extname(file))[0]!, file)],
    [
      'noise',
      (file) => fs.writeFileSync(file, Buffer.from(Array.from({ length: 480 }, (_, i) => (i * i * 7919) >> 3))),
    ],
  ];

  test.each(['.index', '.timeindex'])('%s', async (ending) => {
    const expected = await changed(() => {}, everything);
    for (const [name, damage] of damages) {
      const after = await changed((folder) => filesOf(folder, ending).forEach(damage), everything);
      if (after !== expected) throw new Error(`differs when ${name}`);
    }
    const expectedMost = await changed(() => {}, most);
    for (const [number, file] of filesOf(root, ending).entries()) {
      for (let at = 0; at < fs.statSync(file).size; at += 1) {
        for (const bits of [0x01, 0x80]) {
          const after = await changed((folder) => flip(filesOf(folder, ending)[number]!, at, bits), most);
          if (after !== expectedMost)
            throw new Error(`differs when byte ${at} of file ${number} is flipped by ${bits}`);
        }
      }
    }
  });

  test('all of them are gone', async () => {
    const expected = await changed(() => {}, everything);
    const after = await changed((copy) => {
      for (const file of [...filesOf(copy, '.index'), ...filesOf(copy, '.timeindex')]) fs.rmSync(file);
    }, everything);
    expect(after).toBe(expected);
  });
});

describe('a producer snapshot is a cache: retries are recognized whatever becomes of it', () => {
  /** The last five batches of both producers are duplicates, the next one is not. */
  async function recognizes(copy: string): Promise<void> {
    await withLogOf(copy, async (log, context) => {
      for (let i = BATCHES - 10; i < BATCHES; i += 1) {
        expect(await append(context, log, idempotent(i))).toMatchObject({ duplicate: true, baseOffset: i * RECORDS });
      }
      expect(await append(context, log, idempotent(BATCHES))).toMatchObject({ duplicate: false });
    });
    fs.rmSync(copy, { recursive: true });
  }

  test('deleted, emptied, or only the last', async () => {
    for (const damage of [fs.rmSync, (file: string) => fs.truncateSync(file, 0)]) {
      const copies = [copyOf(root), copyOf(root)];
      filesOf(copies[0]!, '.producers').forEach((file) => {
        damage(file);
      });
      damage(filesOf(copies[1]!, '.producers').at(-1)!);
      for (const copy of copies) await recognizes(copy);
    }
  });

  test('garbled at each byte', async () => {
    const { size } = fs.statSync(filesOf(root, '.producers').at(-1)!);
    for (let at = 0; at < size; at += 1) {
      const copy = copyOf(root);
      flip(filesOf(copy, '.producers').at(-1)!, at, 0x41);
      await recognizes(copy);
    }
  });

  test('of a log that went further than this one', async () => {
    const copy = copyOf(root);
    await withLogOf(copy, async (log, context) => {
      for (let i = 0; i < 12; i += 1) await append(context, log, idempotent(BATCHES + i));
      await log.close();
    });
    const cut = copyOf(root);
    fs.copyFileSync(filesOf(copy, '.producers').at(-1)!, filesOf(cut, '.producers').at(-1)!);
    await recognizes(cut);
  });
});

describe('a damaged checkpoint', () => {
  test('at each byte and length: refused, with nothing changed in the folder', async () => {
    const file = (folder: string): string => path.join(folder, FOLDER, 'checkpoint');
    const { size } = fs.statSync(file(root));
    const damages = Array.from({ length: size }, (_, at) => [
      (copy: string) => flip(file(copy), at, 0x10),
      (copy: string) => fs.truncateSync(file(copy), at),
    ]).flat();
    damages.push((copy) => fs.appendFileSync(file(copy), 'x'));
    for (const damage of damages) {
      const copy = copyOf(root);
      damage(copy);
      const before = snapshotOf(copy);
      expect(await failureOf(openLog(contextIn(copy)))).toMatchObject({ fault: 'damagedMetadata' });
      expect(snapshotOf(copy)).toEqual(before);
      fs.rmSync(copy, { recursive: true });
    }
  });
});

function snapshotOf(folder: string): string[][] {
  const names = fs.readdirSync(path.join(folder, FOLDER)).sort();
  return names.map((name) => [name, fs.readFileSync(path.join(folder, FOLDER, name)).toString('base64')]);
}

describe('rot in what was proven durable', () => {
  /** The batch that each offset is in: its bytes as they were written. */
  const batchAt = (offset: number): Buffer => {
    const at = [...batchesIn(bytes)].findLast((start) => baseOffset(bytes, start) <= offset)!;
    return bytes.subarray(at, at + batchBytes(bytes, at));
  };

  // One byte of a batch in the midst of a segment, of one with an index entry, of the first and of the last of a segment.
  test.each([0, 9, 10, 17, BATCHES - 1])(
    'each byte of batch %d: told of, and both sides are served',
    async (number) => {
      const starts = [...batchesIn(bytes)];
      const start = starts[number]!;
      const size = batchBytes(bytes, start);
      let file = 0;
      let at = start;
      const sizes = filesOf(root, '.log').map((name) => fs.statSync(name).size);
      while (at >= sizes[file]!) at -= sizes[file++]!;
      const damagedOffset = baseOffset(bytes, start);
      for (let byte = 0; byte < size; byte += byte < 61 ? 1 : 40) {
        for (const bits of [0x01, 0x80]) {
          await changed(
            (folder) => flip(filesOf(folder, '.log')[file]!, at + byte, bits),
            async (log) => {
              const missing = await offsetsNotServed(log, batchAt);
              expect(missing).toEqual([damagedOffset]);
            },
          );
        }
      }
    },
  );

  /** The batches, by their first offset, that are refused as corrupt. Fails when one is served with anything else than what was written. */
  async function offsetsNotServed(log: PartitionLog, written: (offset: number) => Buffer): Promise<number[]> {
    const endNext = log.marks.highWatermark;
    expect(endNext).toBe(BATCHES * RECORDS);
    const missing: number[] = [];
    for (let offset = 0; offset < endNext; offset += RECORDS) {
      try {
        const read = await log.reader.read(offset, { endNext, bytesMax: 1, atLeastOne: true });
        if (!Buffer.concat(read.buffers).equals(written(offset))) throw new Error(`offset ${offset} is served wrong`);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        expect(error).toMatchObject({ fault: 'corruptBatch' });
        missing.push(offset);
      }
    }
    return missing;
  }

  test('what precedes it is served by a read that would go on', async () => {
    const starts = [...batchesIn(bytes)];
    await changed(
      (folder) => flip(filesOf(folder, '.log')[0]!, starts[4]! + 70, 1),
      async (log) => {
        const read = await log.reader.read(0, { endNext: 72, bytesMax: 1 << 20, atLeastOne: true });
        expect(read.nextOffset).toBe(8);
        expect(await failureOf(readAll(log))).toMatchObject({ fault: 'corruptBatch' });
      },
    );
  });
});

test('a lost file at the start of a log is told of, like one in its midst', async () => {
  const copy = copyOf(root);
  fs.rmSync(filesOf(copy, '.log')[0]!);
  await withLogOf(copy, async (log, { warnings }) => {
    expect(log.marks.logStart).toBeGreaterThan(0);
    expect(warnings.map(({ message }) => message).join()).toMatch(/a log file is lost/);
  });
});
