/*
 * Kafka's .index file: entries of 8 bytes, ascending.
 *
 *   0  int32  offset, relative to the segment's base: the last offset of a batch
 *   4  int32  the position in the .log file at which that batch starts
 *
 * Sparse: one entry about every `index.interval.bytes`. A cache of the log, rebuilt from it whenever it is in doubt.
 */
const ENTRY_BYTES = 8;

export class OffsetIndex {
  readonly baseOffset: number;
  #bytes: Buffer;
  #length = 0;

  constructor(baseOffset: number, bytes: Buffer = Buffer.alloc(0)) {
    this.baseOffset = baseOffset;
    this.#bytes = bytes;
    this.#length = bytes.length / ENTRY_BYTES;
  }

  /** Reads a file's bytes; null when they cannot be the index of a segment of this size. */
  static parse(bytes: Buffer, baseOffset: number, segmentBytes: number): OffsetIndex | null {
    if (bytes.length % ENTRY_BYTES !== 0) return null;
    let offsetBefore = -1;
    let positionBefore = -1;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const offset = bytes.readInt32BE(at);
      const position = bytes.readInt32BE(at + 4);
      if (offset <= offsetBefore || position <= positionBefore || position >= segmentBytes) return null;
      offsetBefore = offset;
      positionBefore = position;
    }
    return new OffsetIndex(baseOffset, bytes);
  }

  get length(): number {
    return this.#length;
  }

  append(lastOffset: number, position: number): void {
    const at = this.#length * ENTRY_BYTES;
    if (at === this.#bytes.length) this.#bytes = grown(this.#bytes, ENTRY_BYTES);
    this.#bytes.writeInt32BE(lastOffset - this.baseOffset, at);
    this.#bytes.writeInt32BE(position, at + 4);
    this.#length += 1;
  }

  entry(index: number): { offset: number; position: number } {
    const at = index * ENTRY_BYTES;
    return { offset: this.baseOffset + this.#bytes.readInt32BE(at), position: this.#bytes.readInt32BE(at + 4) };
  }

  /** The last entry up to `offset`: its batch, or one at most about an interval after it, holds the offset. */
  floor(offset: number): { offset: number; position: number } | null {
    const index = lastIndexWhere(this.#length, (i) => this.entry(i).offset <= offset);
    return index < 0 ? null : this.entry(index);
  }

  /** The entries whose batches start after `position`. */
  *after(position: number): Generator<{ offset: number; position: number }> {
    const before = lastIndexWhere(this.#length, (i) => this.entry(i).position <= position);
    for (let i = before + 1; i < this.#length; i += 1) yield this.entry(i);
  }

  /** A copy of the entries whose batches start before a position. */
  toBytes(endPosition = Infinity): Buffer {
    const last = lastIndexWhere(this.#length, (i) => this.entry(i).position < endPosition);
    return Buffer.from(this.#bytes.subarray(0, (last + 1) * ENTRY_BYTES));
  }
}

/** The last index below `length` for which `holds` is true, or -1; `holds` is true up to some index and false after it. */
export function lastIndexWhere(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A copy of twice the room. */
export function grown(bytes: Buffer, entryBytes: number): Buffer {
  const larger = Buffer.alloc(Math.max(bytes.length * 2, entryBytes * 8));
  bytes.copy(larger);
  return larger;
}
