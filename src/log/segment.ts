import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, baseOffset, batchBytes, lastOffset, maxTimestamp } from '../record/batch.ts';
import { Continuity } from './continuity.ts';
import type { WrittenBatch } from './kept-batches.ts';
import { OffsetIndex } from './offset-index.ts';
import { readWhole, writeWhole } from './sealed-file.ts';
import { SegmentIndex } from './segment-index.ts';
import { TimeIndex } from './time-index.ts';
import { UnfiledBatches } from './unfiled-batches.ts';

/** What is read at once when a segment is walked from one end to the other … */
const WALK_BYTES = 1024 * 1024;
/** … and when one batch is looked for, from an index entry on. */
const SEEK_BYTES = 16 * 1024;

/** A segment's file name: its base offset in 20 digits, so that names sort as offsets do. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0');
}

/**
 * One file of record batches, end to end, with its two index files. Only the last segment of a log is written to; its end
 * may be in memory alone for a while, which whoever reads need not know. The file is opened when first needed; `rest` closes
 * it and drops the index, which come back when needed again.
 */
export class Segment {
  readonly baseOffset: number;
  readonly #disk: Disk;
  readonly #path: string;
  readonly indexIntervalBytes: number;
  #sizeBytes: number;
  readonly #unfiled = new UnfiledBatches();
  /** Writes of the file come one at a time, each behind the last whole batch. */
  readonly #turn = new Semaphore(1);
  #file: Promise<DiskFile> | null = null;
  #index: SegmentIndex | Promise<SegmentIndex> | null = null;
  #mode: 'read' | 'write' = 'read';
  #users = 0;
  /** Set by `remove` and `close`: why no file is opened any more. */
  #ended: Fault | null = null;
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

  /** How much of it is in memory alone. */
  get unfiledBytes(): number {
    return this.#unfiled.bytes;
  }

  get #fileBytes(): number {
    return this.#sizeBytes - this.#unfiled.bytes;
  }

  get logPath(): string {
    return `${this.#path}.log`;
  }

  get producersPath(): string {
    return `${this.#path}.producers`;
  }

  /** The largest record timestamp; -1 when empty. */
  async maxTimestampMs(): Promise<number> {
    this.#maxTimestampMs ??= (await this.#timeIndex()).maxTimestampMs;
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

  /** Appends whole batches, behind what is in memory alone. When it fails the file may hold a part: `cutBack`. */
  write(batches: readonly Buffer[]): Promise<void> {
    return this.#turn.run(async () => {
      await this.#writeUnfiledAnd(batches);
      this.#note(batches);
    });
  }

  /** Appends whole batches that the journal has, in memory alone, with their pins: `file` writes them. */
  append(run: readonly WrittenBatch[]): void {
    this.#unfiled.add(run);
    this.#note(run.map(({ batch }) => batch));
  }

  /** Writes what is in memory alone to the file. When it fails nothing is lost: `cutBack`. */
  file(): Promise<void> {
    return this.#turn.run(() => this.#writeUnfiledAnd([]));
  }

  async #writeUnfiledAnd(batches: readonly Buffer[]): Promise<void> {
    const unfiled = this.#unfiled.buffers;
    if (unfiled.length + batches.length === 0) return;
    await (await this.#open()).write(joinAdjacent([...unfiled, ...batches]), this.#fileBytes);
    this.#unfiled.filed(unfiled.length);
  }

  #note(batches: readonly Buffer[]): void {
    // Not before they are written, since a reader may have the index built again in the meantime.
    const index = this.#index;
    invariant(index instanceof SegmentIndex, 'a segment is written to before its index is loaded');
    this.#firstTimestampMs ??= maxTimestamp(batches[0]!, 0);
    for (const batch of batches) {
      this.noteIn(index, batch, this.#sizeBytes);
      this.#sizeBytes += batch.length;
    }
    if (index.unproven === null) this.#maxTimestampMs = index.maxTimestampMs;
  }

  /** Removes what a failed write left in the file behind the last whole batch. */
  cutBack(): Promise<void> {
    return this.#turn.run(async () => (await this.#open()).truncate(this.#fileBytes));
  }

  async sync(): Promise<void> {
    await (await this.#open()).sync();
  }

  /**
   * Writes again what is read from `position` on, and syncs it. After a sync that failed, the page cache may show bytes that
   * the disk does not have and that no later sync would write.
   */
  async syncAgain(position: number): Promise<void> {
    const file = await this.#open();
    for (let at = position; at < this.#sizeBytes; at += WALK_BYTES)
      await file.write([await this.read(at, WALK_BYTES)], at);
    await file.sync();
  }

  /**
   * Reads up to `bytes` from `position` on; fewer at the end. The bytes are the caller's.
   * @throws Fault corruptBatch when the file is shorter than what was written to it
   */
  async read(position: number, bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, this.#sizeBytes - position);
    if (wanted <= 0) return Buffer.alloc(0);
    const buffer = Buffer.allocUnsafeSlow(wanted);
    const filed = Math.min(wanted, Math.max(0, this.#fileBytes - position));
    // At once: what is in memory alone now may have been let go when the file is read.
    if (filed < wanted) this.#unfiled.copy(buffer.subarray(filed), position + filed - this.#fileBytes);
    if (filed > 0) await this.#readFile(buffer.subarray(0, filed), position);
    return buffer;
  }

  async #readFile(target: Buffer, position: number): Promise<void> {
    this.#users += 1;
    try {
      const got = await (await this.#open()).read(target, position);
      const end = position + target.length;
      if (got < target.length) throw this.damaged(position + got, `the file ends before byte ${end}`);
    } finally {
      this.#users -= 1;
      if (this.#ended !== null && this.#users === 0) await this.#closeFile();
    }
  }

  /** What is told of damage in this file. */
  damaged(position: number, what: string): Fault {
    return new Fault('corruptBatch', { detail: `${this.logPath} at byte ${position}: ${what}` });
  }

  /**
   * Calls `visit` for each whole batch from `position` on, until it returns false or no whole batch follows; returns the
   * position after the last one visited with true. The batch is only the visitor's for the time of its call.
   */
  async walk(
    position: number,
    visit: (batch: Buffer, position: number) => boolean,
    bytesAtOnce = WALK_BYTES,
  ): Promise<number> {
    let at = position;
    let wanted = bytesAtOnce;
    while (at + BATCH_HEADER_BYTES <= this.#sizeBytes) {
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
      wanted = used === 0 ? Math.max(bytesAtOnce, batchBytes(bytes, 0)) : bytesAtOnce;
    }
    return at;
  }

  /**
   * Where to begin to look for `offset`, and the base offset of the batch there: as the index says, if the log agrees with
   * it; indexes are caches and may lie.
   */
  async startOf(offset: number): Promise<{ position: number; baseOffset: number }> {
    const start = await this.#startIn(await this.index(), offset);
    if (start !== null) return start;
    await this.#rebuildIndex();
    return (await this.#startIn(await this.index(), offset)) ?? { position: 0, baseOffset: this.baseOffset };
  }

  /** An offset before which every record is older than `timestampMs`. */
  async offsetBefore(timestampMs: number): Promise<number> {
    const index = await this.#timeIndex();
    const entry = index.times.floor(timestampMs);
    if (entry === null) return this.baseOffset;
    if (!index.fromFiles || (await this.#hasBatch(index, entry))) return entry.offset;
    await this.#rebuildIndex();
    return this.offsetBefore(timestampMs);
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
  async #rebuildIndex(): Promise<void> {
    const index = new SegmentIndex(this.baseOffset);
    const build = this.#indexer(index);
    // Again for what was appended in the meantime, so that the new index misses nothing.
    let before = -1;
    for (let end = 0; end < this.#sizeBytes && end > before; ) {
      before = end;
      end = await this.walk(end, build);
    }
    this.#index = index;
    this.#maxTimestampMs = index.maxTimestampMs;
  }

  async #loadIndex(endPosition = this.#sizeBytes): Promise<SegmentIndex> {
    const [offsetBytes, timeBytes] = await Promise.all([
      readWhole(this.#disk, `${this.#path}.index`),
      readWhole(this.#disk, `${this.#path}.timeindex`),
    ]);
    const offsets = offsetBytes && OffsetIndex.parse(offsetBytes, this.baseOffset, endPosition);
    const times = timeBytes && TimeIndex.parse(timeBytes, this.baseOffset);
    if (offsets && times) {
      const index = new SegmentIndex(this.baseOffset, offsets, times);
      const last = times.length === 0 ? null : times.entry(times.length - 1);
      index.unproven = last && { ...last, endPosition };
      if (endPosition === 0 || (await this.#isTrue(index))) return index;
    }
    const index = new SegmentIndex(this.baseOffset);
    const build = this.#indexer(index);
    await this.walk(0, (batch, position) => position < endPosition && build(batch, position));
    return index;
  }

  /** The indexes, for what asks about time: a file that was cut between two entries hides younger records. */
  async #timeIndex(): Promise<SegmentIndex> {
    const index = await this.index();
    if (index.unproven !== null) {
      if (await this.#hidesYounger(index, index.unproven)) await this.#rebuildIndex();
      index.unproven = null;
    }
    return this.index();
  }

  /** Whether a younger batch follows what a file named last. Where time goes forward that is at the segment's end. */
  async #hidesYounger(index: SegmentIndex, last: NonNullable<SegmentIndex['unproven']>): Promise<boolean> {
    const { position } = (await this.#startIn(index, last.offset)) ?? { position: 0 };
    let found = false;
    await this.walk(position, (batch, at) => {
      found = maxTimestamp(batch, 0) > last.timestampMs;
      return !found && at < last.endPosition;
    });
    return found;
  }

  /** Whether the log has what a finished time index names at its end: the segment's largest timestamp. */
  async #isTrue(index: SegmentIndex): Promise<boolean> {
    const { length } = index.times;
    return length > 0 && this.#hasBatch(index, index.times.entry(length - 1));
  }

  async #hasBatch(index: SegmentIndex, entry: { timestampMs: number; offset: number }): Promise<boolean> {
    const start = await this.#startIn(index, entry.offset);
    if (start === null) return false;
    let found = false;
    await this.walk(
      start.position,
      (batch) => {
        found = lastOffset(batch, 0) === entry.offset && maxTimestamp(batch, 0) === entry.timestampMs;
        return lastOffset(batch, 0) < entry.offset;
      },
      SEEK_BYTES,
    );
    return found;
  }

  /** Null when the index names a batch that is not where it says. */
  async #startIn(index: SegmentIndex, offset: number): Promise<{ position: number; baseOffset: number } | null> {
    const entry = index.offsets.floor(offset);
    if (entry === null) return { position: 0, baseOffset: this.baseOffset };
    const header = await this.read(entry.position, BATCH_HEADER_BYTES);
    if (header.length < BATCH_HEADER_BYTES || lastOffset(header, 0) !== entry.offset) return null;
    return { position: entry.position, baseOffset: baseOffset(header, 0) };
  }

  /** Fills an index from the batches it is called with. One that is out of its place must not lead others astray. */
  #indexer(index: SegmentIndex): (batch: Buffer, position: number) => boolean {
    const continuity = new Continuity(this.baseOffset);
    return (batch, position) => {
      if (continuity.step(batch, 0).inPlace) this.noteIn(index, batch, position);
      return true;
    };
  }

  /** Takes note of a batch in the index, `always` or when it is the turn of one. */
  noteIn(index: SegmentIndex, batch: Buffer, position: number, always = false): void {
    const intervalBytes = always ? -1 : this.indexIntervalBytes;
    index.note(lastOffset(batch, 0), maxTimestamp(batch, 0), position, batch.length, intervalBytes);
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
    await this.#closeFile();
  }

  /** Gives back the file handle, when the last read under way is done, and opens no other. */
  async close(): Promise<void> {
    await this.#end(new Fault('brokerStopped'));
  }

  /** Removes the files. A read under way keeps its handle and ends as if nothing had happened. */
  async remove(): Promise<void> {
    await this.#end(new Fault('offsetOutOfRange', { detail: `${this.logPath} is deleted` }));
    // The log last: caches without it would be looked at by no one.
    for (const ending of ['index', 'timeindex', 'producers', 'log']) await this.#disk.remove(`${this.#path}.${ending}`);
  }

  async #end(reason: Fault): Promise<void> {
    this.#ended ??= reason;
    await this.#turn.run(async () => {
      if (this.#users === 0) await this.#closeFile();
    });
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file !== null) await (await file).close();
  }

  #open(): Promise<DiskFile> {
    if (this.#file === null) {
      if (this.#ended !== null) return Promise.reject(this.#ended);
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
