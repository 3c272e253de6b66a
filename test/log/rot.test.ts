import { beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { retire } from '../../src/log/retention.ts';
import { baseOffset, batchBytes, batchesIn, nextOffset } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import {
  append,
  batchOf,
  contextOn,
  FOLDER,
  failureOf,
  kill,
  openLog,
  smallSettings,
  type TestContext,
} from './support.ts';

const BATCHES = 24;
const RECORDS = 2;
const END = BATCHES * RECORDS;
const settings: Partial<LogSettings> = { segmentBytes: 1500, indexIntervalBytes: 250 };

type Files = ReadonlyMap<string, Buffer>;

/** A log of several segments and epochs that was closed, as files; and, by offset, the batches as they were written. */
let files: Files;
const written = new Map<number, Buffer>();

const diskOf = (content: Files): SimulatedDisk => SimulatedDisk.holding(content, new SeededRandom(1));

beforeAll(async () => {
  let disk = diskOf(new Map());
  for (const epoch of [1, 2, 4]) {
    const context = contextOn(disk);
    const log = await openLog(context, settings, epoch);
    for (let i = 0; i < BATCHES / 3; i += 1) {
      const number = log.marks.acceptedNext / RECORDS;
      const batch = batchOf({
        producerId: 7,
        producerEpoch: 0,
        baseSequence: number * RECORDS,
        count: RECORDS,
        valueBytes: 20 + ((number * 31) % 60),
        timestampsMs: [1000 + number * 10],
        tag: number,
      });
      await append(context, log, batch);
    }
    await log.close();
    disk = disk.afterKill();
  }
  files = disk.files();
  const log = Buffer.concat([...files].filter(([name]) => name.endsWith('.log')).map(([, content]) => content));
  for (const at of batchesIn(log)) {
    written.set(baseOffset(log, at), log.subarray(at, at + batchBytes(log, at)));
  }
  expect(written.size).toBe(BATCHES);
  expect([...files.keys()].filter((name) => name.endsWith('.log')).length).toBeGreaterThan(2);
});

function changed(content: Files, name: string, change: (bytes: Buffer) => void): Files {
  const copy = new Map([...content].map(([path, bytes]) => [path, Buffer.from(bytes)]));
  change(copy.get(name)!);
  return copy;
}

const segmentNames = (): string[] => [...files.keys()].filter((name) => name.endsWith('.log')).sort();

/** The file that holds an offset's batch, and where in it. */
function placeOf(offset: number): { name: string; position: number } {
  const name = segmentNames().findLast((one) => Number(one.slice(-24, -4)) <= offset)!;
  const bytes = files.get(name)!;
  return { name, position: [...batchesIn(bytes)].find((at) => baseOffset(bytes, at) === offset)! };
}

/** The files with a byte of some batches' records changed. */
function rotten(...offsets: number[]): Files {
  let content = files;
  for (const offset of offsets) {
    const { name, position } = placeOf(offset);
    content = changed(content, name, (bytes) => void (bytes[position + 75]! ^= 0x10));
  }
  return content;
}

const quarantined = (log: PartitionLog): number[][] =>
  log.reader.quarantine.places.map(({ firstOffset, nextOffset: next }) => [firstOffset, next]);
const told = ({ warnings }: TestContext, what: RegExp): number =>
  warnings.filter(({ message }) => what.test(message)).length;

/** Reads at every offset; fails when one is served with anything else than was written. Those that are refused as damaged. */
async function refused(log: PartitionLog): Promise<number[]> {
  const missing: number[] = [];
  for (let offset = log.marks.logStart; offset < END; offset += RECORDS) {
    try {
      const read = await log.reader.read(offset, { endNext: END, bytesMax: 1, atLeastOne: true });
      if (!Buffer.concat(read.buffers).equals(written.get(offset)!))
        throw new Error(`offset ${offset} is served wrong`);
    } catch (error) {
      if (!(error instanceof Fault) || error.fault !== 'corruptBatch') throw error;
      missing.push(offset);
    }
  }
  return missing;
}

// In `npm test` every third byte and one flip of it; MILLRACE_ROT_FLIPS=1 to 4 tries every byte with so many flips.
test('bytes of each file of a log flipped: what is served is what was written, all sound batches are, and a start changes nothing of that', async () => {
  const asked = Number(process.env['MILLRACE_ROT_FLIPS'] ?? 0);
  const flips = Math.max(1, asked);
  const step = asked > 0 ? 1 : 3;
  const seen = { damaged: 0, refusedStarts: 0, harmless: 0 };
  for (const [name, content] of files) {
    for (let at = 0; at < content.length; at += step) {
      for (const bits of [0x10, 0x01, 0x80, 0xff].slice(0, flips)) {
        let disk = diskOf(changed(files, name, (bytes) => void (bytes[at]! ^= bits)));
        const outcomes: unknown[] = [];
        for (let start = 0; start < 2; start += 1) {
          const context = contextOn(disk);
          try {
            const log = await openLog(context, settings, 5);
            const missing = await refused(log);
            // Twice, and the second time by what the first one learned.
            expect(await refused(log)).toEqual(missing);
            expect(log.marks.facts()).toMatchObject({ logStart: 0, acceptedNext: END });
            outcomes.push(missing);
            await log.close();
          } catch (error) {
            if (!(error instanceof Fault)) throw new Error(`byte ${at} of ${name}`, { cause: error });
            outcomes.push(error.fault);
          }
          disk = diskOf(disk.files());
        }
        expect([name, at, bits, outcomes[1]]).toEqual([name, at, bits, outcomes[0]]);
        if (name.endsWith('.log')) {
          const hit = [...batchesIn(content)].findLast((start) => start <= at)!;
          expect([at, outcomes[0]]).toEqual([at, [baseOffset(content, hit)]]);
          expect(
            disk
              .files()
              .get(name)!
              .equals(changed(files, name, (bytes) => void (bytes[at]! ^= bits)).get(name)!),
          ).toBe(true);
          seen.damaged += 1;
        } else if (outcomes[0] === 'damagedMetadata') seen.refusedStarts += 1;
        else {
          expect([name, at, outcomes[0]]).toEqual([name, at, []]);
          seen.harmless += 1;
        }
      }
    }
  }
  expect(seen.damaged).toBeGreaterThan(500);
  expect(seen.refusedStarts).toBe(Math.ceil(files.get(`${FOLDER}/checkpoint`)!.length / step) * flips);
  expect(seen.harmless).toBeGreaterThan(100);
});

describe('damaged records', () => {
  test('are told of once, by place, with what was expected and found; the list of them outlives a kill', async () => {
    const disk = diskOf(rotten(10, 12, 30));
    const context = contextOn(disk);
    const log = await openLog(context, settings, 5);
    for (let i = 0; i < 3; i += 1) expect(await refused(log)).toEqual([10, 12, 30]);
    // Two that lie side by side are one place.
    expect(told(context, /stored records are damaged/)).toBe(2);
    const { name, position } = placeOf(10);
    expect(context.warnings[0]!.facts).toMatchObject({ file: name, position, firstOffset: 10, lastOffset: 13 });
    expect(JSON.stringify(context.warnings[0]!.facts)).toMatch(
      /expected CRC-32C [0-9a-f]{8} as stored, found [0-9a-f]{8}/,
    );
    const failure = await failureOf(
      Promise.resolve(log.reader.read(10, { endNext: END, bytesMax: 1, atLeastOne: true })),
    );
    expect((failure as Fault).message).toMatch(/offsets 10 to 13: .*; what follows begins at offset 14/);
    await kill(log);
    const again = contextOn(disk.afterKill());
    const reopened = await openLog(again, settings, 5);
    expect(quarantined(reopened)).toEqual([
      [10, 14],
      [30, 32],
    ]);
    expect(await refused(reopened)).toEqual([10, 12, 30]);
    expect(told(again, /stored records are damaged/)).toBe(0);
    await kill(reopened);
  });

  test('are found by all readers at once, and listed once', async () => {
    const context = contextOn(diskOf(rotten(20)));
    const log = await openLog(context, settings, 5);
    const reads = Array.from({ length: 8 }, () =>
      failureOf(Promise.resolve(log.reader.read(20, { endNext: END, bytesMax: 1, atLeastOne: true }))),
    );
    for (const failure of await Promise.all(reads)) expect(failure).toMatchObject({ fault: 'corruptBatch' });
    expect(quarantined(log)).toEqual([[20, 22]]);
    await kill(log);
  });

  test('stop readers or are skipped, as the topic says at the time', async () => {
    const context = contextOn(diskOf(rotten(0, 14, END - RECORDS)));
    const log = await openLog(context, { ...settings, rot: 'skip' }, 5);
    const readFrom = async (offset: number): Promise<{ seen: number[]; next: number }> => {
      const seen: number[] = [];
      let next = offset;
      while (next < END) {
        const read = await log.reader.read(next, { endNext: END, bytesMax: 1, atLeastOne: true });
        for (const buffer of read.buffers) for (const at of batchesIn(buffer)) seen.push(baseOffset(buffer, at));
        expect(read.nextOffset).toBeGreaterThan(next);
        next = read.nextOffset;
      }
      return { seen, next };
    };
    const sound = [...written.keys()].filter((offset) => ![0, 14, END - RECORDS].includes(offset));
    for (let i = 0; i < 2; i += 1) expect(await readFrom(0)).toEqual({ seen: sound, next: END });
    expect((await readFrom(15)).seen[0]).toBe(16);
    expect(told(context, /readers are led past/)).toBe(3);
    log.changeSettings({ ...smallSettings, ...settings, rot: 'stop' });
    expect(await failureOf(readFrom(13))).toMatchObject({ fault: 'corruptBatch' });
    // The way that is left to a reader: to seek past them.
    const read = await log.reader.read(16, { endNext: END, bytesMax: 1, atLeastOne: true });
    expect(baseOffset(read.buffers[0]!, 0)).toBe(16);
    await kill(log);
  });

  test('at the end of the log, a reader that is led past them gets what is appended next', async () => {
    const context = contextOn(diskOf(rotten(END - RECORDS)));
    const log = await openLog(context, { ...settings, rot: 'skip' }, 5);
    const limits = { bytesMax: 1, atLeastOne: true };
    expect(await log.reader.read(END - 1, { ...limits, endNext: END })).toMatchObject({ bytes: 0, nextOffset: END });
    await append(context, log, { tag: 'next' });
    const read = await log.reader.read(END - 1, { ...limits, endNext: END + 1 });
    expect(baseOffset(read.buffers[0]!, 0)).toBe(END);
    await kill(log);
  });

  test('that are sound again, since the file was put back, are served and forgotten', async () => {
    const disk = diskOf(rotten(10, 30));
    const log = await openLog(contextOn(disk), settings, 5);
    expect(await refused(log)).toEqual([10, 30]);
    await kill(log);
    const left = new Map(disk.files());
    left.set(placeOf(10).name, files.get(placeOf(10).name)!);
    const reopened = await openLog(contextOn(diskOf(left)), settings, 5);
    expect(quarantined(reopened)).toEqual([[30, 32]]);
    expect(await refused(reopened)).toEqual([30]);
    await kill(reopened);
  });

  test('are found again when the list of them is damaged', async () => {
    const disk = diskOf(rotten(10));
    const log = await openLog(contextOn(disk), settings, 5);
    expect(await refused(log)).toEqual([10]);
    await kill(log);
    const places = `${FOLDER}/quarantine/places`;
    const { length } = disk.files().get(places)!;
    for (let at = 0; at < length; at += 1) {
      const reopened = await openLog(
        contextOn(diskOf(changed(disk.files(), places, (bytes) => void (bytes[at]! ^= 1)))),
        settings,
        5,
      );
      expect(quarantined(reopened)).toEqual([]);
      expect(await refused(reopened)).toEqual([10]);
      expect(quarantined(reopened)).toEqual([[10, 12]]);
      await kill(reopened);
    }
  });

  test('whose index is gone too do not hide what follows them', async () => {
    const { name, position } = placeOf(4);
    const length = changed(files, name, (bytes) => bytes.writeInt32BE(0x7fffffff, position + 8));
    const without = new Map([...length].filter(([path]) => !/index$/.test(path)));
    const context = contextOn(diskOf(without));
    const log = await openLog(context, settings, 5);
    expect(await refused(log)).toEqual([4]);
    expect((await log.segments[0]!.index.loaded()).offsets.length).toBeGreaterThan(1);
    await kill(log);
  });

  describe('a file that is gone from the middle, or cut', () => {
    const bases = (): number[] => segmentNames().map((name) => Number(name.slice(-24, -4)));
    const offsetsWithin = (from: number, to: number): number[] =>
      [...written.keys()].filter((offset) => offset >= from && offset < to);
    const endingIn = (base: number, ending: string): string => `${FOLDER}/${String(base).padStart(20, '0')}.${ending}`;
    const without = (isGone: (name: string) => boolean): Files => new Map([...files].filter(([name]) => !isGone(name)));

    /** What is told of records that are missing, and by what they are: the end of which file, and the next one. */
    const gapsToldIn = ({ warnings }: TestContext) =>
      warnings.filter(({ message }) => /are missing between the end of a log file and the next/.test(message));

    const gap = ([before, from, to]: number[]) => ({
      facts: {
        file: endingIn(before!, 'log'),
        endsAt: files.get(endingIn(before!, 'log'))!.length,
        firstOffset: from,
        lastOffset: to! - 1,
        nextFile: endingIn(to!, 'log'),
      },
    });

    test('the start tells, once, where its index is left', async () => {
      const [before, from, to] = bases();
      let disk = diskOf(without((name) => name === endingIn(from!, 'log')));
      for (const told of [[gap([before!, from!, to!])], []]) {
        const context = contextOn(disk);
        const log = await openLog(context, settings, 5);
        expect(gapsToldIn(context)).toMatchObject(told);
        expect(quarantined(log)).toEqual([[from, to]]);
        expect(await refused(log)).toEqual(offsetsWithin(from!, to!));
        expect(gapsToldIn(context).length).toBe(told.length);
        await kill(log);
        disk = diskOf(disk.files());
      }
      // Put back, it is forgotten.
      const log = await openLog(contextOn(diskOf(new Map([...disk.files(), ...files]))), settings, 5);
      expect([await refused(log), quarantined(log)]).toEqual([[], []]);
      await kill(log);
    });

    test('an empty file is none; that of a roll that failed is no loss, nor is an index alone', async () => {
      const [before, from, to] = bases();
      const emptied = contextOn(diskOf(new Map([...files, [endingIn(from!, 'log'), Buffer.alloc(0)]])));
      await kill(await openLog(emptied, settings, 5));
      expect(gapsToldIn(emptied)).toMatchObject([gap([before!, from!, to!])]);
      const stray = new Map(files);
      for (const ending of ['log', 'index', 'producers']) stray.set(endingIn(from! + 1, ending), Buffer.alloc(0));
      stray.set(endingIn(from! + 2, 'timeindex'), Buffer.alloc(12));
      const sound = contextOn(diskOf(stray));
      const log = await openLog(sound, settings, 5);
      expect([await refused(log), sound.warnings]).toEqual([[], []]);
      await kill(log);
    });

    test('a reader tells where nothing is left, by both files around the gap; the others are served', async () => {
      const [before, from, to] = bases();
      const context = contextOn(diskOf(without((name) => name.startsWith(endingIn(from!, '')))));
      const log = await openLog(context, settings, 5);
      expect(context.warnings).toEqual([]);
      expect(await refused(log)).toEqual(offsetsWithin(from!, to!));
      expect(gapsToldIn(context)).toMatchObject([gap([before!, from!, to!])]);
      const reading = log.reader.read(from!, { endNext: END, bytesMax: 1, atLeastOne: true });
      const fault = await failureOf(Promise.resolve(reading));
      const place = `offsets ${from} to ${to! - 1} are missing between the end of ${endingIn(before!, 'log')}`;
      expect(String(fault)).toContain(place);
      expect(String(fault)).toContain(endingIn(to!, 'log'));
      await kill(log);
    });
  });
});

describe('retention', () => {
  const segmentEnd = (i: number): number => Number(segmentNames()[i + 1]!.slice(-24, -4));
  /** The time at which all records up to an offset are over the limit of 100 ms, and no later one is. */
  const whenOld = (offset: number): number => 1000 + ((offset - RECORDS) / RECORDS) * 10 + 101;
  const byAge = { retentionMs: 100, retentionBytes: -1 };

  test('does not take a segment for old because its youngest records are damaged or its index lies', async () => {
    const youngest = segmentEnd(0) - RECORDS;
    for (const withIndex of [true, false]) {
      const content = new Map([...rotten(youngest)].filter(([name]) => withIndex || !/index$/.test(name)));
      const log = await openLog(contextOn(diskOf(content)), settings, 5);
      expect(await retire(log, byAge, whenOld(youngest))).toMatchObject({ segments: 0 });
      expect(log.marks.logStart).toBe(0);
      // Once those that follow are old, so are they.
      expect(await retire(log, byAge, whenOld(segmentEnd(1)))).toMatchObject({ segments: 2 });
      await kill(log);
    }
  });

  test('deletes a whole segment by its rules, damaged or not; what is deleted is listed no more', async () => {
    const log = await openLog(contextOn(diskOf(rotten(2))), settings, 5);
    expect(await refused(log)).toEqual([2]);
    const bytes = log.sizeBytes - log.segments[0]!.sizeBytes;
    expect(await retire(log, { retentionMs: -1, retentionBytes: bytes }, 0)).toMatchObject({ segments: 1 });
    expect(quarantined(log)).toEqual([]);
    await kill(log);
  });
});

test('what the journal proves is quarantined by a start, never cut: see journal-damage.test.ts; nothing before a checkpoint is read by it', async () => {
  const context = contextOn(diskOf(rotten(0)));
  const log = await openLog(context, settings, 5);
  expect(context.warnings).toEqual([]);
  expect(nextOffset(written.get(END - RECORDS)!, 0)).toBe(log.marks.acceptedNext);
  await kill(log);
});
