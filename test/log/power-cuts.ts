import { Fault } from '../../src/base/faults.ts';
import { loadChecksum } from '../../src/log/checksum.ts';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { type FailingCall, POWER_CUTS, type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import { count } from '../long-run.ts';
import { SeededRandom } from '../seeded-random.ts';
import { closeAll, type Opened, openJournaled, SMALL_JOURNAL } from './journaled.ts';
import { batchOf, contextOn } from './opened-log.ts';

/*
 * Logs with a journal, the power going at a call of the disk, and what must be there afterwards.
 */

const FOLDERS = ['a', 'b', 'c'];
const settings = { segmentBytes: 1500, indexIntervalBytes: 200 };
/** Every third life is without a journal: each segment file is synced by itself, and groups may be there in part. */
const isJournaled = (seed: number): boolean => seed % 3 > 0;

function openAll(disk: SimulatedDisk, history: History): Promise<Opened> {
  history.openings += 1;
  return openJournaled(disk, FOLDERS, settings, { used: history.journaled, epoch: history.openings });
}

/** 'kill': the process dies, and the operating system does not. */
export type End = PowerCut | 'kill';
export const ENDS: readonly End[] = [...POWER_CUTS, 'kill'];

interface Sent {
  readonly tag: string;
  readonly group: number;
  /** Where the log said it lies; none when it was refused or not answered. */
  offset: number | null;
  /** What was promised of it. */
  acked: 'nothing' | 'written' | 'visible';
  /** Whether it was promised that it is not there: by a broker that goes on after that. */
  isRefused: boolean;
}

/** What was told to those outside, through all openings. */
class History {
  readonly journaled: boolean;
  readonly sent = FOLDERS.map(() => new Map<string, Sent>());
  readonly trimmedTo = FOLDERS.map(() => 0);
  readonly seenNext = FOLDERS.map(() => 0);
  openings = 0;
  groups = 0;
  appends = 0;
  /** Of the opening that came last. */
  logs: readonly PartitionLog[] = [];

  constructor(seed: number) {
    this.journaled = isJournaled(seed);
  }

  /** Whether something was acknowledged that the journal alone has. */
  get isBehind(): boolean {
    return this.logs.some(({ segments }) => segments.at(-1)!.unfiledBytes > 0);
  }
}

function noteSeen(history: History, { logs }: Opened): void {
  for (const [i, log] of logs.entries()) {
    history.seenNext[i] = Math.max(history.seenNext[i]!, log.marks.highWatermark);
  }
}

/** Appends to some of the logs at once; resolves when it was answered, or refused. */
async function appendSome(random: SeededRandom, history: History, opened: Opened): Promise<void> {
  const { context, logs } = opened;
  const group = history.groups++;
  const parts = FOLDERS.map((_, i) => i).filter(() => random.below(3) === 0);
  if (parts.length === 0) parts.push(random.below(FOLDERS.length));
  const until = random.below(4) === 0 ? 'written' : 'visible';
  const sent = parts.map((i): Sent => {
    const tag = `${history.appends++}`;
    const one: Sent = { tag, group, offset: null, acked: 'nothing', isRefused: false };
    history.sent[i]!.set(tag, one);
    return one;
  });
  const appends = parts.map((i, at) => ({
    log: logs[i]!,
    batch: batchOf({ tag: `${sent[at]!.tag}`, valueBytes: 8 + random.below(random.below(6) === 0 ? 900 : 60) }),
  }));
  const { parts: appended, settled } = context.syncer.append(appends, until);
  for (const [at, { baseOffset }] of appended.entries()) sent[at]!.offset = baseOffset;
  const refused = await settled.catch(expectOwnEnd);
  if (refused === undefined) for (const one of sent) one.acked = until;
  // A group that is not journaled may be there in part.
  else if (context.fatal.length === 0 && (history.journaled || sent.length === 1)) {
    for (const one of sent) one.isRefused = true;
  }
  noteSeen(history, opened);
}

/** Appends, alone and many at once, rolls, trims, a clean stop between. */
async function life(disk: SimulatedDisk, random: SeededRandom, history: History): Promise<void> {
  for (let opening = 0; opening < 2; opening += 1) {
    const opened = await openAll(disk, history);
    history.logs = opened.logs;
    noteSeen(history, opened);
    for (let step = 0; step < 14; step += 1) {
      const count = random.below(3) === 0 ? 6 : 1;
      // At once, and some while the disk is busy with those before.
      const appends = Array.from({ length: count }, async (_, i) => {
        for (let turn = random.below(3) * i; turn > 0; turn -= 1) await null;
        await appendSome(random, history, opened);
      });
      await Promise.all(appends);
      // Long enough, now and then, for the segment files to get what the journal has: while more is appended.
      opened.context.clock.advance(random.below(3) === 0 ? 100 : 20);
      if (random.below(8) === 0) {
        const i = random.below(FOLDERS.length);
        const log = opened.logs[i]!;
        const to = log.marks.logStart + random.below(log.marks.highWatermark - log.marks.logStart + 1);
        await log.trim(to);
        history.trimmedTo[i] = to;
      }
    }
    await closeAll(opened);
  }
}

function valuesOf(bytes: Buffer): { offset: number; tag: string }[] {
  const found: { offset: number; tag: string }[] = [];
  for (const at of batchesIn(bytes)) {
    for (const { offset, value } of recordsOf(bytes, at)) {
      found.push({ offset, tag: /^(\d+)\./.exec(String(value))![1]! });
    }
  }
  return found;
}

async function readLog(log: PartitionLog): Promise<{ offset: number; tag: string }[]> {
  const { logStart, highWatermark } = log.marks;
  const found: { offset: number; tag: string }[] = [];
  for (let at = logStart; at < highWatermark; ) {
    const read = await log.reader.read(at, { endNext: highWatermark, bytesMax: 4096, atLeastOne: true });
    for (const buffer of read.buffers) found.push(...valuesOf(buffer).filter(({ offset }) => offset >= at));
    must(read.nextOffset > at, () => `a read at ${at} finds nothing`);
    at = read.nextOffset;
  }
  return found;
}

/** Whatever was promised holds, and nothing is there that was not sent. Takes note of what readers see from here on. */
async function expectKept(history: History, opened: Opened, end: End): Promise<void> {
  const present: Map<string, number>[] = [];
  for (const [i, log] of opened.logs.entries()) {
    const found = await readLog(log);
    const { logStart, highWatermark } = log.marks;
    const place = FOLDERS[i]!;
    const offsets = found.map(({ offset }) => offset);
    const isWhole =
      offsets.length === highWatermark - logStart && offsets.every((offset, at) => offset === logStart + at);
    must(isWhole, () => `${place} has ${logStart} to ${highWatermark}, and in it ${offsets}`);
    must(
      logStart >= history.trimmedTo[i]!,
      () => `${place} starts at ${logStart} and was trimmed to ${history.trimmedTo[i]}`,
    );
    must(
      highWatermark >= history.seenNext[i]!,
      () => `${place} ends at ${highWatermark}, readers saw ${history.seenNext[i]}`,
    );
    const tags = new Map(found.map(({ offset, tag }) => [tag, offset]));
    must(tags.size === found.length, () => `${place} has a record twice`);
    for (const [tag] of tags) must(history.sent[i]!.has(tag), () => `${place} has ${tag}, which was never sent`);
    for (const { tag, offset, acked, isRefused } of history.sent[i]!.values()) {
      must(!isRefused || !tags.has(tag), () => `${place} has ${tag}, which was refused`);
      const promised = acked === 'visible' || (acked === 'written' && end === 'kill');
      if (!promised || offset! < logStart) continue;
      must(tags.get(tag) === offset, () => `${place} ${tag} was ${acked} at ${offset}, and is at ${tags.get(tag)}`);
    }
    present.push(tags);
  }
  if (history.journaled) expectWholeGroups(history, opened, present);
  for (const [i, log] of opened.logs.entries()) {
    history.seenNext[i] = log.marks.highWatermark;
    history.trimmedTo[i] = log.marks.logStart;
    // What is there now is durable, and stays: what is not will never come.
    for (const one of history.sent[i]!.values()) {
      if (present[i]!.has(one.tag)) Object.assign(one, { acked: 'visible', offset: present[i]!.get(one.tag) });
      else if (one.acked !== 'visible') history.sent[i]!.delete(one.tag);
    }
  }
}

function expectWholeGroups(history: History, { logs }: Opened, present: readonly Map<string, number>[]): void {
  const outcomes = new Map<number, Set<boolean>>();
  for (const [i, sent] of history.sent.entries()) {
    for (const { tag, group, offset } of sent.values()) {
      const isThere = present[i]!.has(tag);
      // One that lies before the log's start was there, or not: nobody can tell.
      if (!isThere && offset !== null && offset < logs[i]!.marks.logStart) continue;
      let seen = outcomes.get(group);
      if (seen === undefined) outcomes.set(group, (seen = new Set()));
      seen.add(isThere);
    }
  }
  for (const [group, seen] of outcomes) must(seen.size === 1, () => `group ${group} is there in part`);
}

const ended = (disk: SimulatedDisk, end: End): SimulatedDisk =>
  end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end);

/** The power goes, or the process is killed, at a call of the disk in the life that a seed decides. */
export interface Cut {
  readonly seed: number;
  readonly call: number;
  readonly end: End;
}

/** How often states were cases of what matters. */
export type Counts = Map<string, number>;

const JOURNAL_ALONE = 'cut while the journal alone had what was acknowledged';
const FILING = 'cut while that was on its way to the segment file';
const FAILING_JOURNAL_ALONE = 'disk full while the journal alone had what was acknowledged';

/** The cuts at every `step`th call of each life from the seed `from` on, with each end, until there are so many `states`. */
export async function* cuts(from: number, states: number, step: number): AsyncGenerator<Cut> {
  // Loaded by another thread, in a time of its own: the first state of a process would go another way.
  await loadChecksum();
  let made = 0;
  for (let seed = from; made < states; seed += 1) {
    const calls = await callsOf(seed);
    must(calls > 100, () => `the life of seed ${seed} makes only ${calls} calls`);
    for (let call = seed % step; call < calls && made < states; call += step) {
      for (const end of ENDS) {
        if (made++ < states) yield { seed, call, end };
      }
    }
  }
}

/** One life that ends at a call of the disk, openings that end within the recovery, and one that is left alone. */
export async function tryCut({ seed, call, end }: Cut, counts: Counts): Promise<void> {
  await loadChecksum();
  const random = new SeededRandom(seed);
  const history = new History(seed);
  let disk = new SimulatedDisk(random);
  disk.cutPowerAfter(call);
  await Promise.race([disk.died, life(disk, random, history).catch(expectOwnEnd)]);
  count(counts, `cut: ${end}`);
  if (history.isBehind) count(counts, JOURNAL_ALONE);
  if (history.isBehind && /^write [abc]\/\d+\.log$/.test(disk.lastCall)) count(counts, FILING);
  disk = ended(disk, end);
  for (let restarts = random.below(3); restarts > 0; restarts -= 1) {
    disk.cutPowerAfter(random.below(60));
    await Promise.race([disk.died, openAll(disk, history)]);
    disk = ended(disk, end === 'kill' ? 'kill' : POWER_CUTS[random.below(POWER_CUTS.length)]!);
    count(counts, 'cut in recovery');
  }
  const opened = await openAll(disk, history);
  must(opened.context.fatal.length === 0, () => `a bug: ${opened.context.fatal}`);
  const told = opened.context.warnings.map(({ message }) => message).join();
  must(!/damaged|lost|gone/.test(told), () => `no disk was damaged, and it says: ${told}`);
  await expectKept(history, opened, end);
  for (let step = 0; step < 3; step += 1) await appendSome(random, history, opened);
  // What is seen once stays, also when the next power cut comes at once.
  const last = await openAll(disk.afterPowerCut('nothing'), history);
  await expectKept(history, last, 'nothing');
}

/** A life in which calls of the disk fail, once or for ever, whose power goes then, perhaps long before its end. */
export async function tryFailing(number: number, counts: Counts): Promise<void> {
  await loadChecksum();
  const choice = new SeededRandom(number);
  const seed = 1 + choice.below(1000);
  const disk = new SimulatedDisk(new SeededRandom(seed));
  const history = new History(seed);
  const fault = (['EIO', 'ENOSPC', 'EMFILE'] as const)[choice.below(3)]!;
  const [from, forEver] = [choice.below(250), choice.below(2) === 0];
  // A disk that is full fails what takes room; one that has no handles left, what takes one.
  const of = (call: FailingCall): boolean =>
    fault === 'EMFILE' ? call === 'open' : fault === 'ENOSPC' ? call === 'write' || call === 'folder' : true;
  disk.fail({ fault, of, from, forEver });
  if (choice.below(2) === 0) disk.cutPowerAfter(choice.below(400));
  await Promise.race([disk.died, life(disk, new SeededRandom(seed), history).catch(expectOwnEnd)]);
  count(counts, `failing: ${fault} ${forEver ? 'for ever' : 'once'}`);
  if (fault === 'ENOSPC' && history.isBehind) count(counts, FAILING_JOURNAL_ALONE);
  const end = POWER_CUTS[choice.below(POWER_CUTS.length)]!;
  const opened = await openAll(disk.afterPowerCut(end), history);
  await expectKept(history, opened, end);
}

/** What too few of so many states were cases of. */
export function missingCases(counts: ReadonlyMap<string, number>, cutStates: number, failing: number): string[] {
  const least = [
    [JOURNAL_ALONE, cutStates / 10],
    [FILING, cutStates / 100],
    [FAILING_JOURNAL_ALONE, failing / 100],
  ] as const;
  return least.filter(([what, times]) => (counts.get(what) ?? 0) < times).map(([what]) => what);
}

/** @throws Error */
function must(holds: boolean, otherwise: () => string): void {
  if (!holds) throw new Error(otherwise());
}

/** A refusal that was to be expected. */
function expectOwnEnd(error: unknown): 'refused' {
  if (!(error instanceof Fault)) throw error;
  return 'refused';
}

/** How many calls of the disk a whole life makes. If it has a journal, it must have used that, and used its files again. */
async function callsOf(seed: number): Promise<number> {
  const random = new SeededRandom(seed);
  const disk = new SimulatedDisk(random);
  await life(disk, random, new History(seed));
  if (!isJournaled(seed)) return disk.calls;
  const { found } = await JournalReplay.read(disk, contextOn(disk).logger);
  must(found.generation > SMALL_JOURNAL.filesMax, () => 'a life uses no file of the journal again');
  must(!found.holdsRounds, () => 'a clean stop leaves something to replay');
  return disk.calls;
}
