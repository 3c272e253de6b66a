import { Fault } from '../../src/base/faults.ts';
import { BATCH_HEADER_BYTES, batchesIn } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { count } from '../long-run.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { Folder } from './folders.ts';
import {
  type Findings,
  type OpenedBroker,
  openOn,
  readPartition,
  Stored,
  type StoredRecord,
  send,
  sendAgain,
} from './stored.ts';

/** One file of a folder that is not what was written: a byte of it flipped, its end cut off, or all of it gone. */
export interface Damage {
  readonly path: string;
  readonly what: string;
  /** Makes of the file's bytes what is there instead; null: the file is gone. */
  readonly change: ((bytes: Buffer) => Buffer) | null;
}

/**
 * `refused`: the broker does not start, says why, and starts with all there when the file is put back. `told`: it starts, and
 * what is lost its readers are told of. `mended`: all is there, and a warning says that something was wrong. `harmless`: all is there.
 */
export type Outcome = 'refused' | 'told' | 'mended' | 'harmless';

/** Longer than anything here takes on a busy machine; what takes so long never ends. */
const HANG_MS = 30_000;

/** What a broker makes of the damage. @throws Error when it breaks the promise that this file is about */
async function outcomeOf(folder: Folder, damage: Damage): Promise<Outcome> {
  const files = new Map(folder.files);
  if (damage.change === null) files.delete(damage.path);
  else files.set(damage.path, damage.change(folder.files.get(damage.path)!));
  const disk = SimulatedDisk.holding(files, new SeededRandom(1));
  let opened: OpenedBroker;
  try {
    opened = await openOn(disk);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    await expectWholeAgain(folder, damage, disk);
    return 'refused';
  }
  const { outcome, records } = await judge(opened, folder.stored);
  await expectGoesOn(opened, disk, { ...folder.stored, records });
  return outcome;
}

/** What may become of each kind of file; all else is a broken promise. */
const allowed: Readonly<Record<string, readonly Outcome[]>> = {
  'millrace.json': ['refused', 'harmless'],
  checkpoint: ['refused', 'harmless'],
  'ledger checkpoint': ['refused', 'harmless'],
  compacted: ['refused', 'harmless'],
  'journal/proofs': ['refused', 'harmless', 'mended'],
  'journal file': ['harmless', 'mended', 'told'],
  'ledger .log': ['refused', 'harmless', 'mended'],
  '.log': ['told', 'harmless', 'mended'],
  '.log.cleaned': ['told', 'harmless', 'mended'],
};
const caches: readonly Outcome[] = ['harmless', 'mended'];

const cacheKinds = [
  ...['.index', '.timeindex', '.producers', '.sums', 'quarantine'],
  ...['ledger .index', 'ledger .timeindex', 'ledger .producers'],
];

export const textOf = ({ path, what }: Damage): string => `${path} ${what}`;

/** Tries a damage. Counts what became of it by the kind of file; returns what is wrong, or null. */
export async function tryDamage(folder: Folder, damage: Damage, counts: Map<string, number>): Promise<string | null> {
  const kind = kindOf(damage.path);
  let wrong: string | null = null;
  const outcome = await inTime(outcomeOf(folder, damage)).catch((error: Error) => {
    wrong = error.name === 'Error' ? error.message : error.stack!;
    return 'BROKEN' as const;
  });
  count(counts, `${kind}: ${outcome}`);
  if (outcome === 'BROKEN') return wrong;
  // A log whose checkpoint is gone is told of. One that has damage is cut there, as at a crash: its bytes are kept.
  const isGone = kind === 'checkpoint' && damage.change === null && ['told', 'mended'].includes(outcome);
  return isGone || (allowed[kind] ?? caches).includes(outcome) ? null : outcome;
}

/** The kinds of files that none of these is of. */
export function missingKinds(paths: Iterable<string>): string[] {
  const found = new Set([...paths].map(kindOf));
  return [...Object.keys(allowed), ...cacheKinds].filter((kind) => !found.has(kind));
}

/** Rejects when the work never ends. */
export function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('hangs')), HANG_MS);
  });
  return Promise.race([work, hang]).finally(() => clearTimeout(timer));
}

type Records = Map<string, StoredRecord[][]>;

/** Holds a broker against what was acknowledged; returns those of the records that are as they were. */
export async function judge(
  { broker, told: all }: OpenedBroker,
  stored: Stored,
): Promise<{ outcome: Outcome; records: Records }> {
  // Damage that was known before is counted at each start.
  const told = all.filter((line) => !line.startsWith('stored records are damaged; millrace offsets'));
  const found: Findings = { lost: 0, missing: 0, broken: [] };
  const records: Records = new Map();
  if (broker.identity.clusterId !== stored.clusterId) found.broken.push('another cluster id');
  for (const [name, partitions] of stored.records) {
    const topic = broker.topics.find(name);
    if (topic?.partitions.length !== partitions.length) {
      found.broken.push(`topic ${name} has ${topic?.partitions.length} partitions`);
      continue;
    }
    const exact: StoredRecord[][] = [];
    for (const [i, known] of partitions.entries()) {
      const log = topic.partition(i);
      const missingBefore = found.missing;
      exact.push(await readPartition(log, known, found));
      const isTold = told.some((line) => line.includes(log.folder) || /^(the|a file of the) journal/.test(line));
      if (found.missing > missingBefore && !isTold)
        found.broken.push(`${log.folder}: records are gone, nothing is logged`);
    }
    records.set(name, exact);
  }
  for (const name of stored.deletedTopics) if (broker.topics.find(name) !== null) found.broken.push(`${name} is back`);
  for (const [key, offset] of stored.offsets) {
    const [group, topic] = key.split(' ') as [string, string];
    const committed = broker.groups.offsets(group, null, -1).get(topic)?.get(0)?.offset;
    if (committed !== offset) found.broken.push(`${group} has committed ${committed} instead of ${offset}`);
  }
  found.broken.push(...told.filter((line) => line.startsWith('NO FAULT')));
  if (broker.stopped !== null) found.broken.push(`the broker stopped itself: ${broker.stopped.message}`);
  if (found.broken.length > 0) throw new Error(`${found.broken.slice(0, 5).join('; ')}; told: ${told.join(' | ')}`);
  const outcome = found.lost + found.missing > 0 ? 'told' : told.length > 0 ? 'mended' : 'harmless';
  return { outcome, records };
}

/**
 * What is sent from now on is stored, and is there after another start, with all that was there before; what was sent before is
 * known when it is sent again, at both.
 */
async function expectGoesOn(
  opened: OpenedBroker,
  disk: SimulatedDisk,
  before: Pick<Stored, 'records' | 'offsets' | 'deletedTopics' | 'clusterId' | 'lastBatches'>,
): Promise<void> {
  const stored = Object.assign(new Stored(), before);
  await sendAgain(opened, stored);
  for (const [name, partitions] of stored.records) {
    for (const i of partitions.keys()) await send(opened, stored, name, i, ['later'], { key: 'later' });
  }
  await opened.broker.close();
  const again = await openOn(disk);
  const { outcome } = await judge(again, stored);
  if (outcome === 'told') throw new Error('records were lost at the second start');
  await sendAgain(again, stored);
  await again.broker.close();
}

/** A start that was refused has destroyed nothing. */
async function expectWholeAgain(folder: Folder, { path }: Damage, disk: SimulatedDisk): Promise<void> {
  const files = disk.files();
  files.set(path, folder.files.get(path)!);
  const opened = await openOn(SimulatedDisk.holding(files, new SeededRandom(1)));
  const { outcome } = await judge(opened, folder.stored);
  if (outcome === 'told') throw new Error('a start that was refused has lost records');
  await opened.broker.close();
}

/** The kind of a file, by its path. */
export function kindOf(path: string): string {
  if (path.startsWith('journal/')) return path === 'journal/proofs' ? 'journal/proofs' : 'journal file';
  if (path === 'millrace.json') return path;
  if (path.includes('/quarantine/')) return 'quarantine';
  if (path.includes('.log.cleaned-')) return '.log.cleaned';
  if (path.includes('.sums.cleaned-')) return '.sums';
  const place = path.startsWith('ledger/') ? 'ledger ' : '';
  return `${place}${path.slice(Math.max(path.lastIndexOf('.'), path.lastIndexOf('/') + 1))}`;
}

/** Bits of a byte to flip: each by itself where a header is; of contents the ends and all; of what something is filled up with, all. */
const EACH_BIT = [1, 2, 4, 8, 16, 32, 64, 128, 255];
const SOME_BITS = [1, 128, 255];
const ONE_CHANGE = [255];
/** As many equal bytes fill something up. */
const FILLING_BYTES = 64;
const JOURNAL_BLOCK_BYTES = 4096;
const JOURNAL_HEADER_BYTES = 36;

/** For each byte of a file the bits to flip. */
export function masksOf(path: string, bytes: Buffer): (readonly number[])[] {
  const masks: (readonly number[])[] = Array(bytes.length).fill(EACH_BIT);
  if (path.startsWith('journal/') && path !== 'journal/proofs') {
    for (let start = 0; start < bytes.length; start += JOURNAL_BLOCK_BYTES) {
      const block = bytes.subarray(start, start + JOURNAL_BLOCK_BYTES);
      const used = block.findLastIndex((byte) => byte !== 0) + 1;
      masks.fill(SOME_BITS, start + Math.min(used, JOURNAL_HEADER_BYTES), start + used);
      masks.fill(ONE_CHANGE, start + used, start + block.length);
    }
  } else if (path.endsWith('.log')) {
    masks.fill(SOME_BITS);
    let start = 0;
    for (let at = 1; at <= bytes.length; at += 1) {
      if (bytes[at] === bytes[start]) continue;
      if (at - start > FILLING_BYTES) masks.fill(ONE_CHANGE, start, at);
      start = at;
    }
    for (const start of batchesIn(bytes)) masks.fill(EACH_BIT, start, start + BATCH_HEADER_BYTES);
  }
  return masks;
}

/** Every damage of a folder's files, always in the same order. */
export function* damagesOf({ files, damaged = () => true }: Folder): Generator<Damage> {
  for (const [path, bytes] of files) {
    if (!damaged(path)) continue;
    yield { path, what: 'gone', change: null };
    for (const [at, masks] of masksOf(path, bytes).entries()) {
      for (const mask of masks)
        yield { path, what: `byte ${at} ^ ${mask}`, change: (whole) => flipped(whole, at, mask) };
    }
    for (let length = 0; length < bytes.length; length += 1) {
      // Of a journal file's padding each 64th, and those around the ends of its blocks.
      const matters = !/^journal\/\d/.test(path) || length % 64 < 2 || length % JOURNAL_BLOCK_BYTES > 4090;
      if (matters) yield { path, what: `cut to ${length}`, change: (whole) => whole.subarray(0, length) };
    }
  }
}

function flipped(whole: Buffer, at: number, mask: number): Buffer {
  const changed = Buffer.from(whole);
  changed[at]! ^= mask;
  return changed;
}
