import type { Disk, DiskFile } from '../disk/disk.ts';
import { lastOffset, maxTimestamp, nextOffset } from '../record/batch.ts';
import { BlockSumsBuilder } from './block-sums.ts';
import { loadChecksum } from './checksum.ts';
import { interimName } from './compacted-segments.ts';
import { writeSynced } from './sealed-file.ts';
import { Segment } from './segment.ts';
import { segmentName } from './segment-files.ts';
import { SegmentIndex } from './segment-index.ts';

/** What is written at once. */
const WRITE_BYTES = 256 * 1024;

/** Writes a segment of a log beside the others, and what proves it, under interim names. */
export class SegmentWriter {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #number: number;
  readonly #intervalBytes: number;
  readonly #file: DiskFile;
  readonly #index: SegmentIndex;
  readonly #sums: BlockSumsBuilder;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #isOpen = true;

  private constructor(
    disk: Disk,
    folder: string,
    number: number,
    intervalBytes: number,
    file: DiskFile,
    index: SegmentIndex,
    sums: BlockSumsBuilder,
  ) {
    this.#disk = disk;
    this.#folder = folder;
    this.#number = number;
    this.#intervalBytes = intervalBytes;
    this.#file = file;
    this.#index = index;
    this.#sums = sums;
  }

  static async create(
    disk: Disk,
    folder: string,
    baseOffset: number,
    number: number,
    intervalBytes: number,
  ): Promise<SegmentWriter> {
    const checksum = await loadChecksum();
    const path = pathOf(folder, baseOffset, number, 'log');
    await disk.remove(path);
    const file = await disk.open(path, 'create');
    const sums = new BlockSumsBuilder(baseOffset, checksum);
    return new SegmentWriter(disk, folder, number, intervalBytes, file, new SegmentIndex(baseOffset), sums);
  }

  get sizeBytes(): number {
    return this.#writtenBytes + this.#waitingBytes;
  }

  async add(batch: Buffer): Promise<void> {
    this.#index.note(lastOffset(batch, 0), maxTimestamp(batch, 0), this.sizeBytes, batch.length, this.#intervalBytes);
    this.#sums.add(batch, nextOffset(batch, 0));
    this.#waiting.push(batch);
    this.#waitingBytes += batch.length;
    if (this.#waitingBytes >= WRITE_BYTES) await this.#write();
  }

  /**
   * The segment, synced, which stands for all offsets before `endNext`. So are its block sums, before anything names it: without
   * them one damaged byte would spoil all of it.
   */
  async end(endNext: number): Promise<Segment> {
    await this.#write();
    await this.#file.sync();
    await this.#close();
    const sums = this.#sums.end();
    await writeSynced(this.#disk, this.#pathOf('sums'), sums.toBytes());
    const proof = { endNext, bytes: this.#writtenBytes, number: this.#number, sums: sums.sum };
    const interim = interimName(this.#number);
    return Segment.rewritten(this.#disk, this.#folder, this.#index, this.#intervalBytes, proof, sums, interim);
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await this.#close();
    await this.#disk.remove(this.#pathOf('sums'));
    await this.#disk.remove(this.#pathOf('log'));
  }

  #pathOf(ending: 'log' | 'sums'): string {
    return pathOf(this.#folder, this.#index.offsets.baseOffset, this.#number, ending);
  }

  async #write(): Promise<void> {
    if (this.#waitingBytes === 0) return;
    await this.#file.write(this.#waiting, this.#writtenBytes);
    this.#writtenBytes += this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }
}

function pathOf(folder: string, baseOffset: number, number: number, ending: 'log' | 'sums'): string {
  return `${folder}/${segmentName(baseOffset)}.${ending}${interimName(number)}`;
}
