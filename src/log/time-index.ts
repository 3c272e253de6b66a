import { grown, lastIndexWhere } from './offset-index.ts';

/*
 * Kafka's .timeindex file: entries of 12 bytes, ascending in both fields.
 *
 *   0  int64  the largest timestamp of the segment so far, in ms
 *   8  int32  offset, relative to the segment's base: the last offset of the batch that holds it
 *
 * No record before an entry's offset is younger than its timestamp. A cache of the log.
 */
const ENTRY_BYTES = 12;

export class TimeIndex {
  readonly baseOffset: number;
  #bytes: Buffer;
  #length: number;

  constructor(baseOffset: number, bytes: Buffer = Buffer.alloc(0)) {
    this.baseOffset = baseOffset;
    this.#bytes = bytes;
    this.#length = bytes.length / ENTRY_BYTES;
  }

  /** Reads a file's bytes; null when they cannot be a time index. */
  static parse(bytes: Buffer, baseOffset: number): TimeIndex | null {
    if (bytes.length % ENTRY_BYTES !== 0) return null;
    const index = new TimeIndex(baseOffset, bytes);
    for (let i = 0; i < index.length; i += 1) {
      const { timestampMs, offset } = index.entry(i);
      if (offset < baseOffset || !Number.isSafeInteger(timestampMs)) return null;
      if (i === 0) continue;
      const before = index.entry(i - 1);
      if (timestampMs <= before.timestampMs || offset <= before.offset) return null;
    }
    return index;
  }

  get length(): number {
    return this.#length;
  }

  /** Adds an entry unless the timestamp is no larger than the last one's. */
  append(timestampMs: number, offset: number): void {
    if (this.#length > 0 && timestampMs <= this.entry(this.#length - 1).timestampMs) return;
    const at = this.#length * ENTRY_BYTES;
    if (at === this.#bytes.length) this.#bytes = grown(this.#bytes, ENTRY_BYTES);
    this.#bytes.writeBigInt64BE(BigInt(timestampMs), at);
    this.#bytes.writeInt32BE(offset - this.baseOffset, at + 8);
    this.#length += 1;
  }

  entry(index: number): { timestampMs: number; offset: number } {
    const at = index * ENTRY_BYTES;
    return {
      timestampMs: Number(this.#bytes.readBigInt64BE(at)),
      offset: this.baseOffset + this.#bytes.readInt32BE(at + 8),
    };
  }

  /** The last entry older than `timestampMs`: so is every record before its offset. */
  floor(timestampMs: number): { timestampMs: number; offset: number } | null {
    const index = lastIndexWhere(this.#length, (i) => this.entry(i).timestampMs < timestampMs);
    return index < 0 ? null : this.entry(index);
  }

  /** A copy of the entries of batches before an offset. */
  toBytes(endNext = Infinity): Buffer {
    const last = lastIndexWhere(this.#length, (i) => this.entry(i).offset < endNext);
    return Buffer.from(this.#bytes.subarray(0, (last + 1) * ENTRY_BYTES));
  }
}
