import { invariant } from '../../base/invariant.ts';
import { Fifo } from '../fifo.ts';
import { encodeFinished, type OffsetRange } from './finished-beyond.ts';

/** A record of the window. */
export interface TrackedOffset {
  readonly offset: number;
  /** What it counts for in the window. */
  readonly bytes: number;
  isFinished: boolean;
}

/**
 * Which records of one partition are finished, in whatever order that happens. Its window is what lies from the lowest unfinished
 * record to the last one taken; below it all is finished, and the offset to commit is where it begins.
 */
export class OffsetTracker {
  readonly #window = new Fifo<TrackedOffset>();
  /** Finished in an earlier life of the partition, in order; those that lie whole below the position are dropped. */
  #remembered: readonly OffsetRange[];
  #positionNext: number;
  #bytes = 0;
  #finishedInWindow = 0;

  /** @param finished as decodeFinished read it from the commit that the partition goes on from. */
  constructor(startNext: number, finished: readonly OffsetRange[] = []) {
    this.#positionNext = startNext;
    this.#remembered = finished;
  }

  /** The offset after the last one that was taken. */
  get positionNext(): number {
    return this.#positionNext;
  }

  get windowRecords(): number {
    return this.#window.length;
  }

  get windowBytes(): number {
    return this.#bytes;
  }

  /** How many of the window are finished: what a commit can say by its metadata alone. */
  get finishedInWindow(): number {
    return this.#finishedInWindow;
  }

  /** Takes the next record; null when it was finished in an earlier life, so that it is not worked again. */
  add(offset: number, bytes: number): TrackedOffset | null {
    invariant(offset >= this.#positionNext, 'records are taken in order', { offset, next: this.#positionNext });
    this.#moveTo(offset);
    const isFinished = this.#remembered[0] !== undefined && this.#remembered[0].start <= offset;
    this.#moveTo(offset + 1);
    if (isFinished && this.#window.length === 0) return null;
    const tracked = { offset, bytes, isFinished };
    this.#window.push(tracked);
    this.#bytes += bytes;
    if (isFinished) this.#finishedInWindow++;
    return isFinished ? null : tracked;
  }

  #moveTo(offset: number): void {
    this.#positionNext = offset;
    const open = this.#remembered.findIndex(({ endNext }) => endNext > offset);
    if (open !== 0) this.#remembered = open < 0 ? [] : this.#remembered.slice(open);
  }

  finish(tracked: TrackedOffset): void {
    invariant(!tracked.isFinished, 'a record is finished once', tracked);
    tracked.isFinished = true;
    this.#finishedInWindow++;
    for (let head = this.#window.peek(); head?.isFinished; head = this.#window.peek()) {
      this.#window.shift();
      this.#bytes -= head.bytes;
      this.#finishedInWindow--;
    }
  }

  /** The lowest unfinished offset: that of the window's first record, else what comes after all that is finished. */
  get committableNext(): number {
    const head = this.#window.peek();
    if (head !== undefined) return head.offset;
    const [next] = this.#remembered;
    return next !== undefined && next.start <= this.#positionNext ? next.endNext : this.#positionNext;
  }

  /** What is finished beyond committableNext, for the commit's metadata. */
  metadata(charactersMax: number): string {
    return encodeFinished(this.committableNext, this.#finishedBeyond(), charactersMax);
  }

  /** An offset between two records, which no record has (one compacted away, a marker), goes with the record before it. */
  *#finishedBeyond(): Generator<OffsetRange> {
    let start: number | null = null;
    for (const { offset, isFinished } of this.#window) {
      if (isFinished) start ??= offset;
      else if (start !== null) {
        yield { start, endNext: offset };
        start = null;
      }
    }
    for (const range of this.#remembered) {
      if (range.endNext <= this.committableNext) continue;
      const from = Math.max(range.start, this.#positionNext);
      if (start !== null && from > this.#positionNext) {
        yield { start, endNext: this.#positionNext };
        start = null;
      }
      yield { start: start ?? from, endNext: range.endNext };
      start = null;
    }
    if (start !== null) yield { start, endNext: this.#positionNext };
  }
}
