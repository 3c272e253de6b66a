import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Gate } from './hooked-disk.ts';
import {
  appendGroup,
  closeAll,
  file,
  isJournal,
  type Opened,
  openJournaled,
  tagsOf,
  warm,
  withGatedJournal,
} from './journaled.ts';
import { append, batchOf, failureOf, openLog, settle, until } from './support.ts';

const FOLDERS = ['a', 'b'];
const settings = { segmentBytes: 1 << 20 };
const diskOf = (): SimulatedDisk => new SimulatedDisk(new SeededRandom(1));
const open = (disk: SimulatedDisk): Promise<Opened> => openJournaled(disk, FOLDERS, settings);

describe('a disk without room for the journal', () => {
  test('appends go on, synced in place; groups are refused until there is room', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    disk.fail({ fault: 'ENOSPC', of: (call, path) => call === 'write' && isJournal(path), from: 0, forEver: true });
    for (let i = 0; i < 30; i += 1) await append(opened.context, opened.logs[i % 2]!, { tag: `n${i}` });
    expect(await failureOf(appendGroup(opened, 'refused'))).toMatchObject({ fault: 'diskFull', retriable: true });
    disk.heal();
    await appendGroup(opened, 'together');
    const found = await tagsOf(await open(disk.afterPowerCut('nothing')));
    for (const text of found) expect(text).toContain('together');
    expect(found[0]).toContain('n28');
    expect(found.join()).not.toContain('refused');
  });

  test('a group one of whose logs waits for room in its own file is refused whole', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    disk.fail({
      fault: 'ENOSPC',
      of: (call, path) => call === 'write' && path.startsWith('b/'),
      from: 0,
      forEver: true,
    });
    await appendGroup(opened, 'in-journal');
    await file(opened);
    expect(await failureOf(appendGroup(opened, 'refused'))).toMatchObject({ fault: 'diskFull', retriable: true });
    await settle();
    disk.heal();
    await appendGroup(opened, 'together');
    for (const text of [...(await tagsOf(opened)), ...(await tagsOf(await open(disk.afterPowerCut('nothing'))))]) {
      expect(text).not.toContain('refused');
      expect(text).toContain('in-journal');
      expect(text).toContain('together');
    }
    expect(opened.logs.map((log) => log.marks.highWatermark)).toEqual([3, 3]);
  });
});

test('what was written just before the disk is full is synced and answered, though the round that was to do so is refused', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  await warm(opened);
  await file(opened);
  const { context } = opened;
  const [log] = opened.logs as [PartitionLog, PartitionLog];
  // Into its file, since nobody waits for more; then somebody does, for the round which what follows joins as well.
  const { nextOffset } = await append(context, log, { tag: 'written' }, 'written');
  let isVisible = false;
  void log.visible(nextOffset).then(() => {
    isVisible = true;
  });
  let rounds = 0;
  // What overwrites the refused round is no new block.
  const isFull = (call: string, path: string): boolean => call === 'write' && (!isJournal(path) || rounds++ === 0);
  disk.fail({ fault: 'ENOSPC', of: isFull, from: 0, forEver: true });
  expect(await failureOf(append(context, log, { tag: 'refused' }))).toMatchObject({ fault: 'diskFull' });
  await settle();
  expect(isVisible).toBe(true);
  const [text] = await tagsOf(await open(disk.afterPowerCut('nothing')));
  expect(text).toContain('written');
  expect(text).not.toContain('refused');
});

test.each(['diskFull', 'unknownPartition'] as const)(
  'a group that is refused (%s) takes what was accepted behind it along: told to be sent again, and stored then',
  async (why) => {
    const disk = diskOf();
    const opened = await open(disk);
    const { context } = opened;
    const [deleted, log] = opened.logs as [PartitionLog, PartitionLog];
    await warm(opened);
    const ofProducer = (sequence: number): Buffer =>
      batchOf({ tag: `p${sequence}`, producerId: 7, producerEpoch: 0, baseSequence: sequence });
    if (why === 'diskFull') {
      // The round before the group's finds room.
      disk.fail({ fault: 'ENOSPC', of: (call, path) => call === 'write' && isJournal(path), from: 1, forEver: false });
    }
    const before = append(context, log, ofProducer(0));
    const group = appendGroup(opened, 'refused');
    const behind = append(context, log, ofProducer(1));
    const others = append(context, log, { tag: 'other' });
    if (why === 'unknownPartition') deleted.abort(new Fault('unknownPartition'));
    for (const refused of [group, behind, others]) {
      expect(await failureOf(refused)).toMatchObject({ fault: why, retriable: true });
    }
    await before;
    disk.heal();
    expect(await append(context, log, ofProducer(1))).toMatchObject({ baseOffset: 2, duplicate: false });
    const [, text] = await tagsOf(await open(disk.afterPowerCut('nothing')));
    for (const tag of ['p0.', 'p1.']) expect(text?.split(tag).length).toBeGreaterThan(1);
    expect(text).not.toMatch(/refused|other/);
  },
);

test.each(['an append', 'a group'])(
  'of %s whose round a full disk refuses, and then to take back, nothing is said but that the broker stops',
  async (what) => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    disk.fail({ fault: 'ENOSPC', of: (call, path) => call === 'write' && isJournal(path), from: 0, forEver: true });
    const { context, logs } = opened;
    const stored = what === 'a group' ? appendGroup(opened, 'unsure') : append(context, logs[0]!, { tag: 'unsure' });
    // Its round may be whole on the disk.
    expect(await failureOf(stored)).toMatchObject({ fault: 'brokerStopped', cause: { fault: 'diskFull' } });
    expect(context.fatal[0]).toMatchObject({ fault: 'diskFull' });
  },
);

test('a log that is made on a full disk takes no file of the journal that was spare at the start: it is in use by then', async () => {
  const disk = diskOf();
  const first = await open(disk);
  await warm(first);
  await closeAll(first);
  const opened = await open(disk);
  await append(opened.context, opened.logs[0]!, { tag: 'acknowledged' });
  disk.fail({ fault: 'ENOSPC', of: (call) => call === 'write' || call === 'folder', from: 0, forEver: true });
  expect(await failureOf(openLog(opened.context, settings, 1, 'another'))).toMatchObject({ fault: 'diskFull' });
  expect(await disk.list('journal')).toContain('1');
  const [found] = await tagsOf(await open(disk.afterPowerCut('nothing')));
  expect(found).toContain('acknowledged');
});

describe('a disk that is full for a log', () => {
  const files = async (disk: SimulatedDisk): Promise<string[]> =>
    (await disk.list('journal')).filter((name) => /^\d+$/.test(name));
  const refuseOnce = (disk: SimulatedDisk, ofCall: string, start: string): void =>
    disk.fail({
      fault: 'ENOSPC',
      of: (call, path) => call === ofCall && path.startsWith(start) && path.endsWith('.log'),
      from: 0,
      forEver: false,
    });

  test.each(['write', 'open'])(
    'at a %s: free files but the first are given back, and made again when there is room',
    async (call) => {
      const disk = diskOf();
      const opened = await openJournaled(disk, FOLDERS, { segmentBytes: call === 'open' ? 1000 : 1 << 20 });
      const { context, logs, journal } = opened;
      await warm(opened);
      for (let i = 0; i < 5; i += 1) await append(context, logs[1]!, { tag: i });
      await journal.settled();
      expect(await files(disk)).toEqual(['1', '2']);
      refuseOnce(disk, call, 'a/');
      const refused = append(context, logs[0]!, { tag: 'refused', valueBytes: 900 }, 'written');
      expect(await failureOf(refused)).toMatchObject({ fault: 'diskFull' });
      await journal.settled();
      expect(await files(disk)).toEqual(['1']);
      for (let i = 0; i < 5; i += 1) await append(context, logs[0]!, { tag: `between${i}` });
      await journal.settled();
      expect(await files(disk)).toEqual(['1']);
      context.clock.advance(10_000);
      for (let i = 0; i < 5; i += 1) {
        await append(context, logs[0]!, { tag: `after${i}` });
        await journal.settled();
      }
      expect(await files(disk)).toEqual(['1', '3']);
      const [found] = await tagsOf(await openJournaled(disk.afterPowerCut('nothing'), FOLDERS));
      for (let i = 0; i < 5; i += 1) for (const tag of ['between', 'after']) expect(found).toContain(`${tag}${i}`);
      expect(found).not.toContain('refused');
    },
  );

  test('leaves the file alone that the next round is about to go into', async () => {
    const disk = diskOf();
    const gate = new Gate();
    const gated = withGatedJournal(disk, gate);
    const opened = await openJournaled(gated, FOLDERS, settings);
    const { context, logs, journal } = opened;
    await warm(opened);
    for (let i = 0; i < 7; i += 1) await append(context, logs[1]!, { tag: i });
    await journal.settled();
    gate.close();
    const kept = append(context, logs[0]!, { tag: 'kept' });
    await until(() => gate.arrived > 0);
    refuseOnce(disk, 'write', 'b/');
    await failureOf(append(context, logs[1]!, { tag: 'refused' }, 'written'));
    await settle();
    gate.open();
    await kept;
    await append(context, logs[0]!, { tag: 'next' });
    expect(await files(disk)).toEqual(['1', '2']);
    const [found] = await tagsOf(await open(disk.afterPowerCut('nothing')));
    for (const tag of ['kept', 'next']) expect(found).toContain(tag);
  });
});

test.each([true, false])(
  'the oldest segments may be gone before a checkpoint says so (with a journal: %s)',
  async (journaled) => {
    const disk = diskOf();
    const segments = { segmentBytes: 600 };
    const opened = await openJournaled(disk, FOLDERS, segments);
    const { context, logs } = opened;
    const log = logs[0]!;
    if (journaled) await warm(opened);
    const fillTo = async (count: number): Promise<void> => {
      while (log.segments.length < count) await append(context, log, { tag: 'old' }).catch(() => {});
    };
    await fillTo(2);
    // A checkpoint that cannot be written names the second; what it says of it is where it began.
    disk.fail({
      fault: 'ENOSPC',
      of: (call, path) => call === 'write' && path.startsWith('a/checkpoint'),
      from: 0,
      forEver: true,
    });
    await fillTo(3);
    await append(context, log, { tag: 'stays' });
    const { baseOffset } = log.segments.at(-1)!;
    expect(await failureOf(log.trim(baseOffset))).toMatchObject({ fault: 'diskFull' });
    await append(context, log, { tag: 'after' });
    const { acceptedNext } = log.marks;
    const again = await openJournaled(disk.afterPowerCut('nothing'), FOLDERS, segments);
    expect(again.logs[0]!.marks).toMatchObject({ logStart: baseOffset, acceptedNext });
    const [found] = await tagsOf(again);
    for (const tag of ['stays', 'after']) expect(found).toContain(tag);
    const messages = again.context.warnings.map(({ message }) => message);
    expect(messages).toEqual([expect.stringMatching(/starts later than its checkpoint says/)]);
  },
);
