import type { Fault } from '../../src/base/faults.ts';
import { BlockSums } from '../../src/log/block-sums.ts';
import { readCheckpoint } from '../../src/log/checkpoint.ts';
import { loadChecksum } from '../../src/log/checksum.ts';
import { interimName, readCompacted } from '../../src/log/compacted-segments.ts';
import { JournalReplay } from '../../src/log/journal-replay.ts';
import type { CompactedProof } from '../../src/log/segment-sums.ts';
import { BATCH_HEADER_BYTES, baseOffset, batchBytes, checkBatch, nextOffset } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { Damages } from './damages.ts';
import type { HistoryRecorder, Place } from './history.ts';
import type { Machine } from './machine.ts';
import { oneIn, pick } from './random-streams.ts';
import type { TopicPlans } from './topic-plans.ts';

export interface RotContext {
  readonly random: SeededRandom;
  readonly machine: Machine;
  readonly history: HistoryRecorder;
  readonly topics: TopicPlans;
  readonly damages: Damages;
  readonly process: number;
}

type Files = ReadonlyMap<string, Buffer>;

/** A flipped bit that is in no batch of a topic: the start that follows must get by without it, or name its file. */
interface Flip {
  readonly kind: string;
  readonly path: string;
  readonly position: number;
  readonly mask: number;
  /** All files as they were before. */
  readonly before: Files;
}

/** A batch of a segment file, and the offsets that are lost with it. */
interface Stored {
  /** Where it lies now: a segment that compaction wrote last may not have its name yet. */
  readonly path: string;
  readonly position: number;
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** Attempts to find a byte that means something. */
const ATTEMPTS_MAX = 20;

/**
 * Flips bits of files while the broker is down after a power cut, when all that the disk has is durable. A bit of a topic's
 * record batch stays as it is, or is flipped back after a later cut; any other is flipped back as soon as the broker has
 * refused to start for it.
 */
export class Rot {
  readonly #context: RotContext;
  #flip: Flip | null = null;

  constructor(context: RotContext) {
    this.#context = context;
  }

  /** Flips one bit of some file. Returns of what kind of file; null when there was nothing to flip. */
  async flip(): Promise<string | null> {
    const { random, machine } = this.#context;
    const files = machine.disk.files();
    const byKind = Map.groupBy(files.keys(), kindOf);
    byKind.delete('aside');
    const segments = byKind.get('segment') ?? [];
    byKind.delete('segment');
    if (segments.length > 0 && oneIn(random, 2)) return this.#flipRecord(files, segments);
    const kind = oneIn(random, 4) && byKind.has('journal file') ? 'journal file' : pick(random, [...byKind.keys()]);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const path = pick(random, byKind.get(kind)!);
      // With what proves it a damaged segment would lose all its records: that is two damages.
      if (kind === '.sums' && this.#context.damages.all.some((one) => path.startsWith(withoutEnding(one.path))))
        continue;
      const bytes = files.get(path)!;
      const size = path.endsWith('.log') ? await provenSizeOf(files, path) : bytes.length;
      if (size === 0) continue;
      const position = random.below(size);
      // Files that are filled up with zeros are mostly zeros.
      if (position >= bytes.length || (bytes[position] === 0 && attempt < ATTEMPTS_MAX / 2)) continue;
      const mask = 1 << random.below(8);
      this.#flip = { kind, path, position, mask, before: files };
      machine.disk.flip(path, position, mask);
      return kind;
    }
    return null;
  }

  async #flipRecord(files: Files, paths: readonly string[]): Promise<string | null> {
    const { random, machine, history, process, damages } = this.#context;
    const byTopic = [...Map.groupBy(paths, (path) => path.split('/')[1]).values()];
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const path = pick(random, pick(random, byTopic));
      const place = this.#placeOf(path);
      if (place === null) continue;
      const batches = await this.#batchesOf(files, path);
      if (batches.length === 0) continue;
      const batch = pick(random, batches);
      const { from, to } = batch;
      if (damages.at(place, from) !== null) continue;
      // As often in the header, which the checksum does not cover as a whole, as behind it.
      const inBatch = random.below(oneIn(random, 2) ? BATCH_HEADER_BYTES : batch.bytes.length);
      const mask = 1 << random.below(8);
      const position = batch.position + inBatch;
      machine.disk.flip(batch.path, position, mask);
      const bytes = Buffer.from(batch.bytes);
      bytes[inBatch]! ^= mask;
      const pending = history.invoke(process, 'flip', { place, from, to });
      damages.add({ place, from, to, path, position, mask, batchPosition: batch.position, bytes, pending });
      return 'segment';
    }
    return null;
  }

  /** The batches that the next start finds in a segment, and must not take for a torn write. */
  async #batchesOf(files: Files, path: string): Promise<Stored[]> {
    const disk = SimulatedDisk.holding(files, new SeededRandom(1));
    const base = baseOf(path);
    const { segments } = await readCompacted(disk, folderOf(path));
    // It goes with the next start.
    if (segments.some((other) => other.base < base && base < other.endNext)) return [];
    const compacted = segments.find((one) => one.base === base);
    if (compacted === undefined) {
      const proven = await provenSizeOf(files, path);
      return storedBatches(files, path).filter(({ position, bytes }) => position + bytes.length <= proven);
    }
    const interim = path + interimName(compacted.number);
    const stored = storedBatches(files, files.has(interim) ? interim : path);
    const sums = await sumsOf(files, path, compacted);
    return stored.map((batch) => ({ ...batch, ...lostWith(batch, base, compacted, sums) }));
  }

  /** Flips back some of what lies in segment files, where it lies there still. Returns how much. */
  mendSome(): number {
    const { random, machine, damages } = this.#context;
    const chosen = damages.all.filter(() => oneIn(random, 2));
    if (chosen.length === 0) return 0;
    const files = machine.disk.files();
    let mended = 0;
    for (const damage of chosen) {
      const { path, position, mask, batchPosition, bytes } = damage;
      const file = files.get(path);
      // What was deleted, cut off or written again is not what was flipped.
      if (file?.subarray(batchPosition, batchPosition + bytes.length).equals(bytes) !== true) continue;
      machine.disk.flip(path, position, mask);
      damages.mended(damage);
      mended += 1;
    }
    return mended;
  }

  /** Whether a broker may serve that has said this while it started: not when it says that rounds of the journal are lost. */
  mayServe(told: readonly string[]): boolean {
    return this.#flip?.kind !== 'journal file' || !told.some((line) => line.includes('journal'));
  }

  /**
   * Whether it is for the flipped bit that a start was refused: the fault says so, and names the file or its folder. What lacks
   * a round of the journal is named after the journal was.
   */
  explains({ fault, message }: Fault, told: readonly string[]): boolean {
    if (this.#flip === null) return false;
    const { path } = this.#flip;
    // Of the format's number one bit makes another.
    if (fault === 'folderTooNew') return path === 'millrace.json';
    if (fault !== 'damagedMetadata') return false;
    const isNamed = message.includes(path) || message.includes(path.slice(0, path.lastIndexOf('/')));
    return isNamed || !this.mayServe(told);
  }

  /** Flips it back: a start that was refused has changed nothing that matters. One that read a damaged journal may have. */
  undo(): void {
    const { kind, path, position, mask, before } = this.#flip!;
    const { machine } = this.#context;
    if (kind === 'journal file') machine.putBack(before);
    else machine.disk.flip(path, position, mask);
    this.#flip = null;
  }

  /** A broker serves, with it or without. */
  settle(): void {
    this.#flip = null;
  }

  #placeOf(path: string): Place | null {
    const [, id, partition] = path.split('/');
    const plan = this.#context.topics.all.find((each) => each.id === id);
    return plan === undefined ? null : { topic: plan.name, partition: Number(partition) };
  }
}

/**
 * How much of a segment is proven durable, as the broker will find: damage behind that cannot be told from what a power cut
 * leaves of a write, and is cut off.
 */
async function provenSizeOf(files: Files, path: string): Promise<number> {
  const disk = SimulatedDisk.holding(files, new SeededRandom(1));
  const [folder, segmentBase] = [folderOf(path), baseOf(path)];
  const replay = await JournalReplay.read(disk, silent);
  const checkpoint = replay.latest(folder, await readCheckpoint(disk, folder));
  const proven = (await replay.restore(folder, checkpoint)) ?? checkpoint;
  if (proven === null || proven.segmentBase < segmentBase) return 0;
  return proven.segmentBase > segmentBase ? files.get(path)!.length : proven.position;
}

/** The kind of a file; 'segment' for those of topics, 'aside' for what no broker reads. */
function kindOf(path: string): string {
  if (path.startsWith('journal/')) return /^journal\/\d+$/.test(path) ? 'journal file' : path;
  if (path.endsWith('.bytes') || path === 'lock' || path.endsWith('.new')) return 'aside';
  // What takes the place of a segment at the next start is flipped as that segment.
  if (path.includes('.log.cleaned-')) return 'aside';
  if (path.includes('.sums.cleaned-')) return '.sums';
  const name = path.slice(path.lastIndexOf('/') + 1);
  const ending = name.includes('.') ? name.slice(name.lastIndexOf('.')) : name;
  if (path.startsWith('topics/')) {
    if (path.includes('/quarantine/')) return name === 'places' ? 'quarantine' : 'aside';
    return ending === '.log' ? 'segment' : ending;
  }
  return path.startsWith('ledger/') ? `ledger ${ending}` : path;
}

/** The sound batches from a segment's start on. */
function storedBatches(files: Files, path: string): Stored[] {
  const log = files.get(path)!;
  const found: Stored[] = [];
  for (let at = 0; log.length - at >= BATCH_HEADER_BYTES; ) {
    const size = batchBytes(log, at);
    if (size > log.length - at || checkBatch(log, at, log.length) !== null) break;
    const [from, to] = [baseOffset(log, at), nextOffset(log, at)];
    found.push({ path, position: at, bytes: log.subarray(at, at + size), from, to });
    at += size;
  }
  return found;
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
const baseOf = (path: string): number => Number(path.slice(-24, -4));
const withoutEnding = (path: string): string => path.slice(0, -'log'.length);

/** What proves the blocks of a compacted segment; null when that is lost or flipped, and was not made again. */
async function sumsOf(files: Files, path: string, { sums, number }: CompactedProof): Promise<BlockSums | null> {
  const checksum = await loadChecksum();
  const named = `${withoutEnding(path)}sums`;
  for (const bytes of [files.get(named + interimName(number)), files.get(named)]) {
    const found = bytes === undefined ? null : new BlockSums(bytes, baseOf(path), checksum);
    if (found?.sum === sums) return found;
  }
  return null;
}

/**
 * The offsets of what is proven together with a batch of a compacted segment: its block or, where nothing proves the blocks,
 * the whole segment, of which nobody can tell any more which part is what was written.
 */
function lostWith(
  { position }: Stored,
  base: number,
  { endNext }: CompactedProof,
  sums: BlockSums | null,
): { from: number; to: number } {
  if (sums === null) return { from: base, to: endNext };
  const number = sums.withPosition(position);
  return { from: number === 0 ? base : sums.block(number - 1).nextOffset, to: sums.block(number).nextOffset };
}
