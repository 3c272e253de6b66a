import { invariant } from '../base/invariant.ts';
import type { Disk } from '../disk/disk.ts';
import { hasBatch, hidesYounger, loadIndex, noteIn, noteSound, startIn } from './index-loading.ts';
import { writeWhole } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { SegmentIndex } from './segment-index.ts';
import type { KnownStart } from './segment-scan.ts';

/**
 * The indexes of a segment, which are loaded when somebody asks for them. A start after a crash does not read what was proven:
 * what lies before the place from which it read on, the head, is not in them until somebody asks for that.
 */
export class LazyIndex {
  readonly #disk: Disk;
  readonly #segment: Segment;
  /** Of its files, without their endings. */
  readonly #path: string;
  #index: SegmentIndex | Promise<SegmentIndex> | null = null;
  /** Where the head ends; null when nothing is missing. The index is there then, of what follows. */
  #headEnd: KnownStart | null = null;
  #joining: Promise<SegmentIndex> | null = null;
  #maxTimestampMs: number | null = null;

  constructor(disk: Disk, segment: Segment, path: string) {
    this.#disk = disk;
    this.#segment = segment;
    this.#path = path;
  }

  get offsetsPath(): string {
    return `${this.#path}.index`;
  }

  get timesPath(): string {
    return `${this.#path}.timeindex`;
  }

  /** Says what it is, of a segment that was written along with it. */
  adopt(index: SegmentIndex): void {
    this.#index = index;
  }

  /** Begins an index of what follows a place; to be noted batch by batch. */
  beginAt(place: KnownStart): void {
    this.#index = new SegmentIndex(this.#segment.baseOffset);
    this.#headEnd = place.position > 0 ? place : null;
  }

  /** Takes note of the batch that follows all that were noted before. */
  note(batch: Buffer, position: number): void {
    const index = this.#index;
    invariant(index instanceof SegmentIndex, 'a segment is written to before its index is loaded');
    noteIn(this.#segment, index, batch, position);
    if (this.#headEnd === null && index.unproven === null) this.#maxTimestampMs = index.maxTimestampMs;
  }

  /** All of it: from the files, or, when those are missing or cannot be right, from the log itself. */
  loaded(): SegmentIndex | Promise<SegmentIndex> {
    if (this.#headEnd !== null) return this.#withHead(this.#headEnd);
    if (this.#index === null) {
      const loading = loadIndex(this.#disk, this.#segment, this.#path, this.#segment.sizeBytes, this.#segment.endNext);
      this.#index = loading;
      loading.then(
        (index) => {
          if (this.#index === loading) this.#index = index;
        },
        () => {
          if (this.#index === loading) this.#index = null;
        },
      );
    }
    return this.#index;
  }

  /** Appends go on meanwhile. */
  #withHead(end: KnownStart): Promise<SegmentIndex> {
    this.#joining ??= loadIndex(this.#disk, this.#segment, this.#path, end.position, end.offset)
      .then((head) => {
        // Built anew meanwhile.
        if (this.#headEnd === null) return this.loaded();
        head.append(this.#index as SegmentIndex);
        this.#index = head;
        this.#headEnd = null;
        return head;
      })
      .finally(() => {
        this.#joining = null;
      });
    return this.#joining;
  }

  /** Forgets what can be loaded again. */
  drop(): void {
    this.#index = null;
    this.#headEnd = null;
  }

  /**
   * Where to begin to look for `offset`, and the base offset of the batch there: as the index says, if the log agrees with
   * it; indexes are caches and may lie.
   */
  async startOf(offset: number): Promise<KnownStart> {
    const headEnd = this.#headEnd;
    if (headEnd !== null && offset >= headEnd.offset) {
      const tail = this.#index as SegmentIndex;
      const start = tail.offsets.floor(offset) && (await startIn(this.#segment, tail, offset));
      return start ?? headEnd;
    }
    const start = await startIn(this.#segment, await this.loaded(), offset);
    if (start !== null) return start;
    await this.#rebuild();
    const { baseOffset } = this.#segment;
    return (await startIn(this.#segment, await this.loaded(), offset)) ?? { position: 0, offset: baseOffset };
  }

  /** An offset before which every record is older than `timestampMs`. */
  async offsetBefore(timestampMs: number): Promise<number> {
    const index = await this.#forTimes();
    const entry = index.times.floor(timestampMs);
    if (entry === null) return this.#segment.baseOffset;
    if (!index.fromFiles || (await hasBatch(this.#segment, index, entry))) return entry.offset;
    await this.#rebuild();
    return this.offsetBefore(timestampMs);
  }

  /** The largest record timestamp; -1 when there is none. */
  async maxTimestampMs(): Promise<number> {
    this.#maxTimestampMs ??= (await this.#forTimes()).maxTimestampMs;
    return this.#maxTimestampMs;
  }

  /** For what asks about time: a file that was cut between two entries hides younger records. */
  async #forTimes(): Promise<SegmentIndex> {
    const index = await this.loaded();
    if (index.unproven !== null) {
      if (await hidesYounger(this.#segment, index, index.unproven)) await this.#rebuild();
      index.unproven = null;
    }
    return this.loaded();
  }

  /** Makes the indexes from the log: their files were found to lie about it. */
  async #rebuild(): Promise<void> {
    const segment = this.#segment;
    const index = new SegmentIndex(segment.baseOffset);
    // Again for what was appended in the meantime, so that the new index misses nothing.
    for (let start: KnownStart = { position: 0, offset: segment.baseOffset }; start.position < segment.sizeBytes; ) {
      const end = { position: segment.sizeBytes, offset: segment.endNext };
      await noteSound(segment, index, start, end.position, end.offset);
      if (end.offset === null) break;
      start = { position: end.position, offset: end.offset };
    }
    this.#index = index;
    this.#headEnd = null;
    this.#maxTimestampMs = index.maxTimestampMs;
  }

  /**
   * Writes the files for a segment that is finished, or that a clean stop leaves. They need no sync: caches. Files of which
   * a start after a crash has not needed the head yet stay as they are, unless the index is to be `whole`.
   */
  async write(whole = false): Promise<void> {
    if (this.#headEnd !== null && !whole) return;
    const index = await this.loaded();
    index.finish();
    await writeWhole(this.#disk, this.offsetsPath, index.offsets.toBytes());
    await writeWhole(this.#disk, this.timesPath, index.times.toBytes());
  }

  /** The same while the segment goes on, for a start that finds its file up to there. Not when the head is still unread. */
  async writeUpTo({ position, offset }: KnownStart): Promise<void> {
    if (this.#headEnd !== null) return;
    const { offsets, times } = await this.loaded();
    await writeWhole(this.#disk, this.offsetsPath, offsets.toBytes(position));
    await writeWhole(this.#disk, this.timesPath, times.toBytes(offset));
  }
}
