import { OffsetIndex } from './offset-index.ts';
import { TimeIndex } from './time-index.ts';

export interface Unproven {
  readonly timestampMs: number;
  readonly offset: number;
  readonly endPosition: number;
}

/** The two sparse indexes of a segment, filled as batches are appended to it or, to rebuild them, read from it. */
export class SegmentIndex {
  readonly offsets: OffsetIndex;
  readonly times: TimeIndex;
  /** Whether it was read from files, which may lie, and not made from the log. */
  readonly fromFiles: boolean;
  /** The largest record timestamp of the segment, and the last offset of the batch that holds it; -1 while empty. */
  maxTimestampMs = -1;
  maxTimestampOffset = -1;
  /**
   * What a file named last, if it came from one, and how far the log reached then. It is the largest timestamp only if the
   * file has not lost its end; null once the log was asked.
   */
  unproven: Unproven | null = null;
  #bytesSinceEntry = 0;

  constructor(baseOffset: number, offsets?: OffsetIndex, times?: TimeIndex) {
    this.offsets = offsets ?? new OffsetIndex(baseOffset);
    this.times = times ?? new TimeIndex(baseOffset);
    this.fromFiles = offsets !== undefined;
    if (this.times.length === 0) return;
    const { timestampMs, offset } = this.times.entry(this.times.length - 1);
    this.maxTimestampMs = timestampMs;
    this.maxTimestampOffset = offset;
  }

  /** Takes note of the batch that starts at `position`. */
  note(lastOffset: number, maxTimestampMs: number, position: number, bytes: number, intervalBytes: number): void {
    if (maxTimestampMs > this.maxTimestampMs) {
      this.maxTimestampMs = maxTimestampMs;
      this.maxTimestampOffset = lastOffset;
    }
    if (this.#bytesSinceEntry > intervalBytes) {
      this.offsets.append(lastOffset, position);
      this.times.append(this.maxTimestampMs, this.maxTimestampOffset);
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += bytes;
  }

  /** Adds what is known of a later part of the same segment. */
  append(later: SegmentIndex): void {
    for (let i = 0; i < later.offsets.length; i += 1) {
      const { offset, position } = later.offsets.entry(i);
      this.offsets.append(offset, position);
    }
    for (let i = 0; i < later.times.length; i += 1) {
      const { timestampMs, offset } = later.times.entry(i);
      this.times.append(timestampMs, offset);
    }
    if (later.maxTimestampMs > this.maxTimestampMs) {
      this.maxTimestampMs = later.maxTimestampMs;
      this.maxTimestampOffset = later.maxTimestampOffset;
    }
    this.#bytesSinceEntry = later.#bytesSinceEntry;
  }

  /** Makes the last time entry name the segment's largest timestamp, as the file of a finished segment has it. */
  finish(): void {
    if (this.maxTimestampMs >= 0) this.times.append(this.maxTimestampMs, this.maxTimestampOffset);
  }
}
