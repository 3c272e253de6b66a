import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { Filing } from '../../src/log/filing.ts';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchBytes, batchesIn } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Gate, hookedDisk } from './hooked-disk.ts';
import { closeAll, file, isJournal, type Opened, openJournaled, tagsOf, warm } from './journaled.ts';
import { append, batchOf, dropCache, failureOf, ManualClock, readAll, settle, until } from './support.ts';

const FOLDERS = ['a', 'b'];
const settings = { segmentBytes: 1 << 20, indexIntervalBytes: 200 };
const diskOf = (): SimulatedDisk => new SimulatedDisk(new SeededRandom(1));
const open = (disk: SimulatedDisk): Promise<Opened> => openJournaled(disk, FOLDERS, settings);
const fileBytes = (disk: SimulatedDisk, log: PartitionLog): Promise<number | null> =>
  disk.size(log.segments.at(-1)!.logPath);
const isSegmentWrite = (call: string, path: string): boolean => call === 'write' && /^[ab]\/\d+\.log$/.test(path);

describe('what is in the journal and not in its segment yet', () => {
  test('is acknowledged, seen, and then written with what came meanwhile: one write for each log', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    const [log, other] = opened.logs as [PartitionLog, PartitionLog];
    await warm(opened);
    await file(opened);
    const before = (await fileBytes(disk, log))!;
    let writes = 0;
    const count = (call: string, path: string): boolean => isSegmentWrite(call, path) && ++writes < 0;
    disk.fail({ fault: 'EIO', of: count, from: 0, forEver: true });
    for (let i = 0; i < 6; i += 1) await append(opened.context, i % 3 === 0 ? other : log, { tag: `n${i}` });
    expect(writes).toBe(0);
    expect(await fileBytes(disk, log)).toBe(before);
    expect(log.marks).toMatchObject({ highWatermark: 5, durableNext: 5 });
    await file(opened);
    expect(writes).toBe(2);
    expect(await fileBytes(disk, log)).toBe(log.sizeBytes);
    expect(await fileBytes(disk, other)).toBe(other.sizeBytes);
  });

  test('is read from memory when it is in no cache any more: from every offset, by time, across the file’s end', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    const [log] = opened.logs as [PartitionLog];
    await warm(opened);
    const timed = (i: number): Buffer => batchOf({ tag: `n${i}`, count: 1 + (i % 3), timestampsMs: [1000 + i] });
    for (let i = 0; i < 10; i += 1) await append(opened.context, log, timed(i));
    await file(opened);
    for (let i = 10; i < 20; i += 1) await append(opened.context, log, timed(i));
    expect(log.segments[0]!.unfiledBytes).toBeGreaterThan(0);
    const seen = await readAll(log);
    dropCache(opened.context);
    for (const bytesMax of [1, 300, 1 << 20]) expect((await readAll(log, bytesMax)).equals(seen)).toBe(true);
    for (const at of batchesIn(seen)) {
      const found = await readAll(log, 1, Number(seen.readBigInt64BE(at)));
      expect(found.subarray(0, batchBytes(seen, at)).equals(seen.subarray(at, at + batchBytes(seen, at)))).toBe(true);
    }
    expect(await log.segments[0]!.index.maxTimestampMs()).toBe(1019);
    await file(opened);
    expect(log.segments[0]!.unfiledBytes).toBe(0);
    dropCache(opened.context);
    expect((await readAll(log)).equals(seen)).toBe(true);
  });

  test('is there after a crash, also one in the middle of its write', async () => {
    for (const end of ['kill', 'all', 'nothing', 'prefix', 'torn'] as const) {
      const disk = diskOf();
      const opened = await open(disk);
      await warm(opened);
      for (let i = 0; i < 10; i += 1) await append(opened.context, opened.logs[0]!, { tag: `n${i}` });
      const calls = end === 'nothing' ? null : disk.calls;
      if (calls !== null) {
        disk.cutPowerAfter(0);
        opened.context.clock.advance(100);
        await disk.died;
      }
      const after = await open(end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end));
      const [found] = await tagsOf(after);
      for (let i = 0; i < 10; i += 1) expect(found, end).toContain(`n${i}.`);
      expect(after.context.warnings).toEqual([]);
    }
  });

  test('goes to the file before what is written there at once, and before the segment is ended', async () => {
    const disk = diskOf();
    const opened = await openJournaled(disk, FOLDERS, { ...settings, segmentBytes: 700 });
    const [log] = opened.logs as [PartitionLog];
    await warm(opened);
    for (let i = 0; i < 20; i += 1) {
      await append(opened.context, log, { tag: `n${i}` }, i % 3 === 0 ? 'written' : 'visible');
      const last = log.segments.at(-1)!;
      expect(await fileBytes(disk, log)).toBe(last.sizeBytes - last.unfiledBytes);
    }
    expect(log.segments.length).toBeGreaterThan(2);
    await log.visible(log.marks.writtenNext);
    const [found] = await tagsOf(await openJournaled(disk.afterPowerCut('nothing'), FOLDERS, settings));
    for (let i = 0; i < 20; i += 1) expect(found).toContain(`n${i}.`);
  });

  test('is not written any more when its log has ended', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    await file(opened);
    await append(opened.context, opened.logs[0]!);
    const { calls } = disk;
    opened.logs[0]!.abort(new Fault('unknownPartition'));
    await opened.logs[0]!.close();
    await file(opened);
    expect(disk.calls).toBe(calls);
  });
});

describe('a disk that is full when what was acknowledged is to be filed', () => {
  const refuse = (disk: SimulatedDisk): void =>
    disk.fail({
      fault: 'ENOSPC',
      of: (call, path) => isSegmentWrite(call, path) && path.startsWith('a/'),
      from: 0,
      forEver: true,
    });

  /** Log a has acknowledged five records that its file has no room for. */
  async function refused(disk: SimulatedDisk): Promise<Opened> {
    const opened = await open(disk);
    await warm(opened);
    await file(opened);
    refuse(disk);
    for (let i = 0; i < 5; i += 1) await append(opened.context, opened.logs[0]!, { tag: `n${i}` });
    await file(opened);
    return opened;
  }

  test('refuses its appends, serves its readers, lets others go on, and resumes by itself when there is room', async () => {
    const disk = diskOf();
    const opened = await refused(disk);
    const { context } = opened;
    const [log, other] = opened.logs as [PartitionLog, PartitionLog];
    dropCache(context);
    for (const stage of ['written', 'visible'] as const) {
      const error = await failureOf(append(context, log, { tag: 'refused' }, stage));
      expect(error).toMatchObject({ fault: 'diskFull', retriable: true });
    }
    await append(context, other, { tag: 'other' });
    const [found] = await tagsOf(opened);
    for (let i = 0; i < 5; i += 1) expect(found).toContain(`n${i}.`);
    expect(found).not.toContain('refused');
    disk.heal();
    context.clock.advance(1000);
    await settle();
    expect(await fileBytes(disk, log)).toBe(log.sizeBytes);
    expect(log.segments[0]!.unfiledBytes).toBe(0);
    await append(context, log, { tag: 'again' });
    expect(context.fatal).toEqual([]);
    const [kept] = await tagsOf(await open(disk.afterPowerCut('nothing')));
    for (const tag of ['n0.', 'n4.', 'again']) expect(kept).toContain(tag);
  });

  test.each(['kill', 'nothing', 'torn'] as const)('loses nothing of it when it ends so (%s)', async (end) => {
    const disk = diskOf();
    const opened = await refused(disk);
    const next = await open(end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end));
    const [found] = await tagsOf(next);
    for (let i = 0; i < 5; i += 1) expect(found).toContain(`n${i}.`);
    expect(next.logs[0]!.marks.acceptedNext).toBe(opened.logs[0]!.marks.acceptedNext);
  });

  test('does not end as a clean stop: the journal keeps what it has, also when its file is full meanwhile', async () => {
    const disk = diskOf();
    const opened = await refused(disk);
    // The journal goes on to its second file while log a is closed: what the first has of it must stay.
    const fill = async (tag: string): Promise<void> => {
      for (let i = 0; i < 9; i += 1) await append(opened.context, opened.logs[1]!, { tag: `${tag}${i}` });
      await opened.journal.settled();
    };
    opened.context.clock.advance(10_000);
    await fill('before');
    expect(await failureOf(opened.logs[0]!.close())).toMatchObject({ fault: 'diskFull' });
    for (const tag of ['between', 'fill']) {
      opened.context.clock.advance(10_000);
      await fill(tag);
    }
    await opened.logs[1]!.close();
    await opened.journal.close(false);
    const next = await open(disk.afterPowerCut('nothing'));
    const [found, other] = await tagsOf(next);
    for (let i = 0; i < 5; i += 1) expect(found).toContain(`n${i}.`);
    expect(other).toContain('fill8.');
  });

  test('one that is deleted then holds no part of the journal back', async () => {
    const disk = diskOf();
    const opened = await refused(disk);
    opened.logs[0]!.abort(new Fault('unknownPartition'));
    await opened.logs[0]!.close();
    opened.context.clock.advance(10_000);
    for (let i = 0; i < 60; i += 1) {
      await append(opened.context, opened.logs[1]!, { tag: `n${i}` });
      await opened.journal.settled();
    }
    const { found } = await JournalReplay.read(disk, opened.context.logger);
    expect(found.generation).toBeGreaterThan(4);
  });
});

test.each([true, false])(
  'a start on a full disk takes the room of what the journal does not need (there is some: %s); without any, nothing is lost',
  async (hasSpare) => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    // The journal's second file is made when half of the first is used.
    for (let i = 0; i < (hasSpare ? 5 : 2); i += 1) await append(opened.context, opened.logs[0]!, { tag: `n${i}.` });
    await opened.journal.settled();
    const files = hasSpare ? ['1', '2'] : ['1'];
    expect((await disk.list('journal')).filter((name) => /^\d+$/.test(name))).toEqual(files);
    const next = disk.afterPowerCut('nothing');
    let isFull = true;
    const full = hookedDisk(next, async ({ name, path }, proceed) => {
      if (name === 'remove' && isJournal(path)) isFull = false;
      if (isFull && name === 'write') throw new Fault('diskFull');
      return proceed();
    });
    if (!hasSpare) {
      expect(await failureOf(openJournaled(full, FOLDERS, settings))).toMatchObject({ fault: 'diskFull' });
      isFull = false;
    }
    const again = await openJournaled(full, FOLDERS, settings);
    await append(again.context, again.logs[0]!, { tag: 'after' });
    const [found] = await tagsOf(await open(next.afterPowerCut('nothing')));
    for (const tag of ['warm', 'n0', 'n1', 'after']) expect(found).toContain(tag);
    if (hasSpare) expect(found).toContain('n4');
  },
);

test('any other failure then ends the broker, and the next start has what was acknowledged', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  await warm(opened);
  await append(opened.context, opened.logs[0]!, { tag: 'kept' });
  disk.fail({ fault: 'EIO', of: isSegmentWrite, from: 0, forEver: false });
  await file(opened);
  expect(opened.context.fatal).toMatchObject([{ fault: 'diskError' }]);
  expect(await failureOf(append(opened.context, opened.logs[0]!))).toBeInstanceOf(Fault);
  const [found] = await tagsOf(await open(disk.afterPowerCut('nothing')));
  expect(found).toContain('kept');
});

test('without a free handle an append is refused before it is in the journal, and the broker goes on', async () => {
  const disk = diskOf();
  const first = await open(disk);
  await warm(first);
  await closeAll(first);
  const opened = await open(disk);
  disk.fail({ fault: 'EMFILE', of: (call, path) => call === 'open' && path.endsWith('.log'), from: 0, forEver: true });
  expect(await failureOf(append(opened.context, opened.logs[0]!, { tag: 'refused' }))).toMatchObject({
    fault: 'diskError',
  });
  disk.heal();
  await append(opened.context, opened.logs[0]!, { tag: 'again' });
  await file(opened);
  expect(opened.context.fatal).toEqual([]);
  const [found] = await tagsOf(opened);
  expect(found).toContain('again');
  expect(found).not.toContain('refused');
});

test('a log is closed only when no write of it is under way any more', async () => {
  const disk = diskOf();
  const gate = new Gate();
  const calls: string[] = [];
  const gated = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (name === 'write' && path.endsWith('.log')) await gate.pass();
    return proceed().finally(() => path === 'a/00000000000000000000.log' && calls.push(name));
  });
  const opened = await openJournaled(gated, FOLDERS, settings);
  await warm(opened);
  gate.close();
  opened.context.clock.advance(100);
  await until(() => gate.arrived === 1);
  opened.logs[0]!.abort(new Fault('unknownPartition'));
  const closed = opened.logs[0]!.close();
  await settle();
  gate.open();
  await closed;
  expect(calls.slice(-2)).toEqual(['write', 'close']);
  expect(opened.context.fatal).toEqual([]);
});

describe('filing', () => {
  /** A log that notes when it is asked, and is asked no more until it is let go. */
  class Log {
    readonly asked: PromiseWithResolvers<boolean>[] = [];
    file(): Promise<boolean> {
      const one = Promise.withResolvers<boolean>();
      this.asked.push(one);
      return one.promise;
    }
  }

  test('asks one log after the other, the one that waits longest first, and begins sooner when much waits', async () => {
    const clock = new ManualClock();
    const filing = new Filing(clock);
    const logs = [new Log(), new Log(), new Log()] as const;
    filing.note(logs[1], 10);
    filing.note(logs[0], 10);
    expect(clock.timers).toBe(1);
    filing.note(logs[1], 5 << 20);
    const asked = (): number[] => logs.map((log) => log.asked.length);
    expect(asked()).toEqual([0, 1, 0]);
    expect(filing.isFull).toBe(false);
    filing.note(logs[2], 16 << 20);
    expect(filing.isFull).toBe(true);
    filing.note(logs[1], 0);
    logs[1].asked[0]!.resolve(true);
    await settle();
    expect(asked()).toEqual([1, 1, 0]);
    filing.note(logs[0], 0);
    logs[0].asked[0]!.resolve(true);
    await settle();
    // What came meanwhile has its turn.
    expect(asked()).toEqual([1, 1, 1]);
    filing.note(logs[2], 0);
    logs[2].asked[0]!.resolve(true);
    await settle();
    expect(filing.isFull).toBe(false);
    clock.advance(10_000);
    await settle();
    expect(asked()).toEqual([1, 1, 1]);
    expect(clock.timers).toBe(0);
  });

  test('asks again a while after a full disk has refused', async () => {
    const clock = new ManualClock();
    const filing = new Filing(clock);
    const log = new Log();
    filing.note(log, 20 << 20);
    for (let attempt = 1; attempt < 4; attempt += 1) {
      expect(log.asked.length).toBe(attempt);
      log.asked.at(-1)!.resolve(false);
      await settle();
      clock.advance(999);
      await settle();
      expect(log.asked.length).toBe(attempt);
      clock.advance(1);
      await settle();
    }
  });

  test('waits that while also when more and more comes of other logs, whatever time was set before', async () => {
    const clock = new ManualClock();
    const filing = new Filing(clock);
    const [stuck, other] = [new Log(), new Log()];
    filing.note(stuck, 10);
    clock.advance(50);
    filing.note(stuck, 5 << 20);
    stuck.asked[0]!.resolve(false);
    await settle();
    for (let ms = 0; ms < 900; ms += 100) {
      filing.note(other, 1000 + ms);
      clock.advance(100);
      await settle();
    }
    expect([stuck.asked.length, other.asked.length]).toEqual([1, 0]);
    clock.advance(100);
    await settle();
    expect(stuck.asked.length).toBe(2);
    // There is room again: what comes then waits as long as ever.
    filing.note(stuck, 0);
    stuck.asked[1]!.resolve(true);
    await settle();
    filing.note(other, 0);
    other.asked[0]!.resolve(true);
    await settle();
    filing.note(stuck, 10);
    clock.advance(100);
    await settle();
    expect(stuck.asked.length).toBe(3);
  });
});
