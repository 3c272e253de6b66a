import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { type DiskCall, hookedDisk, isLogFile, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextOn,
  copyOf,
  dropCache,
  failureOf,
  filesOf,
  kill,
  logFiles,
  oneSegment,
  openLog,
  readAll,
  settle,
  smallSettings,
  type TestContext,
  tempFolder,
  until,
  withLogOf,
} from './support.ts';

const full = (): Fault => new Fault('diskFull');
const broken = (): Fault => new Fault('diskError');

/** A disk on which calls that `fails` picks fail; a write leaves a part of its bytes behind. */
function failing(root: string, fails: (call: DiskCall) => Fault | null): TestContext {
  const disk = hookedDisk(unsyncedDisk(realDisk(root)), async (call, proceed) => {
    const fault = fails(call);
    if (fault === null) return proceed();
    if (call.name === 'write') await call.writePart(70);
    throw fault;
  });
  return contextOn(disk);
}

const isWrite = ({ name, path }: DiskCall): boolean => name === 'write' && isLogFile(path);

/** An idempotent producer's i-th batch. */
const numbered = (i: number): Buffer =>
  batchOf({ producerId: 9, producerEpoch: 0, baseSequence: i, valueBytes: 50, tag: i });

const textOf = (i: number): string => Buffer.alloc(50, `${i}.`).toString();

function valuesIn(bytes: Buffer): Map<number, string> {
  const values = new Map<number, string>();
  for (const at of batchesIn(bytes))
    for (const { offset, value } of recordsOf(bytes, at)) values.set(offset, String(value));
  return values;
}

describe('a write fails', () => {
  test('once, with more appended behind it: all of these are refused, none of those before', async () => {
    const root = tempFolder();
    let failNext = false;
    const context = failing(root, (call) => (isWrite(call) && failNext ? full() : null));
    const log = await openLog(context, oneSegment);
    await append(context, log, numbered(0));
    const before = logFiles(root);
    failNext = true;
    const refused = [1, 2, 3].map((i) => failureOf(append(context, log, numbered(i))));
    for (const error of await Promise.all(refused)) expect(error).toMatchObject({ fault: 'diskFull' });
    failNext = false;
    expect(log.marks.facts()).toMatchObject({ acceptedNext: 1, writtenNext: 1, highWatermark: 1 });
    expect(logFiles(root).equals(before)).toBe(true);
    expect((await readAll(log)).equals(before)).toBe(true);
    // A retry of what was refused is no duplicate, and gets the offsets that were given before.
    for (const i of [1, 2, 3]) {
      expect(await append(context, log, numbered(i))).toEqual({ baseOffset: i, nextOffset: i + 1, duplicate: false });
    }
    expect(context.fatal).toEqual([]);
    const bytes = logFiles(root);
    expect((await readAll(log)).equals(bytes)).toBe(true);
    await kill(log);
    await withLogOf(root, async (opened, again) => {
      expect((await readAll(opened)).equals(bytes)).toBe(true);
      expect(await append(again, opened, numbered(3))).toMatchObject({ duplicate: true });
    });
  });

  test('for a while: reads go on, and appends from the first moment at which there is room', async () => {
    const root = tempFolder();
    let room = true;
    const context = failing(root, (call) => (call.name === 'write' && !room ? full() : null));
    const log = await openLog(context);
    let stored = 0;
    for (let round = 0; round < 60; round += 1) {
      room = round % 7 < 4;
      const attempt = append(context, log, numbered(stored));
      if (room) {
        expect(await attempt).toMatchObject({ baseOffset: stored });
        stored += 1;
      } else expect(await failureOf(attempt)).toMatchObject({ fault: 'diskFull' });
      expect((await readAll(log)).equals(logFiles(root))).toBe(true);
      expect(log.marks.highWatermark).toBe(stored);
    }
    // Some of the failures were in the midst of a roll.
    expect(log.segments.length).toBeGreaterThan(2);
    await kill(log);
    await withLogOf(root, async (opened) => expect(opened.marks.acceptedNext).toBe(stored));
  });

  test('for want of room, again and again: it is told once a second, with how many; another failure at once', async () => {
    let fault: Fault | null = full();
    const context = failing(tempFolder(), (call) => (isWrite(call) ? fault : null));
    const log = await openLog(context, oneSegment);
    const refuse = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i += 1) await failureOf(append(context, log, numbered(0)));
    };
    const told = () => context.warnings.filter(({ message }) => message.startsWith('writes failed'));
    await refuse(20);
    expect(told()).toMatchObject([{ facts: { writes: 1, batches: 1, err: { fault: 'diskFull' } } }]);
    context.clock.advance(1000);
    await refuse(5);
    expect(told().slice(1)).toMatchObject([{ facts: { writes: 20, batches: 20 } }]);
    fault = broken();
    await refuse(1);
    expect(told().slice(2)).toMatchObject([{ facts: { writes: 5, err: { fault: 'diskError' } } }]);
    await kill(log);
  });

  test('while it runs, more is accepted: what came after it is refused with it', async () => {
    const root = tempFolder();
    let arrived = 0;
    const release = Promise.withResolvers<void>();
    const disk = hookedDisk(unsyncedDisk(realDisk(root)), async (call, proceed) => {
      if (!isWrite(call) || arrived++ > 0) return proceed();
      await release.promise;
      throw full();
    });
    const context = contextOn(disk);
    const log = await openLog(context);
    const first = append(context, log, numbered(0));
    await until(() => arrived === 1);
    const second = append(context, log, numbered(1));
    const retry = append(context, log, numbered(0), 'written');
    release.resolve();
    for (const one of [first, second, retry]) expect(await failureOf(one)).toMatchObject({ fault: 'diskFull' });
    expect(await append(context, log, numbered(0))).toMatchObject({ baseOffset: 0, duplicate: false });
    await kill(log);
  });

  test('a retry of what is stored, waiting behind what fails, is answered all the same', async () => {
    const root = tempFolder();
    let fail = false;
    let failed = 0;
    const release = Promise.withResolvers<void>();
    const disk = hookedDisk(unsyncedDisk(realDisk(root)), async (call, proceed) => {
      if (call.name === 'sync' && isLogFile(call.path)) await release.promise;
      if (!isWrite(call) || !fail) return proceed();
      failed += 1;
      throw full();
    });
    const context = contextOn(disk);
    const log = await openLog(context, oneSegment);
    const first = append(context, log, numbered(0));
    await until(() => log.marks.writtenNext === 1);
    fail = true;
    const second = failureOf(append(context, log, numbered(1)));
    const retry = append(context, log, numbered(0));
    await until(() => failed === 1);
    release.resolve();
    await first;
    await second;
    expect(await retry).toMatchObject({ duplicate: true, baseOffset: 0 });
    await kill(log);
  });

  test.each([
    ['broken', broken],
    ['full', full],
  ])(
    'and cannot be taken back: nothing is said of it but that the broker stops, a later start is sound: %s',
    async (_, refused) => {
      const root = tempFolder();
      let fail = false;
      const context = failing(root, (call) => {
        if (!fail || !isLogFile(call.path)) return null;
        return call.name === 'write' ? full() : call.name === 'truncate' ? refused() : null;
      });
      const log = await openLog(context, oneSegment);
      await append(context, log, numbered(0));
      fail = true;
      const { fault } = refused();
      // It may be stored all the same.
      expect(await failureOf(append(context, log, numbered(1)))).toMatchObject({
        fault: 'brokerStopped',
        cause: { fault },
      });
      expect(context.fatal).toMatchObject([{ fault }]);
      fail = false;
      expect(await failureOf(append(context, log, numbered(1)))).toBeInstanceOf(Fault);
      await kill(log);
      await withLogOf(root, async (opened) => expect(opened.marks.acceptedNext).toBe(1));
    },
  );
});

describe('a sync fails', () => {
  test.each([
    ['the syncer’s', oneSegment],
    ['a roll’s', { ...smallSettings, segmentBytes: 10, flushMessages: 1000 }],
    ['that of a clean stop', { ...oneSegment, flushMessages: 1000 }],
  ])('%s: the broker is told at once, and nothing is acknowledged ever after', async (which, settings) => {
    const root = tempFolder();
    let fail = false;
    let syncs = 0;
    const disk = hookedDisk(realDisk(root), async (call, proceed) => {
      if (call.name !== 'sync' || !isLogFile(call.path)) return proceed();
      syncs += 1;
      if (fail) {
        // The next one would succeed: the operating system tells of lost bytes only once.
        fail = false;
        throw broken();
      }
      return proceed();
    });
    const context = contextOn(disk);
    const log = await openLog(context, settings);
    await append(context, log, numbered(0));
    const { durableNext, highWatermark } = log.marks;
    const checkpoint = fs.readdirSync(`${root}/p`).includes('checkpoint');
    fail = true;
    const waits = [1, 2, 3].map((i) => append(context, log, numbered(i)).catch((error: unknown) => error));
    if (which === 'that of a clean stop') {
      await Promise.all(waits);
      await log.close();
    } else {
      for (const outcome of await Promise.all(waits)) expect(outcome).toBeInstanceOf(Fault);
    }
    expect(context.fatal).toMatchObject([{ fault: 'diskError' }]);
    const after = syncs;
    expect(await failureOf(append(context, log, numbered(1)))).toBeInstanceOf(Fault);
    await log.close();
    await settle();
    expect(syncs).toBe(after);
    expect(log.marks.durableNext).toBe(durableNext);
    if (settings.flushMessages === 1) expect(log.marks.highWatermark).toBe(highWatermark);
    // Nothing that was not synced is called proven.
    expect(fs.readdirSync(`${root}/p`).includes('checkpoint')).toBe(checkpoint);
    expect(filesOf(root, '.log').length).toBe(1);
  });
});

describe('every call of the disk fails once, one after the other', () => {
  /** One life of a log, from its opening to its end. What was acknowledged, in order. */
  async function life(context: TestContext, stored: Map<number, number>): Promise<PartitionLog | null> {
    const log = await openLog(context).catch((error: unknown) => error);
    if (log instanceof Error) {
      expect(log).toBeInstanceOf(Fault);
      return null;
    }
    const opened = log as PartitionLog;
    for (let i = 0; i < 25; i += 1) {
      const outcome = await append(context, opened, numbered(i)).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(Fault);
        // What clients do.
        const again = await append(context, opened, numbered(i)).catch((error: unknown) => error);
        if (again instanceof Error) break;
        stored.set(i, (again as { baseOffset: number }).baseOffset);
      } else stored.set(i, (outcome as { baseOffset: number }).baseOffset);
      if (i === 15) await opened.trim(5).catch((error: unknown) => expect(error).toBeInstanceOf(Fault));
    }
    return opened;
  }

  test.each(['diskFull', 'diskError'] as const)(
    '%s: what was acknowledged is there, once, at its offset',
    async (kind) => {
      let calls = 0;
      const root = tempFolder();
      const counting = contextOn(
        hookedDisk(unsyncedDisk(realDisk(root)), async (_, proceed) => {
          calls += 1;
          return proceed();
        }),
      );
      const complete = new Map<number, number>();
      await (await life(counting, complete))!.close();
      expect(complete.size).toBe(25);
      let injected = 0;
      for (let failAt = 1; failAt <= calls; failAt += 1) {
        const folder = tempFolder();
        let seen = 0;
        const context = failing(folder, (call) => {
          if (++seen !== failAt || call.name === 'read') return null;
          injected += 1;
          return new Fault(kind);
        });
        const stored = new Map<number, number>();
        const log = await life(context, stored);
        const copy = copyOf(folder);
        if (log !== null) {
          const closed = await log.close().catch((error: unknown) => error);
          if (closed !== undefined) expect(closed).toBeInstanceOf(Fault);
        }
        for (const left of [folder, copy]) {
          await withLogOf(left, async (opened, again) => {
            const values = valuesIn(await readAll(opened));
            const { logStart, acceptedNext } = opened.marks;
            for (const [i, offset] of stored) {
              if (offset >= logStart) expect(values.get(offset)).toBe(textOf(i));
              expect(offset).toBeLessThan(acceptedNext);
            }
            expect(new Set(values.values()).size).toBe(values.size);
            const [last, lastOffset] = [...stored].at(-1) ?? [];
            if (last === undefined) return;
            expect(await append(again, opened, numbered(last))).toMatchObject({
              duplicate: true,
              baseOffset: lastOffset,
            });
          });
          fs.rmSync(left, { recursive: true });
        }
      }
      expect(injected).toBeGreaterThan(100);
    },
  );
});

describe('trimming', () => {
  test('on a full disk makes room, and what it could not write then is written with the next', async () => {
    const root = tempFolder();
    let room = true;
    const context = failing(root, (call) => (call.name === 'write' && !room ? full() : null));
    const log = await openLog(context);
    for (let i = 0; i < 40; i += 1) await append(context, log, numbered(i));
    const filesBefore = filesOf(root, '.log').length;
    room = false;
    expect(await failureOf(log.trim(30))).toMatchObject({ fault: 'diskFull' });
    expect(filesOf(root, '.log').length).toBeLessThan(filesBefore);
    expect(log.marks.logStart).toBe(log.segments[0]!.baseOffset);
    room = true;
    await log.trim(30);
    await kill(log);
    await withLogOf(root, async (opened) => expect(opened.marks.logStart).toBe(30));
  });

  test('on a full disk that refuses to remove a file, too, tells readers of a start at which they can read', async () => {
    const root = tempFolder();
    let isFull = false;
    let kept = '';
    const context = failing(root, ({ name, path }) => {
      return isFull && (name === 'write' || (name === 'remove' && path === kept)) ? full() : null;
    });
    const log = await openLog(context, { segmentBytes: 500 });
    for (let i = 0; i < 40; i += 1) await append(context, log, numbered(i));
    kept = log.segments[1]!.logPath;
    isFull = true;
    expect(await failureOf(log.trim(30))).toMatchObject({ fault: 'diskFull' });
    isFull = false;
    expect(filesOf(root, '.log')[0]).toContain(kept);
    const { logStart } = log.marks;
    expect(logStart).toBe(log.segments[0]!.baseOffset);
    dropCache(context);
    expect([...valuesIn(await readAll(log)).keys()][0]).toBe(logStart);
    await log.trim(30);
    expect(filesOf(root, '.log').length).toBe(log.segments.length);
    await kill(log);
    await withLogOf(root, async (opened) => expect(opened.marks.logStart).toBe(30));
  });

  test('that fails leaves the start where it was: readers were told of one that a power cut brought back', async () => {
    const root = tempFolder();
    let fail = false;
    const context = failing(root, ({ name }) => (name === 'rename' && fail ? broken() : null));
    const log = await openLog(context);
    for (let i = 0; i < 40; i += 1) await append(context, log, numbered(i));
    fail = true;
    expect(await failureOf(log.trim(30))).toMatchObject({ fault: 'diskError' });
    expect(log.marks.logStart).toBe(0);
    fail = false;
    await log.trim(30);
    expect(log.marks.logStart).toBe(30);
    await kill(log);
  });

  test('that failed while files were removed removes them when it is asked again', async () => {
    const root = tempFolder();
    let fail = false;
    const context = failing(root, ({ name }) => (name === 'remove' && fail ? broken() : null));
    const log = await openLog(context);
    for (let i = 0; i < 40; i += 1) await append(context, log, numbered(i));
    fail = true;
    expect(await failureOf(log.trim(30))).toMatchObject({ fault: 'diskError' });
    fail = false;
    await log.trim(30);
    expect(filesOf(root, '.log').length).toBe(log.segments.length);
    await kill(log);
  });
});

test('an opening that fails gives all files back, and leaves the folder as it can be opened', async () => {
  const root = tempFolder();
  const source = contextOn(unsyncedDisk(realDisk(root)));
  const log = await openLog(source);
  for (let i = 0; i < 30; i += 1) await append(source, log, numbered(i));
  await kill(log);
  fs.appendFileSync(filesOf(root, '.log').at(-1)!, 'torn');
  const whole = logFiles(root).subarray(0, -4);
  for (let failAt = 0, ended = false; !ended; failAt += 1) {
    const copy = copyOf(root);
    let seen = 0;
    let handles = 0;
    const disk = hookedDisk(unsyncedDisk(realDisk(copy)), async (call, proceed) => {
      if (call.name !== 'close' && seen++ === failAt) throw full();
      const result = await proceed();
      if (call.name === 'open') handles += 1;
      if (call.name === 'close') handles -= 1;
      return result;
    });
    const outcome = await openLog(contextOn(disk)).catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ fault: 'diskFull' });
      expect(handles).toBe(0);
    } else {
      await kill(outcome as PartitionLog);
      ended = true;
    }
    await withLogOf(copy, async (opened) => expect((await readAll(opened)).equals(whole)).toBe(true));
    fs.rmSync(copy, { recursive: true });
  }
});
