import { baseOffset, lastOffsetDelta } from '../record/batch.ts';

/**
 * Walks along batches that lie end to end and tells which of them are in their place. A batch's base offset is not under its
 * CRC, so it is checked by this: offsets have no gap within a segment. How many offsets a batch takes is under its CRC, which
 * whoever serves a batch checks; who only steps over it does not, so one wrong count must not spoil all that follow.
 */
export class Continuity {
  /** Where the next batch begins: by the counts of those before it … */
  #next: number;
  /** … and by the last one's own base offset. Both are the same unless something is damaged. */
  #nextAsStated: number;

  constructor(startOffset: number) {
    this.#next = this.#nextAsStated = startOffset;
  }

  /** Steps over a batch; the offset after it, and whether it says of itself that it lies where it does. */
  step(buffer: Buffer, at: number): { nextOffset: number; inPlace: boolean } {
    const stated = baseOffset(buffer, at);
    const count = lastOffsetDelta(buffer, at) + 1;
    const inPlace = stated === this.#next || stated === this.#nextAsStated;
    this.#next = (inPlace ? stated : this.#next) + count;
    this.#nextAsStated = stated + count;
    return { nextOffset: this.#next, inPlace };
  }
}
