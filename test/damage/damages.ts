import { Fault } from '../../src/base/faults.ts';
import { BATCH_HEADER_BYTES, batchesIn } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { Folder } from './folders.ts';
import { type Findings, type OpenedBroker, openOn, readPartition, Stored, type StoredRecord, send } from './stored.ts';

/** One file of a folder that is not what was written: a byte of it flipped, its end cut off, or all of it gone. */
export interface Damage {
  readonly path: string;
  readonly what: string;
  /** Null: the file is gone. */
  readonly bytes: Buffer | null;
}

/**
 * `refused`: the broker does not start, says why, and starts with all there when the file is put back. `told`: it starts, and
 * what is lost its readers are told of. `mended`: all is there, and a warning says that something was wrong. `harmless`: all is there.
 */
export type Outcome = 'refused' | 'told' | 'mended' | 'harmless';

/** Longer than anything here takes on a busy machine; what takes so long never ends. */
const HANG_MS = 30_000;

/** What a broker makes of the damage. @throws Error when it breaks the promise that this file is about */
export async function outcomeOf(folder: Folder, damage: Damage): Promise<Outcome> {
  const files = new Map(folder.files);
  if (damage.bytes === null) files.delete(damage.path);
  else files.set(damage.path, damage.bytes);
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
async function judge(
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

/** What is sent from now on is stored, and is there after another start, with all that was there before. */
async function expectGoesOn(
  opened: OpenedBroker,
  disk: SimulatedDisk,
  before: Pick<Stored, 'records' | 'offsets' | 'deletedTopics' | 'clusterId'>,
): Promise<void> {
  const stored = Object.assign(new Stored(), before);
  for (const [name, partitions] of stored.records) {
    for (const i of partitions.keys()) await send(opened, stored, name, i, ['later']);
  }
  await opened.broker.close();
  const again = await openOn(disk);
  const { outcome } = await judge(again, stored);
  if (outcome === 'told') throw new Error('records were lost at the second start');
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
  const place = path.startsWith('ledger/') ? 'ledger ' : '';
  return `${place}${path.endsWith('checkpoint') ? 'checkpoint' : path.slice(path.lastIndexOf('.'))}`;
}

/** Bits of a byte to flip: each by itself where a header is; of contents the ends and all; of what a journal file is filled up with, one. */
function masksAt(path: string, bytes: Buffer, at: number): readonly number[] {
  if (path.startsWith('journal/') && path !== 'journal/proofs') {
    const block = bytes.subarray(at - (at % 4096), at - (at % 4096) + 4096);
    const used = block.findLastIndex((byte) => byte !== 0) + 1;
    if (at % 4096 >= used) return [255];
    return at % 4096 < 36 ? EACH_BIT : SOME_BITS;
  }
  return path.endsWith('.log') && !isInHeader(bytes, at) ? SOME_BITS : EACH_BIT;
}

const EACH_BIT = [1, 2, 4, 8, 16, 32, 64, 128, 255];
const SOME_BITS = [1, 128, 255];

function isInHeader(log: Buffer, at: number): boolean {
  const start = [...batchesIn(log)].findLast((position) => position <= at) ?? 0;
  return at - start < BATCH_HEADER_BYTES;
}

/** Every damage of a folder's files, or every n-th of them. */
export function* damagesOf({ files }: Folder, every = 1): Generator<Damage> {
  let turn = 0;
  for (const [path, bytes] of files) {
    yield { path, what: 'gone', bytes: null };
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of masksAt(path, bytes, at)) {
        if (turn++ % every !== 0) continue;
        const changed = Buffer.from(bytes);
        changed[at]! ^= mask;
        yield { path, what: `byte ${at} ^ ${mask}`, bytes: changed };
      }
    }
    for (let length = 0; length < bytes.length; length += 1) {
      // Of a journal file's padding each 64th, and those around the ends of its blocks.
      const matters = !/^journal\/\d/.test(path) || length % 64 < 2 || length % 4096 > 4090;
      if (matters && turn++ % every === 0) yield { path, what: `cut to ${length}`, bytes: bytes.subarray(0, length) };
    }
  }
}
