import { OffsetIndex } from './offset-index.ts';
import { TimeIndex } from './time-index.ts';

/** The two sparse indexes of a segment, filled as batches are appended to it or, to rebuild them, read from it. */
export class SegmentIndex {
  readonly offsets: OffsetIndex;
  readonly times: TimeIndex;
  /** The largest record timestamp of the segment, and the last offset of the batch that holds it; -1 while empty. */
  maxTimestampMs = -1;
  maxTimestampOffset = -1;
  #bytesSinceEntry = 0;

  constructor(baseOffset: number, offsets = new OffsetIndex(baseOffset), times = new TimeIndex(baseOffset)) {
    this.offsets = offsets;
    this.times = times;
    if (times.length === 0) return;
    const { timestampMs, offset } = times.entry(times.length - 1);
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

  /** Makes the last time entry name the segment's largest timestamp, as the file of a finished segment has it. */
  finish(): void {
    if (this.maxTimestampMs >= 0) this.times.append(this.maxTimestampMs, this.maxTimestampOffset);
  }
}
