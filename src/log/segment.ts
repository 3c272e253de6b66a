import { Fault, isFault } from '../base/faults.ts';
import type { Disk } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, maxTimestamp, nextOffset } from '../record/batch.ts';
import type { BlockSums } from './block-sums.ts';
import { LazyFile } from './lazy-file.ts';
import { LazyIndex } from './lazy-index.ts';
import { removeFiles, segmentName } from './segment-files.ts';
import type { SegmentIndex } from './segment-index.ts';
import { type CompactedProof, loadSums } from './segment-sums.ts';
import { joinAdjacent, UnfiledBatches } from './unfiled-batches.ts';
import type { WrittenBatch } from './unsynced-batches.ts';

/** What is read and written again at once. */
const COPY_BYTES = 1024 * 1024;

/**
 * One file of record batches, end to end, with its two index files. Only the last segment of a log is written to; its end
 * may be in memory alone for a while, which whoever reads need not know. The file is opened when first needed; `rest` closes
 * it and drops the index, which come back when needed again.
 */
export class Segment {
  readonly baseOffset: number;
  readonly indexIntervalBytes: number;
  readonly index: LazyIndex;
  /** Null for a segment as it was appended, in which offsets follow each other. */
  readonly compacted: CompactedProof | null;
  /** The offset after the last record of the file, where it is known; of a log's older segments the next one's name tells it. */
  endNext: number | null;
  /** Whether damage was come upon where the file was read through. */
  isDamaged = false;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #file: LazyFile;
  readonly #unfiled = new UnfiledBatches();
  #sizeBytes: number;
  #firstTimestampMs: number | null = null;
  #sums: Promise<BlockSums> | null = null;
  /** Whether the files of its name go with it. */
  #isLive: boolean;
  /** Whether the file and that of its sums have their names, and the index is written: these are not dropped before. */
  #isPlaced: boolean;
  /** The file of the sums as long as it has not its name. */
  #interimSums: string | null;

  /** `interim` is what the names of the file, and of its sums, end with until `takePlace`. */
  constructor(
    disk: Disk,
    folder: string,
    baseOffset: number,
    sizeBytes: number,
    indexIntervalBytes: number,
    compacted: CompactedProof | null = null,
    interim = '',
  ) {
    this.#disk = disk;
    this.#folder = folder;
    this.baseOffset = baseOffset;
    this.#sizeBytes = sizeBytes;
    this.indexIntervalBytes = indexIntervalBytes;
    this.compacted = compacted;
    this.endNext = compacted?.endNext ?? null;
    this.#file = new LazyFile(disk, `${this.#path}.log${interim}`);
    this.index = new LazyIndex(disk, this, this.#path);
    this.#isLive = interim === '';
    this.#isPlaced = interim === '';
    this.#interimSums = interim === '' ? null : `${this.#path}.sums${interim}`;
  }

  /** Makes the file of a new segment; the caller syncs the folder. */
  static async create(disk: Disk, folder: string, baseOffset: number, intervalBytes: number): Promise<Segment> {
    const segment = new Segment(disk, folder, baseOffset, 0, intervalBytes);
    // What a crash left of an earlier attempt holds nothing that was acknowledged.
    await removeFiles(disk, segment.#path);
    segment.index.beginAt({ position: 0, offset: baseOffset });
    await segment.#file.create();
    return segment;
  }

  /** What compaction wrote, under interim names: `.log` and `.sums` followed by `interim`. */
  static async rewritten(
    disk: Disk,
    folder: string,
    index: SegmentIndex,
    intervalBytes: number,
    compacted: CompactedProof,
    sums: BlockSums,
    interim: string,
  ): Promise<Segment> {
    const { baseOffset } = index.offsets;
    const segment = new Segment(disk, folder, baseOffset, compacted.bytes, intervalBytes, compacted, interim);
    segment.index.adopt(index);
    segment.#sums = Promise.resolve(sums);
    // Opened before it is renamed: a reader would not find it by either name.
    await segment.#file.open();
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

  /** Of its files, without their endings. */
  get #path(): string {
    return `${this.#folder}/${segmentName(this.baseOffset)}`;
  }

  get logPath(): string {
    return this.#file.path;
  }

  get sumsPath(): string {
    return `${this.#path}.sums`;
  }

  get producersPath(): string {
    return `${this.#path}.producers`;
  }

  /** How much older than `timestampMs` the first batch is, of a segment that is ready; 0 when there is none. */
  readyAgeAt(timestampMs: number): number {
    return this.#sizeBytes === 0 ? 0 : timestampMs - this.#firstTimestampMs!;
  }

  /** How much older than `timestampMs` the segment's first batch is; negative when it is younger, 0 when there is none. */
  ageAt(timestampMs: number): number | Promise<number> {
    if (this.#sizeBytes === 0 || this.#firstTimestampMs !== null) return this.readyAgeAt(timestampMs);
    return this.read(0, BATCH_HEADER_BYTES).then((header) => {
      this.#firstTimestampMs = maxTimestamp(header, 0);
      return timestampMs - this.#firstTimestampMs;
    });
  }

  /** Whether batches can be appended, and judged by their age, without waiting. */
  get isReady(): boolean {
    return this.#file.isOpen && (this.#sizeBytes === 0 || this.#firstTimestampMs !== null);
  }

  /**
   * Opens the file, for what is to be written to it later and must not fail for want of a handle then, and looks up what its age
   * goes by.
   */
  async makeReady(): Promise<void> {
    await this.#file.open();
    await this.ageAt(0);
  }

  /** Says, before anything is read, that this is the segment that is appended to. */
  makeWritable(): void {
    this.#file.makeWritable();
  }

  /** Appends whole batches, behind what is in memory alone. When it fails the file may hold a part: `cutBack`. */
  write(batches: readonly Buffer[]): Promise<void> {
    return this.#file.exclusively(async () => {
      await this.#writeUnfiledAnd(batches);
      // Not before they are written, since a reader may have the index built again in the meantime.
      for (const batch of batches) this.#note(batch);
    });
  }

  /** Appends whole batches that the journal has, in memory alone, with their pins: `file` writes them. */
  append(run: readonly WrittenBatch[]): void {
    this.#unfiled.add(run);
    for (const { batch } of run) this.#note(batch);
  }

  /** Writes what is in memory alone to the file. When it fails nothing is lost: `cutBack`. */
  file(): Promise<void> {
    return this.#file.exclusively(() => this.#writeUnfiledAnd([]));
  }

  async #writeUnfiledAnd(batches: readonly Buffer[]): Promise<void> {
    const unfiled = this.#unfiled.buffers;
    if (unfiled.length + batches.length === 0) return;
    await (await this.#file.open()).write(joinAdjacent([...unfiled, ...batches]), this.#fileBytes);
    this.#unfiled.filed(unfiled.length);
  }

  #note(batch: Buffer): void {
    this.#firstTimestampMs ??= maxTimestamp(batch, 0);
    this.index.note(batch, this.#sizeBytes);
    this.#sizeBytes += batch.length;
    this.endNext = nextOffset(batch, 0);
  }

  /** Removes what a failed write left in the file behind the last whole batch. */
  cutBack(): Promise<void> {
    return this.#file.exclusively(async () => (await this.#file.open()).truncate(this.#fileBytes));
  }

  /**
   * The same, durably. Else a power cut could bring back what was refused, or what an earlier one tore: also behind what is
   * acknowledged meanwhile in the journal, where it would be taken for what came last.
   */
  async takeBack(): Promise<void> {
    await this.cutBack();
    await this.sync();
  }

  /** Cuts the file to what recovery found whole. */
  async cutTo(sizeBytes: number): Promise<void> {
    this.#sizeBytes = sizeBytes;
    await this.takeBack();
  }

  async sync(): Promise<void> {
    await (await this.#file.open()).sync();
  }

  /**
   * Writes again what is read from `position` on, and syncs it. After a sync that failed, the page cache may show bytes that
   * the disk does not have and that no later sync would write.
   */
  async syncAgain(position: number): Promise<void> {
    const file = await this.#file.open();
    for (let at = position; at < this.#sizeBytes; at += COPY_BYTES)
      await file.write([await this.read(at, COPY_BYTES)], at);
    await file.sync();
  }

  /**
   * Reads up to `bytes` from `position` on; fewer at the end. The bytes are the caller's: a part of `target`, if that is given.
   * @throws Fault corruptBatch when the file is shorter than what was written to it
   */
  async read(position: number, bytes: number, target: Buffer | null = null): Promise<Buffer> {
    const wanted = Math.min(bytes, this.#sizeBytes - position);
    if (wanted <= 0) return Buffer.alloc(0);
    const buffer = target?.subarray(0, wanted) ?? Buffer.allocUnsafeSlow(wanted);
    const filed = Math.min(wanted, Math.max(0, this.#fileBytes - position));
    // At once: what is in memory alone now may have been let go when the file is read.
    if (filed < wanted) this.#unfiled.copy(buffer.subarray(filed), position + filed - this.#fileBytes);
    if (filed > 0) {
      const got = await this.#file.read(buffer.subarray(0, filed), position);
      if (got < filed) throw this.damaged(position + got, 'the file ends here');
    }
    return buffer;
  }

  /** What is told of damage in this file. */
  damaged(position: number, what: string): Fault {
    return new Fault('corruptBatch', { detail: `${this.logPath} at byte ${position}: ${what}` });
  }

  /** What proves the batches of a compacted segment. @throws Fault corruptBatch when it is not what compaction wrote */
  sums(): Promise<BlockSums> {
    if (this.#sums !== null) return this.#sums;
    const loading = loadSums(this.#disk, this, this.sumsPath);
    loading.catch(() => {
      if (this.#sums === loading) this.#sums = null;
    });
    this.#sums = loading;
    return loading;
  }

  /** Runs a write beside the log file, unless it has ended; whoever ends it waits for that. */
  beside(write: () => Promise<void>): Promise<void> {
    return this.#file.exclusively(async () => {
      if (!this.#file.hasEnded) await write();
    });
  }

  /** Says that it is in the log, in the place of one of the same base offset, whose file has the name until `takePlace`. */
  goLive(): void {
    this.#isLive = true;
  }

  /** Gives the files that `rewritten` took their names. After a failure it may be called again. */
  async takePlace(): Promise<void> {
    // Else its records were deleted meanwhile, and its file with them.
    if (!this.#file.hasEnded) {
      if (this.#hasInterimName) await this.#file.rename(`${this.#path}.log`);
      if (this.#interimSums !== null) await this.#disk.rename(this.#interimSums, this.sumsPath);
      this.#interimSums = null;
      await this.#disk.syncFolder(this.#folder);
      await this.#writeIndex();
    }
    this.#isPlaced = true;
  }

  /** On a full disk it is built again when it is needed: what this segment replaces is to go, and makes room. */
  async #writeIndex(): Promise<void> {
    try {
      await this.index.write();
    } catch (error) {
      if (!isFault(error, 'diskFull')) throw error;
    }
  }

  get #hasInterimName(): boolean {
    return this.logPath !== `${this.#path}.log`;
  }

  /** Gives back the file handle and the index's memory, unless they are in use. */
  async rest(): Promise<void> {
    if (this.#file.isBeingRead || !this.#isPlaced) return;
    this.index.drop();
    this.#sums = null;
    await this.#file.close();
  }

  /** Another segment has its records from now on, in a file that takes this one's name if it begins with the same offset. */
  async replaced(): Promise<void> {
    await this.#file.end(new Fault('offsetOutOfRange', { detail: `${this.logPath} was compacted` }));
  }

  /** Gives back the file handle, when the last read under way is done, and opens no other. */
  async close(): Promise<void> {
    await this.#file.end(new Fault('brokerStopped'));
  }

  /** Removes the files. A read under way keeps its handle and ends as if nothing had happened. */
  async remove(): Promise<void> {
    await this.#file.end(new Fault('offsetOutOfRange', { detail: `${this.logPath} is deleted` }));
    if (this.#interimSums !== null) await this.#disk.remove(this.#interimSums);
    if (this.#hasInterimName) await this.#disk.remove(this.logPath);
    if (this.#isLive) await removeFiles(this.#disk, this.#path);
  }
}
