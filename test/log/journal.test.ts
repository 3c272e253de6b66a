import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { JournalReplay, PROOFS_PATH, type Proofs } from '../../src/log/journal-replay.ts';
import { readSealed } from '../../src/log/sealed-file.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Gate, hookedDisk } from './hooked-disk.ts';
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
import {
  append,
  batchOf,
  contextOn,
  failureOf,
  kill,
  openLog,
  readAll,
  settle,
  smallSettings,
  until,
} from './support.ts';

const FOLDERS = ['a', 'b'];
const settings = { segmentBytes: 1 << 20 };
const diskOf = (seed = 1): SimulatedDisk => new SimulatedDisk(new SeededRandom(seed));
const open = (disk: SimulatedDisk): Promise<Opened> => openJournaled(disk, FOLDERS, settings);

describe('a round', () => {
  test('makes appends to many logs durable that were never synced themselves', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    let syncs = 0;
    const count = (call: string): boolean => {
      if (call === 'sync') syncs += 1;
      return false;
    };
    disk.fail({ fault: 'EIO', of: count, from: 0, forEver: true });
    await Promise.all(opened.logs.map((log, i) => append(opened.context, log, batchOf({ tag: `kept-${i}` }))));
    expect(syncs).toBe(0);
    const after = await open(disk.afterPowerCut('nothing'));
    const found = await tagsOf(after);
    for (const [i, text] of found.entries()) expect(text).toContain(`kept-${i}`);
  });

  test('that ends after the end of the broker releases nothing: what only the journal has is there at the next start', async () => {
    // Whatever a round has the journal do next, and whenever the end comes.
    for (let rounds = 1; rounds <= 20; rounds += 1) {
      for (let turns = 0; turns < 8; turns += 1) {
        const disk = diskOf(rounds);
        const opened = await open(disk);
        for (let i = 0; i < rounds; i += 1) await appendGroup(opened, `kept-${i}.`);
        const last = appendGroup(opened, 'last').catch(() => {});
        for (let turn = 0; turn < turns; turn += 1) await null;
        opened.journal.abort();
        for (const log of opened.logs) log.abort(new Fault('brokerStopped'));
        await last;
        await opened.journal.settled();
        const after = await open(disk.afterPowerCut('nothing'));
        for (const text of await tagsOf(after)) expect(text).toContain(`kept-${rounds - 1}.`);
      }
    }
  });

  test('that fails ends the broker: nobody is told that it is stored, nor is anything after it', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    disk.fail({ fault: 'EIO', of: (call, path) => call === 'write' && isJournal(path), from: 0, forEver: false });
    await failureOf(append(opened.context, opened.logs[0]!, { tag: 'lost' }));
    expect(opened.context.fatal).toHaveLength(1);
    await failureOf(append(opened.context, opened.logs[0]!, { tag: 'later' }));
    // What the next start shows is then durable, though the page cache alone had it.
    const next = disk.afterKill();
    const [shown] = await tagsOf(await open(next));
    const [kept] = await tagsOf(await open(next.afterPowerCut('nothing')));
    expect(kept).toBe(shown);
  });

  test('for which the disk is full is made durable in place; of a group that was refused nothing comes back', async () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const disk = diskOf(seed);
      const opened = await open(disk);
      await warm(opened);
      const failOnce = (): void =>
        disk.fail({
          fault: 'ENOSPC',
          of: (call, path) => call === 'write' && isJournal(path),
          from: 0,
          forEver: false,
        });
      failOnce();
      await append(opened.context, opened.logs[0]!, { tag: 'in-place' });
      failOnce();
      expect(await failureOf(appendGroup(opened, 'refused'))).toMatchObject({ fault: 'diskFull', retriable: true });
      // A crash may come at once, or when the next round is written over it.
      const goesOn = seed % 3 > 0;
      if (goesOn) await appendGroup(opened, 'again');
      expect(opened.context.fatal).toEqual([]);
      const found = await tagsOf(await open(disk.afterPowerCut(seed % 2 === 0 ? 'all' : 'nothing')));
      expect(found[0]).toContain('in-place');
      for (const text of found) {
        if (goesOn) expect(text).toContain('again');
        expect(text).not.toContain('refused');
      }
    }
  });
});

test('what a failed sync left in the page cache alone is written again before anyone sees it', async () => {
  const disk = diskOf();
  const context = contextOn(disk);
  const log = await openLog(context, settings, 1, 'a');
  disk.fail({ fault: 'EIO', of: (call, path) => call === 'sync' && path.endsWith('.log'), from: 0, forEver: false });
  await failureOf(append(context, log, { tag: 'cached' }));
  expect(context.fatal).toHaveLength(1);
  const next = disk.afterKill();
  const shown = await readAll(await openLog(contextOn(next), settings, 1, 'a'));
  expect(shown.toString('latin1')).toContain('cached');
  const after = next.afterPowerCut('nothing');
  expect((await readAll(await openLog(contextOn(after), settings, 1, 'a'))).equals(shown)).toBe(true);
});

test('what lies behind the last round, from an earlier use of the file, is no round', async () => {
  const disk = diskOf();
  for (let life = 0; life < 2; life += 1) {
    const opened = await open(disk);
    expect(opened.replay.found.holdsRounds).toBe(false);
    await warm(opened);
    // The second life writes less than the first: rounds of that are left behind its own.
    for (let i = 0; i < 5 - 4 * life; i += 1) await append(opened.context, opened.logs[0]!, { tag: `${life}-${i}` });
    if (life === 1) break;
    await closeAll(opened);
  }
  const { replay, context } = await open(disk.afterPowerCut('nothing'));
  expect(replay.found).toMatchObject({ holdsRounds: true, lastNumber: 8 });
  expect(context.warnings).toEqual([]);
});

test('a journal file that cannot be opened is done without: appends are synced in place', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  const cannotOpen = (call: string, path: string): boolean => call === 'open' && isJournal(path);
  disk.fail({ fault: 'EMFILE', of: cannotOpen, from: 1, forEver: true });
  for (let i = 0; i < 40; i += 1) await append(opened.context, opened.logs[i % 2]!, { tag: `n${i}` });
  expect(await failureOf(appendGroup(opened, 'refused'))).toMatchObject({ retriable: true });
  expect(opened.context.fatal).toEqual([]);
  disk.heal();
  await appendGroup(opened, 'together');
  const found = await tagsOf(await open(disk.afterPowerCut('nothing')));
  expect(found[0]).toContain('n38');
  for (const text of found) expect(text).toContain('together');
});

test('a round holds what was appended, also when its log is synced in place, and the memory used again, before it is written', async () => {
  const disk = diskOf();
  const gate = new Gate();
  const gated = withGatedJournal(disk, gate);
  const opened = await openJournaled(gated, FOLDERS, settings);
  const { context, logs, journal } = opened;
  // Fills the first file, so that the next round has to open the second.
  await warm(opened);
  for (let i = 0; i < 7; i += 1) await append(context, logs[1]!, { tag: `fill-${i}` });
  await journal.settled();
  gate.close();
  const { nextOffset } = await append(context, logs[0]!, { tag: 'kept' }, 'written');
  const kept = logs[0]!.visible(nextOffset);
  await until(() => gate.arrived > 0);
  await logs[0]!.sync();
  await kept;
  // As large as the whole cache.
  const other = append(context, logs[1]!, { tag: 'other', valueBytes: 65_000 });
  await settle();
  gate.open();
  await other;
  const [found] = await tagsOf(await open(disk.afterPowerCut('nothing')));
  expect(found).toContain('kept');
});

test('a second file is made when half of the first is used, not before', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  const files = async (): Promise<string[]> => (await disk.list('journal')).filter((name) => /^\d+$/.test(name));
  const rounds = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) await append(opened.context, opened.logs[0]!, { tag: `round-${i}` });
    await opened.journal.settled();
  };
  await warm(opened);
  await rounds(3);
  expect(await files()).toEqual(['1']);
  await rounds(1);
  expect(await files()).toEqual(['1', '2']);
});

test('a journal is closed only when no write of it is under way any more', async () => {
  const disk = diskOf();
  const gate = new Gate();
  const calls: string[] = [];
  const gated = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (!isJournal(path)) return proceed();
    if (name === 'write') await gate.pass();
    return proceed().finally(() => calls.push(name));
  });
  const opened = await openJournaled(gated, FOLDERS, settings);
  await warm(opened);
  gate.close();
  const { nextOffset } = await append(opened.context, opened.logs[0]!, { tag: 'pending' }, 'written');
  const pending = opened.logs[0]!.visible(nextOffset);
  await until(() => gate.arrived > 0);
  for (const log of opened.logs) await log.close();
  await pending;
  const closed = opened.journal.close(true);
  await settle();
  gate.open();
  await closed;
  expect(calls.slice(-2)).toEqual(['write', 'close']);
});

test('a proof that is queued when the broker ends is not written: it would forget what is proven of every log', async () => {
  const disk = diskOf();
  const gate = new Gate();
  const gated = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (name === 'write' && path.startsWith(PROOFS_PATH)) await gate.pass();
    return proceed();
  });
  const opened = await openJournaled(gated, FOLDERS, settings);
  const { logs, journal } = opened;
  await warm(opened);
  for (const log of logs) {
    await log.sync();
    journal.note(log);
  }
  gate.close();
  journal.prove();
  await until(() => gate.arrived === 1);
  journal.prove();
  const proven = Object.fromEntries(logs.map((log) => [log.folder, log.checkpoint]));
  journal.abort();
  for (const log of logs) await kill(log);
  gate.open();
  await journal.close(false);
  const { content } = (await readSealed(disk, PROOFS_PATH)) as { content: Proofs };
  expect(Object.keys(proven)).toEqual(FOLDERS);
  expect(content.logs).toEqual(proven);
});

describe('damage in the journal', () => {
  /** Three rounds of log a, of which none is in a segment file. */
  async function threeRounds(disk: SimulatedDisk): Promise<Opened> {
    const opened = await open(disk);
    await warm(opened);
    for (const tag of ['first', 'second', 'third']) await append(opened.context, opened.logs[0]!, { tag });
    return opened;
  }

  test('before its end is told of, and the rounds behind it are used', async () => {
    const disk = diskOf();
    await file(await threeRounds(disk));
    const next = disk.afterKill();
    // The group's round lies before them.
    next.flip('journal/1', 2 * 4096 + 60, 0xff);
    const opened = await open(next);
    expect(opened.context.warnings.map(({ message }) => message).join()).toMatch(/journal is damaged before its end/);
    const [text] = await tagsOf(opened);
    for (const tag of ['first', 'second', 'third']) expect(text).toContain(tag);
  });

  test('and in the log: what is lost is told of, nothing else is cut', async () => {
    const disk = diskOf();
    await threeRounds(disk);
    disk.flip('journal/1', 2 * 4096 + 60, 0xff);
    const opened = await open(disk.afterPowerCut('nothing'));
    const messages = opened.context.warnings.map(({ message }) => message).join();
    expect(messages).toMatch(/journal is damaged before its end/);
    expect(messages).toMatch(/stored records are damaged/);
    const [log] = opened.logs;
    expect(log!.marks.acceptedNext).toBe(4);
    expect((await readAll(log!, 1 << 20, 3)).toString('latin1')).toContain('third');
    expect(await failureOf(readAll(log!, 1 << 20, 2))).toMatchObject({ fault: 'corruptBatch' });
  });

  test('at its end is the round that was being written: nobody was told that it is stored', async () => {
    const disk = diskOf();
    await threeRounds(disk);
    disk.flip('journal/1', 3 * 4096 + 60, 0xff);
    const opened = await open(disk.afterPowerCut('nothing'));
    const messages = opened.context.warnings.map(({ message }) => message);
    expect(messages[0]).toMatch(/ends in a round that is not whole/);
    expect(messages.join()).not.toMatch(/damaged|lost/);
    expect(opened.logs[0]!.marks.acceptedNext).toBe(3);
  });

  test('of its proofs refuses the start, and nothing is changed', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    await closeAll(opened);
    disk.flip('journal/proofs', 20, 0xff);
    const calls = disk.calls;
    expect(await failureOf(open(disk))).toMatchObject({ fault: 'damagedMetadata' });
    expect(disk.calls).toBe(calls);
  });
});

describe('what the journal holds of a log', () => {
  test('that is not there any more is passed over', async () => {
    const disk = diskOf();
    const opened = await open(disk);
    await warm(opened);
    await append(opened.context, opened.logs[1]!, { tag: 'deleted' });
    await append(opened.context, opened.logs[0]!, { tag: 'stays' });
    const next = disk.afterKill();
    await next.removeFolder('b');
    await next.syncFolder('.');
    const again = await openJournaled(next, ['a'], settings);
    expect((await tagsOf(again))[0]).toContain('stays');
    expect(await next.list('b')).toEqual([]);
  });

  test('and was deleted from it stays deleted', async () => {
    const disk = diskOf();
    const opened = await openJournaled(disk, ['a', 'b'], { segmentBytes: 300 });
    await warm(opened);
    for (let i = 0; i < 8; i += 1) await append(opened.context, opened.logs[0]!, { tag: `n${i}` });
    await opened.logs[0]!.trim(6);
    const again = await openJournaled(disk.afterPowerCut('nothing'), ['a', 'b'], { segmentBytes: 300 });
    expect(again.logs[0]!.marks).toMatchObject({ logStart: 6, acceptedNext: 9 });
  });
});

test('when nobody appends, nothing happens: no call of the disk, no timer', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  await warm(opened);
  for (let i = 0; i < 50; i += 1) await append(opened.context, opened.logs[i % 2]!);
  await opened.journal.settled();
  await file(opened);
  const { calls } = disk;
  expect(opened.context.clock.timers).toBe(0);
  opened.context.clock.advance(1 << 30);
  await settle();
  expect(disk.calls).toBe(calls);
});

test('a clean stop leaves nothing to replay, and the next life uses the same files', async () => {
  const disk = diskOf();
  let files: readonly string[] = [];
  for (let life = 0; life < 3; life += 1) {
    const opened = await open(disk);
    expect(opened.replay.found.holdsRounds).toBe(false);
    await warm(opened);
    await append(opened.context, opened.logs[0]!, { tag: `life-${life}` });
    await closeAll(opened);
    const now = await disk.list('journal');
    if (life > 0) expect(now).toEqual(files);
    files = now;
  }
  expect((await JournalReplay.read(disk, contextOn(disk).logger)).found.holdsRounds).toBe(false);
});

test('a group is whole in logs that sync rarely too, and in those that are set so while it waits', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await openJournaled(disk, ['a', 'b'], { flushMessages: 10 });
  await warm(opened);
  for (const log of opened.logs) await append(opened.context, log, { tag: 'alone' });
  await appendGroup(opened, 'group');
  opened.logs[0]!.changeSettings({ ...smallSettings, flushMessages: 1 });
  const waiting = appendGroup(opened, 'again');
  opened.logs[0]!.changeSettings({ ...smallSettings, flushMessages: 10 });
  await waiting;
  const again = await openJournaled(disk.afterPowerCut('nothing'), ['a', 'b']);
  for (const tags of await tagsOf(again)) for (const tag of ['alone', 'group', 'again']) expect(tags).toContain(tag);
});

test('a log of which much is written at once is synced in place', async () => {
  const disk = diskOf();
  const opened = await openJournaled(disk, FOLDERS, { segmentBytes: 1 << 30 });
  await warm(opened);
  let journaled = 0;
  const count = (call: string, path: string): boolean => {
    if (call === 'write' && isJournal(path)) journaled += 1;
    return false;
  };
  disk.fail({ fault: 'EIO', of: count, from: 0, forEver: true });
  const large = Array.from({ length: 3 }, (_, i) => batchOf({ valueBytes: 900_000, tag: i }));
  await Promise.all(large.map((batch) => append(opened.context, opened.logs[0]!, batch)));
  expect(journaled).toBe(0);
  const after = await openJournaled(disk.afterPowerCut('nothing'), FOLDERS, { segmentBytes: 1 << 30 });
  expect(after.logs[0]!.marks.highWatermark).toBe(4);
});

test('files that could not be taken over at the start are taken over later, wherever that failed', async () => {
  let failures = 0;
  for (let failAt = 0, ended = false; !ended; failAt += 1) {
    const disk = diskOf();
    const first = await open(disk);
    await warm(first);
    for (let i = 0; i < 25; i += 1) await append(first.context, first.logs[i % 2]!, { tag: `n${i}` });
    await first.journal.settled();
    const names = await disk.list('journal');
    // As one that was not finished.
    await (await disk.open('journal/9', 'create')).close();
    const next = disk.afterKill();
    let seen = 0;
    const failing = hookedDisk(next, async ({ path }, proceed) => {
      if (path.startsWith('journal') && seen++ === failAt) throw new Fault('diskError');
      return proceed();
    });
    const opened = await openJournaled(failing, FOLDERS, settings).catch(() => null);
    ended = seen <= failAt;
    // What fails before the logs are there refuses the start.
    if (opened === null) continue;
    const { context, logs, journal } = opened;
    await append(context, logs[0]!, { tag: 'in-place' });
    if (!ended) expect(context.warnings.length).toBe(1);
    context.clock.advance(10_000);
    await append(context, logs[0]!, { tag: 'asks' });
    await journal.settled();
    expect(await next.list('journal')).toEqual(names.includes('proofs') ? names : [...names, 'proofs']);
    if (!ended) failures += 1;
    let inPlace = 0;
    next.fail({
      fault: 'EIO',
      of: (call, path) => call === 'sync' && path.endsWith('.log') && ++inPlace < 0,
      from: 0,
      forEver: true,
    });
    for (let i = 0; i < 5; i += 1) await append(context, logs[0]!, { tag: `again${i}` });
    expect(inPlace).toBe(0);
    // Through all files, and the first of them again.
    for (let i = 5; i < 40; i += 1) await append(context, logs[i % 2]!, { tag: `again${i}` });
    const found = (await tagsOf(await open(next.afterPowerCut('nothing')))).join();
    for (let i = 0; i < 40; i += 1) expect(found).toContain(`again${i}.`);
  }
  expect(failures).toBeGreaterThan(5);
});

describe('a log that fell to syncs in place', () => {
  /** Appends `valueBytes` during each sync of log a's file, ten times at most, so that no sync ever finds all of it written. */
  async function neverPausing(valueBytes: number): Promise<{ inPlace: number; journaled: number }> {
    const disk = diskOf();
    let [inPlace, journaled] = [0, 0];
    const during: Promise<unknown>[] = [];
    const watched = hookedDisk(disk, async ({ name, path }, proceed) => {
      if (name === 'write' && isJournal(path) && inPlace > 0) journaled += 1;
      if (name !== 'sync' || !/^a.*log$/.test(path) || inPlace >= 10) return proceed();
      inPlace += 1;
      during.push(append(opened.context, opened.logs[0]!, { valueBytes, tag: inPlace }));
      const { acceptedNext } = opened.logs[0]!.marks;
      await until(() => opened.logs[0]!.marks.writtenNext === acceptedNext);
      return proceed();
    });
    const opened = await openJournaled(watched, FOLDERS, { segmentBytes: 1 << 30 });
    await warm(opened);
    await append(opened.context, opened.logs[0]!, { valueBytes: 1_500_000 });
    for (const one of during) await one;
    expect(during).toHaveLength(inPlace);
    return { inPlace, journaled };
  }

  test('goes back to the journal when its syncs have passed the bulk, though load never pauses', async () => {
    const { inPlace, journaled } = await neverPausing(50);
    expect(inPlace).toBeLessThan(10);
    expect(journaled).toBeGreaterThan(0);
  });

  test('stays there while more than the limit comes between two syncs', async () => {
    expect(await neverPausing(1_500_000)).toEqual({ inPlace: 10, journaled: 0 });
  });
});

test('logs without a journal and with one open the same files', async () => {
  const disk = diskOf();
  const opened = await open(disk);
  await warm(opened);
  await closeAll(opened);
  const log = await openLog(contextOn(disk), settings, 1, 'a');
  expect(log.marks.highWatermark).toBe(1);
  await log.close();
});
