import { expect, test } from 'vitest';
import { Journal } from '../../src/log/journal.ts';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Gate, hookedDisk } from './hooked-disk.ts';
import { type Opened, openJournaled, SMALL_JOURNAL, warm } from './journaled.ts';
import { append, contextOn, failureOf, openLog, readAll, settle } from './support.ts';

const MIB = 1024 * 1024;
const SEGMENT = 'a/00000000000000000000.log';
const open = (disk: SimulatedDisk): Promise<Opened> => openJournaled(disk, ['a'], { segmentBytes: 64 * MIB });

/** A broker's first records, which are synced in place, each on its own. */
async function young(opened: Opened): Promise<void> {
  for (let i = 0; i < 3; i += 1) await append(opened.context, opened.logs[0]!, { tag: i });
  expect(await opened.context.disk.list('journal')).toEqual([]);
}

/** More than the journal takes of one log at once. */
async function bulk(opened: Opened): Promise<void> {
  for (let i = 0; i < 3; i += 1) await append(opened.context, opened.logs[0]!, { valueBytes: 2 * MIB });
}

/** Opens what a killed process left, after a byte of its first batch has changed; tells what its reader finds, and where it ends. */
async function afterRot(disk: SimulatedDisk): Promise<{ damaged: number[]; endNext: number; told: string }> {
  const next = disk.afterKill();
  next.flip(SEGMENT, 70, 1);
  const { logs, context } = await open(next);
  const [log] = logs as [PartitionLog];
  await failureOf(readAll(log));
  return {
    damaged: log.reader.quarantine.places.map(({ firstOffset }) => firstOffset),
    endNext: log.marks.highWatermark,
    told: context.warnings.map(({ message }) => message).join(),
  };
}

test.each([
  { what: 'the first records of a broker, which has no journal yet', write: young },
  { what: 'bulk, which the journal does not take', write: bulk },
])('a second after it is synced in place it is proven, and rot in it is no torn tail: $what', async ({ write }) => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await open(disk);
  await write(opened);
  opened.context.clock.advance(1000);
  await settle();
  await opened.journal.settled();
  const { damaged, endNext, told } = await afterRot(disk);
  expect(told).toMatch(/stored records are damaged/);
  expect({ damaged, endNext }).toEqual({ damaged: [0], endNext: 3 });
});

test('proofs are written once a second while more is synced, and not when nothing is', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await open(disk);
  const written = async (): Promise<number | undefined> => {
    opened.context.clock.advance(1000);
    await settle();
    return disk.files().get('journal/proofs')?.length;
  };
  expect(await written()).toBe(undefined);
  await young(opened);
  expect(await written()).toBeGreaterThan(0);
  const { calls } = disk;
  await written();
  expect(disk.calls).toBe(calls);
});

test('what was synced while the journal of an earlier process was taken over is proven when that is done', async () => {
  const first = new SimulatedDisk(new SeededRandom(1));
  await warm(await openJournaled(first, ['a', 'b']));
  const disk = first.afterKill();
  const gate = new Gate();
  const hooked = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (name === 'sync' && path === 'journal/1') await gate.pass();
    return proceed();
  });
  const context = contextOn(hooked);
  const replay = await JournalReplay.read(hooked, context.logger);
  const journal = new Journal(context, replay, SMALL_JOURNAL);
  const log = await openLog({ ...context, replay }, { segmentBytes: 64 * MIB }, 1, 'a');
  context.syncer.useJournal(journal);
  gate.close();
  journal.start(replay);
  await append(context, log, { tag: 'meanwhile' });
  context.clock.advance(1000);
  await settle();
  gate.open();
  await journal.settled();
  await settle();
  const found = await JournalReplay.read(disk.afterKill(), context.logger);
  expect(found.latest('a', null)?.durableNext).toBe(2);
});
