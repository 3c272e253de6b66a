import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, batchBytes, maxTimestamp, nextOffset } from '../record/batch.ts';
import type { BlockSums } from './block-sums.ts';
import { hasBatch, hidesYounger, loadIndex, noteIn, noteSound, startIn } from './index-loading.ts';
import type { WrittenBatch } from './unsynced-batches.ts';
import { writeWhole } from './sealed-file.ts';
import { SegmentIndex } from './segment-index.ts';
import type { KnownStart } from './segment-scan.ts';
import { type CompactedProof, loadSums } from './segment-sums.ts';
import { joinAdjacent, UnfiledBatches } from './unfiled-batches.ts';

/** What is read at once when a segment is walked from one end to the other. */
const WALK_BYTES = 1024 * 1024;

/** A segment's files; the log last, since caches without it would be looked at by no one. */
const ENDINGS = ['index', 'timeindex', 'producers', 'sums', 'log'];

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
  /** Null for a segment as it was appended, in which offsets follow each other. */
  readonly compacted: CompactedProof | null;
  #sums: Promise<BlockSums> | null = null;
  /** What the log file's name ends with beyond its own, and whether it, index and sums are in their places: kept until then. */
  #interim = '';
  #isPlaced = true;
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

  constructor(
    disk: Disk,
    folder: string,
    baseOffset: number,
    sizeBytes: number,
    indexIntervalBytes: number,
    compacted: CompactedProof | null = null,
  ) {
    this.compacted = compacted;
    if (compacted !== null) this.endNext = compacted.endNext;
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
    await removeFiles(disk, segment.#path);
    segment.#mode = 'write';
    segment.#file = disk.open(`${segment.#path}.log`, 'create');
    segment.#index = new SegmentIndex(baseOffset);
    await segment.#file;
    return segment;
  }

  /** What compaction wrote, under an interim name: `.log` followed by `interim`. */
  static async rewritten(
    disk: Disk,
    folder: string,
    index: SegmentIndex,
    intervalBytes: number,
    compacted: CompactedProof,
    sums: BlockSums,
    interim: string,
  ): Promise<Segment> {
    const segment = new Segment(disk, folder, index.offsets.baseOffset, compacted.bytes, intervalBytes, compacted);
    segment.#interim = interim;
    segment.#index = index;
    segment.#sums = Promise.resolve(sums);
    segment.#isPlaced = false;
    // Opened before it is renamed: a reader would not find it by either name.
    await segment.#open();
    return segment;
  }

  /** Whether offsets are missing between its batches, as compaction leaves them. */
  get hasGaps(): boolean {
    return this.compacted !== null;
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
    return `${this.#path}.log${this.#interim}`;
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
  ageAt(timestampMs: number): number | Promise<number> {
    if (this.#sizeBytes === 0) return 0;
    if (this.#firstTimestampMs !== null) return timestampMs - this.#firstTimestampMs;
    return this.read(0, BATCH_HEADER_BYTES).then((header) => {
      this.#firstTimestampMs = maxTimestamp(header, 0);
      return timestampMs - this.#firstTimestampMs;
    });
  }

  get isOpen(): boolean {
    return this.#file !== null;
  }

  /** Opens the file, for what is to be written to it later and must not fail for want of a handle then. */
  async open(): Promise<void> {
    await this.#open();
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
      noteIn(this, index, batch, this.#sizeBytes);
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
      if (got < target.length) throw this.damaged(position + got, 'the file ends here');
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
      const start = tail.offsets.floor(offset) && (await startIn(this, tail, offset));
      return start ?? { position: this.#headEnd, offset: this.#headNext };
    }
    const start = await startIn(this, await this.index(), offset);
    if (start !== null) return start;
    await this.#rebuildIndex();
    return (await startIn(this, await this.index(), offset)) ?? { position: 0, offset: this.baseOffset };
  }

  /** What proves the batches of a compacted segment. @throws Fault corruptBatch when it is not what compaction wrote */
  sums(): Promise<BlockSums> {
    if (this.#sums !== null) return this.#sums;
    const loading = loadSums(this.#disk, this, `${this.#path}.sums`);
    loading.catch(() => {
      if (this.#sums === loading) this.#sums = null;
    });
    this.#sums = loading;
    return loading;
  }

  /** Runs a write beside the log file, unless it has ended; whoever ends it waits for that. */
  beside(write: () => Promise<void>): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#ended === null) await write();
    });
  }

  /** An offset before which every record is older than `timestampMs`. */
  async offsetBefore(timestampMs: number): Promise<number> {
    const index = await this.#timeIndex();
    const entry = index.times.floor(timestampMs);
    if (entry === null) return this.baseOffset;
    if (!index.fromFiles || (await hasBatch(this, index, entry))) return entry.offset;
    await this.#rebuildIndex();
    return this.offsetBefore(timestampMs);
  }

  /** The indexes: from their files, or, when those are missing or cannot be right, from the log itself. */
  index(): SegmentIndex | Promise<SegmentIndex> {
    if (this.#headEnd > 0) return this.#withHead();
    if (this.#index === null) {
      const loading = loadIndex(this.#disk, this, this.#path, this.#sizeBytes, this.endNext);
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
    this.#joining ??= loadIndex(this.#disk, this, this.#path, this.#headEnd, this.#headNext)
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
      await noteSound(this, index, start, end.position, end.offset);
      if (end.offset === null) break;
      start = { position: end.position, offset: end.offset };
    }
    this.#index = index;
    this.#headEnd = 0;
    this.#maxTimestampMs = index.maxTimestampMs;
  }

  /** The indexes, for what asks about time: a file that was cut between two entries hides younger records. */
  async #timeIndex(): Promise<SegmentIndex> {
    const index = await this.index();
    if (index.unproven !== null) {
      if (await hidesYounger(this, index, index.unproven)) await this.#rebuildIndex();
      index.unproven = null;
    }
    return this.index();
  }

  /** Takes note of a batch that recovery found past the place from which the index is known. */
  take(batch: Buffer, position: number): void {
    noteIn(this, this.#index as SegmentIndex, batch, position);
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

  /** The same while the segment goes on, for a start that finds its file up to there. Not when the head is still unread. */
  async writeIndexUpTo(position: number, nextOffset: number): Promise<void> {
    if (this.#headEnd > 0) return;
    const { offsets, times } = await this.index();
    await writeWhole(this.#disk, `${this.#path}.index`, offsets.toBytes(position));
    await writeWhole(this.#disk, `${this.#path}.timeindex`, times.toBytes(nextOffset));
  }

  /** Gives back the file handle and the index's memory, unless they are in use. */
  async rest(): Promise<void> {
    if (this.#users > 0 || !this.#isPlaced) return;
    this.#index = null;
    this.#headEnd = 0;
    this.#sums = null;
    await this.#closeFile();
  }

  /** Another segment has its records from now on, in a file that takes this one's name if it begins with the same offset. */
  async replaced(): Promise<void> {
    await this.#end(new Fault('offsetOutOfRange', { detail: `${this.logPath} was compacted` }));
  }

  /** Gives the log file that `rewritten` took its name. After a failure it may be called again. */
  async takePlace(): Promise<void> {
    // Else its records were deleted meanwhile, and its file with them.
    if (this.#ended === null) {
      if (this.#interim !== '') await this.#disk.rename(this.logPath, `${this.#path}.log`);
      this.#interim = '';
      await this.#disk.syncFolder(this.#path.slice(0, this.#path.lastIndexOf('/')));
      await this.writeIndex();
      await writeWhole(this.#disk, `${this.#path}.sums`, (await this.sums()).toBytes());
    }
    this.#isPlaced = true;
  }

  /** Gives back the file handle, when the last read under way is done, and opens no other. */
  async close(): Promise<void> {
    await this.#end(new Fault('brokerStopped'));
  }

  /** Removes the files. A read under way keeps its handle and ends as if nothing had happened. */
  async remove(): Promise<void> {
    await this.#end(new Fault('offsetOutOfRange', { detail: `${this.logPath} is deleted` }));
    if (this.#interim !== '') await this.#disk.remove(this.logPath);
    else await removeFiles(this.#disk, this.#path);
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

/** Removes a segment's files; `path` is without their endings. */
export async function removeFiles(disk: Disk, path: string): Promise<void> {
  for (const ending of ENDINGS) await disk.remove(`${path}.${ending}`);
}
