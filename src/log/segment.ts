import { invariant } from '../base/invariant.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, batchBytes, lastOffset, maxTimestamp } from '../record/batch.ts';
import { OffsetIndex } from './offset-index.ts';
import { readWhole, writeWhole } from './sealed-file.ts';
import { SegmentIndex } from './segment-index.ts';
import { TimeIndex } from './time-index.ts';

/** What is read at once when a segment is walked from one end to the other. */
const WALK_BYTES = 1024 * 1024;

/** A segment's file name: its base offset in 20 digits, so that names sort as offsets do. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0');
}

/**
 * One file of record batches, end to end, with its two index files. Only the last segment of a log is written to. Its file
 * is opened when first needed; `rest` closes it and drops the index, which come back when needed again.
 */
export class Segment {
  readonly baseOffset: number;
  readonly #disk: Disk;
  readonly #path: string;
  readonly indexIntervalBytes: number;
  #sizeBytes: number;
  #file: Promise<DiskFile> | null = null;
  #index: SegmentIndex | Promise<SegmentIndex> | null = null;
  #mode: 'read' | 'write' = 'read';
  #users = 0;
  #removed = false;
  #firstTimestampMs: number | null = null;
  #maxTimestampMs: number | null = null;

  constructor(disk: Disk, folder: string, baseOffset: number, sizeBytes: number, indexIntervalBytes: number) {
    this.#disk = disk;
    this.#path = `${folder}/${segmentName(baseOffset)}`;
    this.baseOffset = baseOffset;
    this.#sizeBytes = sizeBytes;
    this.indexIntervalBytes = indexIntervalBytes;
  }

  /** Makes the file of a new segment; the caller syncs the folder. */
  static async create(disk: Disk, folder: string, baseOffset: number, intervalBytes: number): Promise<Segment> {
    const segment = new Segment(disk, folder, baseOffset, 0, intervalBytes);
    // What a crash left of an earlier attempt holds nothing that was acknowledged.
    for (const ending of ['log', 'index', 'timeindex', 'producers']) await disk.remove(`${segment.#path}.${ending}`);
    segment.#mode = 'write';
    segment.#file = disk.open(`${segment.#path}.log`, 'create');
    segment.#index = new SegmentIndex(baseOffset);
    await segment.#file;
    return segment;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get logPath(): string {
    return `${this.#path}.log`;
  }

  get producersPath(): string {
    return `${this.#path}.producers`;
  }

  /** The largest record timestamp; -1 when empty. */
  async maxTimestampMs(): Promise<number> {
    this.#maxTimestampMs ??= (await this.index()).maxTimestampMs;
    return this.#maxTimestampMs;
  }

  /** How much older than `timestampMs` the segment's first batch is; negative when it is younger, 0 when there is none. */
  async ageAt(timestampMs: number): Promise<number> {
    if (this.#sizeBytes === 0) return 0;
    if (this.#firstTimestampMs === null) {
      const header = await this.read(0, BATCH_HEADER_BYTES);
      this.#firstTimestampMs = maxTimestamp(header, 0);
    }
    return timestampMs - this.#firstTimestampMs;
  }

  /** Says, before anything is read, that this is the segment that is appended to. */
  makeWritable(): void {
    invariant(this.#file === null, 'a segment is made writable after it was opened');
    this.#mode = 'write';
  }

  /** Appends whole batches. When it fails the file may hold a part of them: `cutBack`. */
  async write(batches: readonly Buffer[]): Promise<void> {
    const index = this.#index;
    invariant(index instanceof SegmentIndex, 'a segment is written to before its index is loaded');
    await (await this.#open()).write(joinAdjacent(batches), this.#sizeBytes);
    this.#firstTimestampMs ??= maxTimestamp(batches[0]!, 0);
    for (const batch of batches) {
      this.noteIn(index, batch, this.#sizeBytes);
      this.#sizeBytes += batch.length;
    }
    this.#maxTimestampMs = index.maxTimestampMs;
  }

  /** Removes what a failed write left behind the last whole one. */
  async cutBack(): Promise<void> {
    await (await this.#open()).truncate(this.#sizeBytes);
  }

  async sync(): Promise<void> {
    await (await this.#open()).sync();
  }

  /** Reads up to `bytes` from `position` on; fewer at the end. The bytes are the caller's. */
  async read(position: number, bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, this.#sizeBytes - position);
    if (wanted <= 0) return Buffer.alloc(0);
    this.#users += 1;
    try {
      const buffer = Buffer.allocUnsafeSlow(wanted);
      const got = await (await this.#open()).read(buffer, position);
      return buffer.subarray(0, got);
    } finally {
      this.#users -= 1;
      if (this.#removed && this.#users === 0) await this.close();
    }
  }

  /**
   * Calls `visit` for each whole batch from `position` on, until it returns false or no whole batch follows; returns the
   * position after the last one visited with true. The batch is only the visitor's for the time of its call.
   */
  async walk(position: number, visit: (batch: Buffer, position: number) => boolean): Promise<number> {
    let at = position;
    let wanted = WALK_BYTES;
    for (;;) {
      const bytes = await this.read(at, wanted);
      let used = 0;
      while (bytes.length - used >= BATCH_HEADER_BYTES) {
        const size = batchBytes(bytes, used);
        // A batch of impossible size ends the walk: what follows it cannot be told apart.
        if (size < BATCH_HEADER_BYTES || at + used + size > this.#sizeBytes) return at + used;
        if (used + size > bytes.length) break;
        if (!visit(bytes.subarray(used, used + size), at + used)) return at + used;
        used += size;
      }
      at += used;
      if (at + BATCH_HEADER_BYTES > this.#sizeBytes || bytes.length < Math.min(wanted, this.#sizeBytes - at)) return at;
      wanted = used === 0 ? Math.max(WALK_BYTES, batchBytes(bytes, 0)) : WALK_BYTES;
    }
  }

  /** The indexes: from their files, or, when those are missing or cannot be right, from the log itself. */
  index(): SegmentIndex | Promise<SegmentIndex> {
    if (this.#index === null) {
      const loading = this.#loadIndex();
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

  /** For recovery: the indexes of the part of the file before `position`; what follows is then noted batch by batch. */
  async indexUpTo(position: number): Promise<SegmentIndex> {
    const index = position === 0 ? new SegmentIndex(this.baseOffset) : await this.#loadIndex(position);
    this.#index = index;
    return index;
  }

  /** Builds the indexes again: their files were found to lie about the log. */
  async rebuildIndex(): Promise<void> {
    this.#index = await this.#buildIndex(this.#sizeBytes);
  }

  async #loadIndex(endPosition = this.#sizeBytes): Promise<SegmentIndex> {
    const [offsetBytes, timeBytes] = await Promise.all([
      readWhole(this.#disk, `${this.#path}.index`),
      readWhole(this.#disk, `${this.#path}.timeindex`),
    ]);
    const offsets = offsetBytes && OffsetIndex.parse(offsetBytes, this.baseOffset, endPosition);
    const times = timeBytes && TimeIndex.parse(timeBytes, this.baseOffset);
    // A finished time index names at least the segment's largest timestamp.
    const blank = endPosition > 0 && times?.length === 0;
    if (offsets && times && !blank) return new SegmentIndex(this.baseOffset, offsets, times);
    return this.#buildIndex(endPosition);
  }

  async #buildIndex(endPosition: number): Promise<SegmentIndex> {
    const index = new SegmentIndex(this.baseOffset);
    await this.walk(0, (batch, position) => {
      if (position >= endPosition) return false;
      this.noteIn(index, batch, position);
      return true;
    });
    return index;
  }

  /** Takes note of a batch that recovery found behind what the index covers. */
  noteIn(index: SegmentIndex, batch: Buffer, position: number): void {
    index.note(lastOffset(batch, 0), maxTimestamp(batch, 0), position, batch.length, this.indexIntervalBytes);
  }

  /** Cuts the file to what recovery found whole. */
  async cutTo(sizeBytes: number): Promise<void> {
    this.#sizeBytes = sizeBytes;
    await this.cutBack();
  }

  /** Writes the index files of a segment that is finished, or that a clean stop leaves. They need no sync: caches. */
  async writeIndex(): Promise<void> {
    const index = await this.index();
    index.finish();
    await writeWhole(this.#disk, `${this.#path}.index`, index.offsets.toBytes());
    await writeWhole(this.#disk, `${this.#path}.timeindex`, index.times.toBytes());
  }

  /** Gives back the file handle and the index's memory, unless they are in use. */
  async rest(): Promise<void> {
    if (this.#users > 0) return;
    this.#index = null;
    await this.close();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file !== null) await (await file).close();
  }

  /** Removes the files. A read under way keeps its handle and ends as if nothing had happened. */
  async remove(): Promise<void> {
    this.#removed = true;
    for (const ending of ['log', 'index', 'timeindex', 'producers']) await this.#disk.remove(`${this.#path}.${ending}`);
    await this.rest();
  }

  #open(): Promise<DiskFile> {
    if (this.#file === null) {
      const opening = this.#disk.open(this.logPath, this.#mode);
      this.#file = opening;
      // A failed opening is not remembered: the next call tries again.
      opening.catch(() => {
        if (this.#file === opening) this.#file = null;
      });
    }
    return this.#file;
  }
}

/** Batches that lie end to end in one page of the tail cache are one buffer to the operating system. */
function joinAdjacent(batches: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  for (const batch of batches) {
    const last = joined.at(-1);
    if (last?.buffer === batch.buffer && last.byteOffset + last.length === batch.byteOffset) {
      joined[joined.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + batch.length);
    } else {
      joined.push(batch);
    }
  }
  return joined;
}
