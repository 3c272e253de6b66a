import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import { isCount, isText, listOf, objectOf, orMissing } from '../base/shape.ts';
import type { Disk } from '../disk/disk.ts';
import type { Checkpoint, CheckpointKeeper } from './checkpoint.ts';
import { lastIndexWhere } from './offset-index.ts';
import { readSealed, writeSealed } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { baseOffsetOf, removeFiles, segmentName } from './segment-files.ts';
import type { SegmentRemoval } from './segment-removal.ts';
import type { CompactedProof } from './segment-sums.ts';
import type { CachedTail } from './tail-cache.ts';

export const COMPACTED_FILE = 'compacted';

/** A file of a segment that compaction is writing, or has just written. */
const INTERIM_FILE = /^(\d{20})\.(log|sums)(\.cleaned-(\d+))$/;

/** Which segments of a log are compacted, and how far: the content of `compacted`. */
interface Content {
  /** Before this offset each key's records but the newest are gone. */
  readonly cleanNext: number;
  readonly segments: readonly ({ readonly base: number } & CompactedProof)[];
  /** Segments before it that are not, since they were damaged, by their base offsets; missing when there are none. */
  readonly passed?: readonly number[] | undefined;
}

export function interimName(number: number): string {
  return `.cleaned-${number}`;
}

/** @throws Fault damagedMetadata */
export async function readCompacted(disk: Disk, folder: string): Promise<Content> {
  const path = `${folder}/${COMPACTED_FILE}`;
  const file = await readSealed(disk, path);
  if (file === 'missing') return { cleanNext: 0, segments: [] };
  const content = file === 'damaged' ? null : compactedIn(file.content);
  if (content === null) throw new Fault('damagedMetadata', { detail: path });
  return content;
}

const isContent = objectOf<Content>({
  cleanNext: isCount,
  segments: listOf(
    objectOf<Content['segments'][number]>({
      base: isCount,
      endNext: isCount,
      bytes: isCount,
      number: isCount,
      sums: isText,
    }),
  ),
  passed: orMissing(listOf(isCount)),
});

/** Null when it is none: what segments stand for are offsets of which each is in one of them, or others would be removed for it. */
export function compactedIn(value: unknown): Content | null {
  if (!isContent(value)) return null;
  const content = value as Content;
  let next = 0;
  for (const { base, endNext } of content.segments) {
    if (base < next || endNext <= base) return null;
    next = endNext;
  }
  return content;
}

/**
 * A segment is compacted only when the log's checkpoint says durably that all of it is proven (`prepare`). One that says less is
 * gone, or put back from an older copy. By it the journal's rounds from before compaction would be written over the compacted
 * segments, and what does not go on from there would be cut off. @throws Fault damagedMetadata
 */
export async function checkProvesCompacted(disk: Disk, folder: string, checkpoint: Checkpoint | null): Promise<void> {
  const { segments } = await readCompacted(disk, folder);
  const compactedNext = segments.at(-1)?.endNext ?? 0;
  if (compactedNext <= (checkpoint?.segmentBase ?? 0)) return;
  const which = checkpoint === null ? 'is gone' : 'is an older one';
  const detail = `${folder}/checkpoint ${which}, and the partition is compacted up to offset ${compactedNext}; put back the whole folder of the partition from one and the same copy`;
  throw new Fault('damagedMetadata', { detail });
}

/**
 * For a start: ends what a crash interrupted, and tells which segments are compacted, by their base offset. `compacted` is what
 * decides: a file that it names takes its place, and what that stands for goes; any other that was being written is removed.
 * @throws Fault damagedMetadata
 */
export async function recoverCompacted(
  disk: Disk,
  folder: string,
  logger: Logger,
): Promise<ReadonlyMap<number, CompactedProof>> {
  const { segments } = await readCompacted(disk, folder);
  const proofs = new Map(segments.map(({ base, ...proof }) => [base, proof]));
  const names = await disk.list(folder);
  // Segments with gaps would be taken for damaged ones. A .sums file gets its name after `compacted` alone.
  if (proofs.size === 0 && names.some((name) => name.endsWith('.sums'))) {
    if (!names.includes(COMPACTED_FILE)) throw new Fault('damagedMetadata', { detail: `${folder}/${COMPACTED_FILE}` });
  }
  let changed = false;
  for (const name of names) {
    const [, base, kind, ending, number] = INTERIM_FILE.exec(name) ?? [];
    if (base === undefined) continue;
    changed = true;
    const isChosen = proofs.get(Number(base))?.number === Number(number);
    if (isChosen) {
      await disk.rename(`${folder}/${name}`, `${folder}/${name.slice(0, -ending!.length)}`);
      // Those are of the file that it replaces.
      if (kind === 'log') for (const cache of ['index', 'timeindex']) await disk.remove(`${folder}/${base}.${cache}`);
    } else await disk.remove(`${folder}/${name}`);
  }
  // Before those go that it stands for.
  if (changed) await disk.syncFolder(folder);
  if (proofs.size === 0) return proofs;
  const bases = (await disk.list(folder)).map(baseOffsetOf).filter((base) => base !== null);
  for (const [base, { endNext, bytes }] of proofs) {
    const covered = bases.filter((other) => other > base && other < endNext);
    if (covered.length === 0) continue;
    if ((await disk.size(`${folder}/${segmentName(base)}.log`)) === bytes) {
      for (const other of covered) await removeFiles(disk, `${folder}/${segmentName(other)}`);
    } else {
      const file = `${folder}/${segmentName(base)}.log`;
      logger.error(
        { file, expectedBytes: bytes },
        'a compacted segment is not there; those that it was made from stay',
      );
      proofs.delete(base);
    }
  }
  return proofs;
}

/** Whether a lost segment can still be put back among those that are there: behind the oldest, and none has its offsets. */
function isMissingIn(segments: readonly Segment[], { base, endNext }: Content['segments'][number]): boolean {
  const at = lastIndexWhere(segments.length, (i) => segments[i]!.baseOffset <= base);
  const [before, next] = [segments[at], segments[at + 1]];
  if (before === undefined || next === undefined) return false;
  return (before.compacted?.endNext ?? before.baseOffset + 1) <= base && endNext <= next.baseOffset;
}

interface Swap {
  readonly old: readonly Segment[];
  readonly fresh: Segment;
  /** Whether readers find the new one, and whether its file has its name. */
  isLive: boolean;
  isPlaced: boolean;
}

/** The compacted segments of a log that is open, and how others get among them. */
export class CompactedSegments {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #segments: readonly Segment[];
  readonly #removal: SegmentRemoval;
  readonly #checkpoint: CheckpointKeeper;
  readonly #tail: CachedTail;
  /** How many segments were put in the place of others since the start. */
  swaps = 0;
  #cleanNext: number | null = null;
  #passed: readonly number[] = [];
  /** Compacted segments whose files were lost: put back, they have offsets missing, and nothing else proves that it must be so. */
  #lost: Content['segments'] = [];
  /** One that began and that the disk has refused to end. */
  #unfinished: Swap | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;

  constructor(disk: Disk, folder: string, removal: SegmentRemoval, checkpoint: CheckpointKeeper, tail: CachedTail) {
    this.#disk = disk;
    this.#folder = folder;
    this.#segments = removal.segments;
    this.#removal = removal;
    this.#checkpoint = checkpoint;
    this.#tail = tail;
  }

  /** The offset from which on the log is not compacted yet. */
  async cleanNext(): Promise<number> {
    if (this.#cleanNext === null) {
      const { cleanNext, passed, segments } = await readCompacted(this.#disk, this.#folder);
      this.#cleanNext = cleanNext;
      this.#passed = passed ?? [];
      this.#lost = segments.filter((one) => isMissingIn(this.#segments, one));
    }
    return this.#cleanNext;
  }

  /** Segments before `cleanNext` that a pass had to leave as they were, by their base offsets. */
  async passed(): Promise<readonly number[]> {
    await this.cleanNext();
    return this.#passed;
  }

  /** Whether the log is about to be closed: a pass ends as soon as it can. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Runs a pass of compaction; one at a time. */
  run<T>(pass: () => Promise<T>): Promise<T> {
    if (this.#stopping) return Promise.reject(new Fault('brokerStopped'));
    const running = this.#running.then(pass);
    this.#running = running.catch(() => {});
    return running;
  }

  /** Resolves when no pass is under way, nor a write of the checkpoint, and lets no pass begin. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await this.#checkpoint.idle();
  }

  /** Ends what a pass has begun and the disk has refused to end; to be called before the next one looks at the segments. */
  async finish(): Promise<void> {
    if (this.#unfinished !== null) await this.#removal.exclusively(() => this.#finish());
  }

  /** Makes sure that no start, and no replay of the journal, looks into segments before `offset`, which are to be compacted. */
  async prepare(offset: number): Promise<void> {
    if (this.#checkpoint.durableSegmentBase < offset) await this.#checkpoint.write();
  }

  /** A number that no segment of this base offset had. */
  numberFor(segments: readonly Segment[]): number {
    return 1 + Math.max(0, ...segments.map(({ compacted }) => compacted?.number ?? 0));
  }

  /**
   * Puts a segment in the place of those that it was made from, which lie side by side: durably, then for readers, then the
   * old files go. False, and its file is removed, when they are gone meanwhile. After a failure it is tried again by `finish`.
   */
  async replace(old: readonly Segment[], fresh: Segment): Promise<boolean> {
    return this.#removal.exclusively(async () => {
      const isThere = old.every((segment) => this.#segments.includes(segment));
      if (!isThere) {
        await fresh.remove();
        return false;
      }
      try {
        // The name that `compacted` is going to refer to.
        await this.#disk.syncFolder(this.#folder);
      } catch (error) {
        await fresh.remove();
        throw error;
      }
      // From here on a start may find either: nothing may be taken back.
      this.#unfinished = { old, fresh, isLive: false, isPlaced: false };
      await this.#finish();
      return true;
    });
  }

  /** Says durably that before `cleanNext` the log is compacted, but for the segments that were passed. */
  async moveTo(cleanNext: number, passed: readonly number[]): Promise<void> {
    // What is written again was read before.
    await this.cleanNext();
    this.#cleanNext = cleanNext;
    this.#passed = passed;
    await this.#removal.exclusively(() => this.#write(this.#segments));
  }

  async #finish(): Promise<void> {
    const swap = this.#unfinished;
    if (swap === null) return;
    const { old, fresh } = swap;
    if (!swap.isLive) {
      const first = this.#segments.indexOf(old[0]!);
      const isThere = old.every((segment, i) => this.#segments[first + i] === segment);
      if (first < 0 || !isThere) return this.#giveUp(swap);
      await this.#write(this.#segments.toSpliced(first, old.length, fresh));
      this.#removal.swap(old, fresh);
      fresh.goLive();
      swap.isLive = true;
      this.swaps += 1;
      this.#tail.dropBefore(fresh.compacted!.endNext);
      for (const segment of old) await segment.replaced();
    }
    if (!swap.isPlaced) await fresh.takePlace();
    swap.isPlaced = true;
    await this.#removal.remove(old.slice(1));
    this.#unfinished = null;
  }

  /** Records were deleted meanwhile, and with them some of the segments: `compacted` forgets the new one before its file goes. */
  async #giveUp({ fresh }: Swap): Promise<void> {
    await this.#write(this.#segments);
    await fresh.remove();
    this.#unfinished = null;
  }

  async #write(segments: readonly Segment[]): Promise<void> {
    const cleanNext = await this.cleanNext();
    const there = segments.flatMap(({ baseOffset: base, compacted }) =>
      compacted === null ? [] : [{ base, ...compacted }],
    );
    const lost = this.#lost.filter((one) => isMissingIn(segments, one));
    const content: Content = {
      cleanNext,
      segments: [...there, ...lost].sort((a, b) => a.base - b.base),
      // Also those that are gone: their files may be put back before a pass was done without them.
      ...(this.#passed.length > 0 && { passed: this.#passed }),
    };
    await writeSealed(this.#disk, `${this.#folder}/${COMPACTED_FILE}`, content);
    await this.#disk.syncFolder(this.#folder);
  }
}
