import { isFault } from './base/faults.ts';
import type { Disk } from './disk/disk.ts';
import { OffsetIndex } from './log/offset-index.ts';
import { readWhole } from './log/sealed-file.ts';
import type { Segment } from './log/segment.ts';
import { TimeIndex } from './log/time-index.ts';
import { baseOffset, lastOffset, maxTimestamp } from './record/batch.ts';

export interface IndexEntry {
  readonly kind: 'offset' | 'time';
  readonly entry: number;
  readonly offset: number;
  /** Of an entry by offset: where its batch starts in the log file. */
  readonly position: number | null;
  /** Of an entry by time. */
  readonly timestampMs: number | null;
  /** Null: it says the truth of the log; else what it says wrong. */
  readonly wrong: string | null;
}

/** An index file as a whole. */
export interface IndexFile {
  readonly path: string;
  readonly entries: number;
  /** Why none of its entries can be used; null when they can. */
  readonly unusable: string | null;
}

/**
 * Holds the two index files of a segment against its batches, which are noted in order. An index may know less than the log
 * does; what it knows must be true.
 */
export class IndexCheck {
  readonly files: readonly IndexFile[];
  readonly entries: IndexEntry[] = [];
  readonly #offsets: OffsetIndex;
  readonly #times: TimeIndex;
  #offsetsDone = 0;
  #timesDone = 0;
  #maxTimestampMs = -1;

  private constructor(files: readonly IndexFile[], offsets: OffsetIndex, times: TimeIndex) {
    this.files = files;
    this.#offsets = offsets;
    this.#times = times;
  }

  /** Reads the files that are there. */
  static async of(disk: Disk, segment: Segment): Promise<IndexCheck> {
    const { baseOffset, sizeBytes } = segment;
    const { offsetsPath: path, timesPath: timePath } = segment.index;
    const files: IndexFile[] = [];
    const parsed = async <I extends { length: number }>(
      file: string,
      parse: (bytes: Buffer) => I | null,
    ): Promise<I | null> => {
      let bytes: Buffer | null;
      try {
        bytes = await readWhole(disk, file);
      } catch (error) {
        if (!isFault(error, 'diskError')) throw error;
        files.push({ path: file, entries: 0, unusable: `it cannot be read: ${error.detail}` });
        return null;
      }
      if (bytes === null) return null;
      const index = parse(bytes);
      const unusable = index === null ? 'it does not have the form of an index of this segment' : null;
      files.push({ path: file, entries: index?.length ?? 0, unusable });
      return index;
    };
    const offsets = await parsed(path, (bytes) => OffsetIndex.parse(bytes, baseOffset, sizeBytes));
    const times = await parsed(timePath, (bytes) => TimeIndex.parse(bytes, baseOffset));
    return new IndexCheck(files, offsets ?? new OffsetIndex(baseOffset), times ?? new TimeIndex(baseOffset));
  }

  note(batch: Buffer, position: number): void {
    this.#passOffsets(position);
    if (this.#offsetsDone < this.#offsets.length && this.#offsets.entry(this.#offsetsDone).position === position) {
      const { offset } = this.#offsets.entry(this.#offsetsDone);
      const last = lastOffset(batch, 0);
      this.#addOffset(offset === last ? null : `the batch at byte ${position} ends with offset ${last}`);
    }
    this.#passTimes(baseOffset(batch, 0));
    const timestampMs = maxTimestamp(batch, 0);
    while (this.#timesDone < this.#times.length && this.#times.entry(this.#timesDone).offset <= lastOffset(batch, 0)) {
      const entry = this.#times.entry(this.#timesDone);
      const largest = Math.max(this.#maxTimestampMs, timestampMs);
      const isTrue = entry.timestampMs === timestampMs && largest === timestampMs;
      this.#addTime(isTrue ? null : `the largest timestamp up to offset ${entry.offset} is ${largest}`);
    }
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, timestampMs);
  }

  /** To be called after the last batch: entries that none answered to are wrong. */
  end(): void {
    this.#passOffsets(Number.POSITIVE_INFINITY);
    this.#passTimes(Number.POSITIVE_INFINITY);
  }

  #passOffsets(position: number): void {
    while (this.#offsetsDone < this.#offsets.length && this.#offsets.entry(this.#offsetsDone).position < position) {
      this.#addOffset('no sound batch starts there');
    }
  }

  #passTimes(offset: number): void {
    while (this.#timesDone < this.#times.length && this.#times.entry(this.#timesDone).offset < offset) {
      this.#addTime('no sound batch has this offset');
    }
  }

  #addOffset(wrong: string | null): void {
    const { offset, position } = this.#offsets.entry(this.#offsetsDone);
    this.entries.push({ kind: 'offset', entry: this.#offsetsDone++, offset, position, timestampMs: null, wrong });
  }

  #addTime(wrong: string | null): void {
    const { offset, timestampMs } = this.#times.entry(this.#timesDone);
    this.entries.push({ kind: 'time', entry: this.#timesDone++, offset, position: null, timestampMs, wrong });
  }
}
