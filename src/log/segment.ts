import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, baseOffset, batchBytes, lastOffset, maxTimestamp, nextOffset } from '../record/batch.ts';
import type { WrittenBatch } from './kept-batches.ts';
import { OffsetIndex } from './offset-index.ts';
import { readWhole, writeWhole } from './sealed-file.ts';
import { SegmentIndex, type Unproven } from './segment-index.ts';
import { type KnownStart, scanSegment } from './segment-scan.ts';
import { TimeIndex } from './time-index.ts';
import { joinAdjacent, UnfiledBatches } from './unfiled-batches.ts';

/** What is read at once when a segment is walked from one end to the other … */
const WALK_BYTES = 1024 * 1024;
/** … and when one batch is looked for, from an index entry on. */
const SEEK_BYTES = 16 * 1024;
/** What may lie behind the last entry of an index without being read through when it is loaded. */
const UNINDEXED_BYTES_MAX = 256 * 1024;

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
  /** The offset after the last record of the file, where it is known; of a log's older segments the next one's name tells it. */
  endNext: number | null = null;
  /** Whether offsets are missing between its batches, as compaction leaves them. */
  readonly hasGaps = false;
  #file: Promise<DiskFile> | null = null;
  #index: SegmentIndex | Promise<SegmentIndex> | null = null;
  /** What lies before this is not in the index yet: a start after a crash does not read what was proven. */
  #headEnd = 0;
  #joining: Promise<SegmentIndex> | null = null;
  /** The offset after the last record before `#headEnd`. */
  #headNext = 0;
  /** Whether damage was come upon where the file was read through. */
  isDamaged = false;
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
      this.#noteIn(index, batch, this.#sizeBytes);
      this.#sizeBytes += batch.length;
      this.endNext = nextOffset(batch, 0);
    }
    if (this.#headEnd === 0 && index.unproven === null) this.#maxTimestampMs = index.maxTimestampMs;
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
  async startOf(offset: number): Promise<KnownStart> {
    if (this.#headEnd > 0 && offset >= this.#headNext) {
      const tail = this.#index as SegmentIndex;
      const start = tail.offsets.floor(offset) && (await this.#startIn(tail, offset));
      return start ?? { position: this.#headEnd, offset: this.#headNext };
    }
    const start = await this.#startIn(await this.index(), offset);
    if (start !== null) return start;
    await this.#rebuildIndex();
    return (await this.#startIn(await this.index(), offset)) ?? { position: 0, offset: this.baseOffset };
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
    if (this.#headEnd > 0) return this.#withHead();
    if (this.#index === null) {
      const loading = this.#loadIndex(this.#sizeBytes, this.endNext);
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

  /** For recovery: what lies before `position` is looked into when somebody asks for it; what follows is noted batch by batch. */
  indexFrom(position: number, offset: number): void {
    this.#index = new SegmentIndex(this.baseOffset);
    this.#headEnd = position;
    this.#headNext = offset;
  }

  /** The index of the whole file, of which only the end was known. Appends go on meanwhile. */
  #withHead(): Promise<SegmentIndex> {
    this.#joining ??= this.#loadIndex(this.#headEnd, this.#headNext)
      .then((head) => {
        // Built anew meanwhile.
        if (this.#headEnd === 0) return this.index();
        head.append(this.#index as SegmentIndex);
        this.#index = head;
        this.#headEnd = 0;
        return head;
      })
      .finally(() => {
        this.#joining = null;
      });
    return this.#joining;
  }

  /** Builds the indexes again: their files were found to lie about the log. */
  async #rebuildIndex(): Promise<void> {
    const index = new SegmentIndex(this.baseOffset);
    // Again for what was appended in the meantime, so that the new index misses nothing.
    for (let start: KnownStart = { position: 0, offset: this.baseOffset }; start.position < this.#sizeBytes; ) {
      const end = { position: this.#sizeBytes, offset: this.endNext };
      await this.#noteSound(index, start, end.position, end.offset);
      if (end.offset === null) break;
      start = { position: end.position, offset: end.offset };
    }
    this.#index = index;
    this.#headEnd = 0;
    this.#maxTimestampMs = index.maxTimestampMs;
  }

  async #loadIndex(endPosition: number, endNext: number | null): Promise<SegmentIndex> {
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
      if (endPosition === 0 || (await this.#isTrue(index))) {
        await this.#extend(index, endPosition, endNext);
        return index;
      }
    }
    const index = new SegmentIndex(this.baseOffset);
    await this.#noteSound(index, { position: 0, offset: this.baseOffset }, endPosition, endNext);
    return index;
  }

  /** Notes what an index from files does not reach, when that is much: those of an active segment are written now and then. */
  async #extend(index: SegmentIndex, endPosition: number, endNext: number | null): Promise<void> {
    const start = await this.#startIn(index, Number.MAX_SAFE_INTEGER);
    if (start === null || endPosition - start.position <= UNINDEXED_BYTES_MAX) return;
    await this.#noteSound(index, start, endPosition, endNext);
  }

  /** Fills an index from the sound batches of a part of the file: one that is damaged must not lead others astray. */
  async #noteSound(index: SegmentIndex, start: KnownStart, endPosition: number, endNext: number | null): Promise<void> {
    const { hasGaps } = this;
    for await (const { batch, position } of scanSegment(this, { start, endPosition, endNext, hasGaps })) {
      if (batch === null) this.isDamaged = true;
      else this.#noteIn(index, batch, position);
    }
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
  async #hidesYounger(index: SegmentIndex, { offset, timestampMs, endPosition }: Unproven): Promise<boolean> {
    const { hasGaps } = this;
    const start = await this.#startIn(index, offset);
    for await (const { batch } of scanSegment(this, { ...(start && { start }), endPosition, hasGaps })) {
      if (batch === null) this.isDamaged = true;
      else if (maxTimestamp(batch, 0) > timestampMs) return true;
    }
    return false;
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
  async #startIn(index: SegmentIndex, offset: number): Promise<KnownStart | null> {
    const entry = index.offsets.floor(offset);
    if (entry === null) return { position: 0, offset: this.baseOffset };
    const header = await this.read(entry.position, BATCH_HEADER_BYTES);
    if (header.length < BATCH_HEADER_BYTES || lastOffset(header, 0) !== entry.offset) return null;
    return { position: entry.position, offset: baseOffset(header, 0) };
  }

  /** Takes note of a batch that recovery found past the place from which the index is known. */
  take(batch: Buffer, position: number): void {
    this.#noteIn(this.#index as SegmentIndex, batch, position);
  }

  /** Takes note of a batch in an index when it is its turn. */
  #noteIn(index: SegmentIndex, batch: Buffer, position: number): void {
    index.note(lastOffset(batch, 0), maxTimestamp(batch, 0), position, batch.length, this.indexIntervalBytes);
  }

  /** Cuts the file to what recovery found whole. */
  async cutTo(sizeBytes: number): Promise<void> {
    this.#sizeBytes = sizeBytes;
    await this.cutBack();
  }

  /**
   * Writes the index files of a segment that is finished, or that a clean stop leaves. They need no sync: caches. Files of which
   * a start after a crash has not needed the head yet stay as they are, unless the index is to be `whole`.
   */
  async writeIndex(whole = false): Promise<void> {
    if (this.#headEnd > 0 && !whole) return;
    const index = await this.index();
    index.finish();
    await writeWhole(this.#disk, `${this.#path}.index`, index.offsets.toBytes());
    await writeWhole(this.#disk, `${this.#path}.timeindex`, index.times.toBytes());
  }

  /** Gives back the file handle and the index's memory, unless they are in use. */
  async rest(): Promise<void> {
    if (this.#users > 0) return;
    this.#index = null;
    this.#headEnd = 0;
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
