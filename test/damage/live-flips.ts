import { Fault } from '../../src/base/faults.ts';
import { POWER_CUTS, type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import { count } from '../long-run.ts';
import { SeededRandom } from '../seeded-random.ts';
import { inTime, judge, kindOf, masksOf } from './damages.ts';
import { copyOfStored, type Folder } from './folders.ts';
import { type OpenedBroker, openOn, type Stored, send, sendAgain } from './stored.ts';

/** A bit of a byte that changes while a broker runs on the file. */
export interface LiveFlip {
  readonly path: string;
  readonly at: number;
  readonly mask: number;
  /** Whether more is sent before, so that the journal alone may have it, or afterwards, with time for what the broker does by itself. */
  readonly isLate: boolean;
  /** Whether all is read at once, so that readers are the first to come upon it. */
  readonly isRead: boolean;
  /** How that broker ends. */
  readonly end: 'stop' | 'kill' | PowerCut;
}

const FILLING_EVERY = 16;
const ENDS: readonly LiveFlip['end'][] = ['stop', 'stop', 'kill', 'kill', ...POWER_CUTS];
/** Of files of any other kind the bytes are never all that there is of a record. */
const HOLD_RECORDS = ['.log', '.log.cleaned', 'journal file'];

const diskOf = (folder: Folder): SimulatedDisk => SimulatedDisk.holding(folder.files, new SeededRandom(1));

/** A flip of each byte (of what something is filled up with, some) of each file that is there while a broker runs, always in the same order. */
export async function liveFlipsOf(folder: Folder): Promise<LiveFlip[]> {
  const disk = diskOf(folder);
  const { broker } = await openOn(disk);
  const files = disk.files();
  await broker.close();
  const random = new SeededRandom(3);
  const flips: LiveFlip[] = [];
  for (const [path, bytes] of files) {
    for (const [at, masks] of masksOf(path, bytes).entries()) {
      // What something is filled up with is worth less.
      if (masks.length === 1 && at % FILLING_EVERY !== 0) continue;
      const [isLate, isRead] = [random.below(2) === 0, random.below(2) === 0];
      const mask = 1 << random.below(8);
      flips.push({ path, at, mask, isLate, isRead, end: ENDS[random.below(ENDS.length)]! });
    }
  }
  return flips;
}

export const textOf = ({ path, at, mask, isLate, isRead, end }: LiveFlip): string =>
  `${path} byte ${at} ^ ${mask} while it runs, ${isLate ? 'late' : 'early'}, ${isRead ? 'read' : 'not read'}, then ${end}`;

/** Tries a flip. Counts what became of it by the kind of file; returns what is wrong, or null. */
export async function tryLiveFlip(folder: Folder, flip: LiveFlip, counts: Map<string, number>): Promise<string | null> {
  let wrong: string | null = null;
  const became = await inTime(becameOf(folder, flip)).catch((error: Error) => {
    wrong = error.name === 'Error' ? error.message : error.stack!;
    return 'BROKEN';
  });
  count(counts, `${kindOf(flip.path)}, ${became}`);
  return wrong;
}

/** What became of it. @throws Error when it breaks the promise */
async function becameOf(folder: Folder, { path, at, mask, isLate, isRead, end }: LiveFlip): Promise<string> {
  const disk = diskOf(folder);
  const opened = await openOn(disk);
  const stored = copyOfStored(folder.stored);
  const judged = async (by: OpenedBroker): Promise<string> => {
    const { outcome, records } = await judge(by, stored);
    if (outcome === 'told' && !HOLD_RECORDS.includes(kindOf(path))) throw new Error('records are lost');
    stored.records = records;
    return outcome;
  };
  if (isLate) await sendMore(opened, stored);
  disk.flip(path, at, mask);
  const running = isRead ? await judged(opened) : 'not read';
  if (!isLate) {
    await goOn(opened);
    await sendMore(opened, stored);
    const again = await judged(opened);
    if (isRead && again === 'told') throw new Error('more is lost when it is read again');
  }
  if (end === 'stop') await opened.broker.close();
  const next = end === 'stop' ? disk : end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end);
  let isRefused = false;
  const again = await openOn(next, 2).catch((error: unknown) => {
    if (!(error instanceof Fault)) throw error;
    isRefused = true;
    next.flip(path, at, mask);
    return openOn(next, 2);
  });
  const atNextStart = await judged(again);
  if (isRefused && atNextStart === 'told') throw new Error('a start that was refused has lost records');
  await sendAgain(again, stored);
  await again.broker.close();
  return `${isLate ? 'late' : 'early'}, running: ${running}, at the next start: ${isRefused ? 'refused' : atNextStart}`;
}

async function sendMore(opened: OpenedBroker, stored: Stored): Promise<void> {
  for (const [name, partitions] of stored.records) {
    for (const i of partitions.keys()) await send(opened, stored, name, i, ['later'], { key: 'later' });
  }
}

/** Time for what the broker does by itself: retention, compaction, proofs. */
async function goOn({ clock }: OpenedBroker): Promise<void> {
  for (let time = 0; time < 8; time += 1) {
    clock.advance(5_000);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
