import { BATCH_HEADER_BYTES, batchBytes, nextOffset } from '../record/batch.ts';
import type { Checksum } from './checksum.ts';
import { grown, lastIndexWhere } from './offset-index.ts';

/*
 * The .sums file of a compacted segment: an entry of 16 bytes for each block, which is a run of whole batches of 16 KiB, or one
 * batch that is larger.
 *
 *   0  uint32  where the block ends in the .log file
 *   4  uint32  the offset after its last batch, relative to the segment's base
 *   8  uint64  XXH64 of the block
 *
 * Where offsets have gaps they do not prove each other, and base offset, length, epoch and magic are not under a batch's CRC:
 * this is what proves them. The file itself is proven by the XXH64 of it in `compacted`, and can be made again from the log.
 */
const ENTRY_BYTES = 16;
export const BLOCK_BYTES = 16 * 1024;

export interface Block {
  readonly start: number;
  readonly end: number;
  /** The offset after its last batch. */
  readonly nextOffset: number;
}

export class BlockSums {
  readonly #bytes: Buffer;
  readonly #baseOffset: number;
  readonly #checksum: Checksum;

  constructor(bytes: Buffer, baseOffset: number, checksum: Checksum) {
    this.#bytes = bytes;
    this.#baseOffset = baseOffset;
    this.#checksum = checksum;
  }

  /** What a file has; null when it is not what `proof` is of, or cannot be blocks of such a segment. */
  static parse(
    bytes: Buffer,
    baseOffset: number,
    proof: { readonly sums: string; readonly bytes: number; readonly endNext: number },
    checksum: Checksum,
  ): BlockSums | null {
    const sums = new BlockSums(bytes, baseOffset, checksum);
    if (sums.sum !== proof.sums || !Number.isInteger(sums.length)) return null;
    let before = { end: 0, nextOffset: baseOffset };
    for (let i = 0; i < sums.length; i += 1) {
      const block = sums.block(i);
      if (block.end <= before.end || block.nextOffset <= before.nextOffset) return null;
      before = block;
    }
    return before.end === proof.bytes && before.nextOffset <= proof.endNext ? sums : null;
  }

  get length(): number {
    return this.#bytes.length / ENTRY_BYTES;
  }

  toBytes(): Buffer {
    return this.#bytes;
  }

  /** Stands for all entries. */
  get sum(): string {
    return this.#checksum(this.#bytes).toString(16).padStart(16, '0');
  }

  block(index: number): Block {
    const at = index * ENTRY_BYTES;
    const start = index === 0 ? 0 : this.#bytes.readUInt32BE(at - ENTRY_BYTES);
    const nextOffset = this.#baseOffset + this.#bytes.readUInt32BE(at + 4);
    return { start, end: this.#bytes.readUInt32BE(at), nextOffset };
  }

  /** The first block that reaches past `offset`; `length` when none does. */
  withOffset(offset: number): number {
    return lastIndexWhere(this.length, (i) => this.block(i).nextOffset <= offset) + 1;
  }

  /** The block in which `position` lies; `length` past the end. */
  withPosition(position: number): number {
    return lastIndexWhere(this.length, (i) => this.block(i).end <= position) + 1;
  }

  /** Whether these are the bytes that were written there: whole batches, of which the last ends where the block does. */
  proves(index: number, bytes: Buffer): boolean {
    if (this.#checksum(bytes) !== this.#bytes.readBigUInt64BE(index * ENTRY_BYTES + 8)) return false;
    let next = -1;
    let at = 0;
    while (at + BATCH_HEADER_BYTES <= bytes.length) {
      const size = batchBytes(bytes, at);
      if (size < BATCH_HEADER_BYTES) return false;
      next = nextOffset(bytes, at);
      at += size;
    }
    return at === bytes.length && next === this.block(index).nextOffset;
  }
}

/** Makes the entries from a segment's batches, in their order. */
export class BlockSumsBuilder {
  readonly #baseOffset: number;
  readonly #checksum: Checksum;
  #entries: Buffer = Buffer.alloc(0);
  #length = 0;
  #position = 0;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #nextOffset = 0;

  constructor(baseOffset: number, checksum: Checksum) {
    this.#baseOffset = baseOffset;
    this.#checksum = checksum;
  }

  add(batch: Buffer, nextOffset: number): void {
    if (this.#blockBytes > 0 && this.#blockBytes + batch.length > BLOCK_BYTES) this.#endBlock();
    this.#block.push(batch);
    this.#blockBytes += batch.length;
    this.#nextOffset = nextOffset;
  }

  end(): BlockSums {
    if (this.#blockBytes > 0) this.#endBlock();
    return new BlockSums(this.#entries.subarray(0, this.#length * ENTRY_BYTES), this.#baseOffset, this.#checksum);
  }

  #endBlock(): void {
    const at = this.#length * ENTRY_BYTES;
    if (at === this.#entries.length) this.#entries = grown(this.#entries, ENTRY_BYTES);
    this.#position += this.#blockBytes;
    this.#entries.writeUInt32BE(this.#position, at);
    this.#entries.writeUInt32BE(this.#nextOffset - this.#baseOffset, at + 4);
    const bytes = this.#block.length === 1 ? this.#block[0]! : Buffer.concat(this.#block);
    this.#entries.writeBigUInt64BE(this.#checksum(bytes), at + 8);
    this.#length += 1;
    this.#block = [];
    this.#blockBytes = 0;
  }
}
