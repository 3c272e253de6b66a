import { describe, expect, test } from 'vitest';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import { readWhole } from '../../src/log/sealed-file.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { closeAll, type Opened, openJournaled, tagsOf, warm } from './journaled.ts';
import { append, contextOn, failureOf, readAll } from './support.ts';

const settings = { segmentBytes: 1 << 20 };
const open = (disk: SimulatedDisk): Promise<Opened> => openJournaled(disk, ['a', 'b'], settings);

/** A disk after a power cut, on which the journal alone has the records: the rounds of a group, then of one record each. */
async function journalAlone(tags: readonly string[], hasProofs = true): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  if (!hasProofs) disk.fail({ fault: 'EIO', of: (_, path) => path === 'journal/proofs.new', from: 0, forEver: true });
  const opened = await open(disk);
  await warm(opened);
  for (const tag of tags) await append(opened.context, opened.logs[0]!, { tag });
  await opened.journal.settled();
  return disk.afterPowerCut('nothing');
}

const messagesOf = ({ context }: Opened): string => context.warnings.map(({ message }) => message).join();

test.each([16, 20, 23])(
  'a flipped bit in the generation of a file’s first round costs that round alone (byte %i)',
  async (byte) => {
    const disk = await journalAlone(['first', 'second', 'third']);
    disk.flip('journal/1', byte, 0x40);
    const opened = await open(disk);
    expect(messagesOf(opened)).toMatch(/journal is damaged before its end/);
    const { highWatermark } = opened.logs[0]!.marks;
    const read = await opened.logs[0]!.reader.read(1, { endNext: highWatermark, bytesMax: 1 << 20, atLeastOne: true });
    for (const tag of ['first', 'second', 'third'])
      expect(Buffer.concat(read.buffers).toString('latin1')).toContain(tag);
    await opened.journal.close(false);
    // What was made of it is sound for the next start.
    expect(messagesOf(await open(disk.afterPowerCut('nothing')))).not.toMatch(/journal/);
  },
);

test('the first round is missed also before anything was proven', async () => {
  const disk = await journalAlone(['first', 'second'], false);
  expect(disk.files().has('journal/proofs')).toBe(false);
  const damaged = SimulatedDisk.holding(disk.files(), new SeededRandom(1));
  damaged.flip('journal/1', 150, 1);
  expect(messagesOf(await open(damaged))).toMatch(/journal is damaged before its end/);
  expect(messagesOf(await open(disk))).toBe('');
});

test.each(['gone', 'cut'])('a file in use that is %s is told of at one start, which settles it', async (damage) => {
  const files = (await journalAlone(['first'])).files();
  if (damage === 'gone') files.delete('journal/1');
  else files.set('journal/1', files.get('journal/1')!.subarray(0, 4096));
  const said = /file of the journal that was in use is gone or cut/;
  // One that crashes before every log is proven leaves it to the next one.
  const crashing = SimulatedDisk.holding(files, new SeededRandom(1));
  for (let start = 0; start < 2; start += 1) {
    const context = contextOn(crashing);
    await JournalReplay.read(crashing, context.logger);
    expect(context.warnings.map(({ message }) => message).join()).toMatch(said);
  }
  const disk = SimulatedDisk.holding(files, new SeededRandom(1));
  expect(messagesOf(await open(disk))).toMatch(said);
  for (const after of [disk.afterPowerCut('nothing'), disk.afterKill()]) {
    const again = await open(after);
    expect(messagesOf(again)).toBe('');
    // What comes then is under generations that nothing says are released.
    await warm(again);
    await append(again.context, again.logs[0]!, { tag: 'later' });
    const last = await open(after.afterPowerCut('nothing'));
    expect(messagesOf(last)).toBe('');
    expect((await tagsOf(last))[0]).toContain('later');
  }
});

test('each damaged header of the last round is told of, since nobody knows whether it was acknowledged', async () => {
  const disk = await journalAlone(['first', 'second']);
  const files = disk.files();
  for (let byte = 0; byte < 40; byte += 1) {
    const damaged = SimulatedDisk.holding(files, new SeededRandom(1));
    damaged.flip('journal/1', 2 * 4096 + byte, 0x04);
    const opened = await open(damaged);
    expect(messagesOf(opened), `byte ${byte}`).toMatch(
      /ends in a round that is not whole.* or the disk has changed it/,
    );
    const [text] = await tagsOf(opened);
    expect(text).toContain('first');
    expect(text).not.toContain('second');
  }
});

test('a stop after which nothing is to be replayed, and files of other sizes then: nothing is missed', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await open(disk);
  await warm(opened);
  await closeAll(opened);
  await disk.remove('journal/1');
  const again = await open(disk.afterKill());
  expect(messagesOf(again)).toBe('');
});

describe('a leader epoch that is not what was written, of what was synced in place before a round of the journal', () => {
  const SEGMENT = 'a/00000000000000000000.log';

  const large = { segmentBytes: 64 << 20 };
  const at = (disk: SimulatedDisk, epoch: number) => openJournaled(disk, ['a', 'b'], large, { epoch });

  /** Bulk, of which the journal has no byte, and a round after it, which alone proves that it was durable. */
  async function unprovenBulk(): Promise<SimulatedDisk> {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const before = await at(disk, 4);
    await warm(before);
    await closeAll(before);
    const { context, logs, journal } = await at(disk, 7);
    // The journal's first round since a start comes with proofs.
    await append(context, logs[1]!, { tag: 'first' });
    for (let i = 0; i < 3; i += 1) await append(context, logs[0]!, { valueBytes: 600 << 10 });
    await append(context, logs[0]!, { tag: 'last' });
    await journal.settled();
    return disk.afterPowerCut('nothing');
  }

  test.each([0, 1, 2])('is damage of that batch alone, found again at each start: batch %i', async (batch) => {
    const whole = await unprovenBulk();
    const stored = whole.files().get(SEGMENT)!;
    const positions = [...batchesIn(stored)];
    for (const mask of [0x01, 0x02, 0x04, 0x80]) {
      let disk = SimulatedDisk.holding(whole.files(), new SeededRandom(1));
      disk.flip(SEGMENT, positions[1 + batch]! + 15, mask);
      for (let start = 0; start < 2; start += 1) {
        const { logs } = await at(disk, 8);
        const log = logs[0]!;
        const found = (await failureOf(readAll(log))) as Error;
        const where = `bit ${mask}, start ${start}`;
        expect(found.message, where).toMatch(/expected leader epoch 7, found/);
        expect(
          log.reader.quarantine.places.map(({ firstOffset }) => firstOffset),
          where,
        ).toEqual([1 + batch]);
        expect(log.epochs.at(1 + batch), where).toBe(7);
        expect(log.epochs.latest, where).toBe(7);
        expect(log.marks.highWatermark, where).toBe(5);
        disk = disk.afterPowerCut('nothing');
      }
    }
  });
});

test('where records were deleted, sound batches before the log’s start are no damage, whatever the rounds say of their epoch', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await open(disk);
  await warm(opened);
  const log = opened.logs[0]!;
  // Of two in one entry the second is known by the next entry alone.
  await Promise.all(['first', 'second'].map((tag) => append(opened.context, log, { tag })));
  await log.trim(3);
  await append(opened.context, log, { tag: 'third' });
  await opened.journal.settled();
  const again = await open(disk.afterPowerCut('nothing'));
  expect(messagesOf(again)).toBe('');
  expect(again.logs[0]!.marks).toMatchObject({ logStart: 3, highWatermark: 4 });
});

describe('the bytes of a last round that is not whole', () => {
  /** Those that are kept aside, as text. */
  async function kept(disk: SimulatedDisk): Promise<string[]> {
    const names = await disk.list('journal/quarantine');
    return Promise.all(names.map(async (name) => String(await readWhole(disk, `journal/quarantine/${name}`))));
  }

  /** The last round has a byte in its batch that is not what was written. */
  async function torn(): Promise<SimulatedDisk> {
    const disk = await journalAlone(['first', 'second']);
    disk.flip('journal/1', 2 * 4096 + 150, 1);
    return disk;
  }

  test('are kept aside before their place is used again, once, however often a start comes upon them', async () => {
    let disk = await torn();
    for (let start = 0; start < 3; start += 1) {
      const opened = await open(disk);
      await opened.journal.settled();
      disk = disk.afterKill();
    }
    const opened = await open(disk);
    await opened.journal.settled();
    for (let i = 0; i < 9; i += 1) await append(opened.context, opened.logs[0]!, { tag: `later${i}` });
    const found = await kept(disk.afterPowerCut('nothing'));
    expect(found.length).toBe(1);
    expect(found[0]).toContain('second.');
  });

  test('are kept whole when a crash has left a part of them aside', async () => {
    const [disk, whole] = [await torn(), await torn()];
    await (await open(whole)).journal.settled();
    const [name] = await whole.list('journal/quarantine');
    // As the first start leaves it that crashes on the way.
    await disk.makeFolder('journal/quarantine');
    const aside = await disk.open(`journal/quarantine/${name}`, 'create');
    await aside.write([Buffer.from('a part')], 0);
    await aside.close();
    await (await open(disk)).journal.settled();
    const found = await kept(disk);
    expect(found.length).toBe(1);
    expect(found[0]).toContain('second.');
  });

  test('are told of where a full disk has no room for them, and the start goes on', async () => {
    const disk = await torn();
    disk.fail({ fault: 'ENOSPC', of: (_, path) => path.startsWith('journal/quarantine'), from: 0, forEver: true });
    const opened = await open(disk);
    await opened.journal.settled();
    expect(messagesOf(opened)).toMatch(/could not be kept aside/);
    await append(opened.context, opened.logs[0]!, { tag: 'later' });
    expect(opened.context.fatal).toEqual([]);
  });

  test('are kept also when their file has to make room for the start', async () => {
    const opening = new SimulatedDisk(new SeededRandom(1));
    await warm(await open(opening));
    const files = opening.afterPowerCut('nothing').files();
    // As when the first round of a file is torn: nothing says yet that the file is in use.
    files.delete('journal/proofs');
    const disk = SimulatedDisk.holding(files, new SeededRandom(1));
    disk.flip('journal/1', 150, 1);
    const replay = await JournalReplay.read(disk, contextOn(disk).logger);
    expect(await replay.giveBack()).toBe(true);
    expect(await disk.list('journal')).toEqual([]);
    await replay.keepTorn();
    expect((await kept(disk))[0]).toContain('warm.');
  });
});
