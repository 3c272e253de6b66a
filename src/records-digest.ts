import xxhash, { type XXHash } from 'xxhash-wasm';
import type { LogRecord } from './record/records.ts';

/*
 * What is hashed of each record, numbers big-endian; -1 is the length of null:
 *
 *   int64 offset, int64 timestamp,
 *   int32 key length, key, int32 value length, value,
 *   int32 header count, then of each: int32 name length, name (UTF-8), int32 value length, value
 *
 * Batches, compression and what the broker stamps on batches do not enter, so a log that was copied has the same digest.
 */

const PIECE_BYTES = 64 * 1024;

/** XXH64 of records in their order. */
export class RecordsDigest {
  readonly #hash: XXHash<bigint>;
  // The hash takes a few large pieces much faster than many small ones.
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
  #used = 0;

  private constructor(hash: XXHash<bigint>) {
    this.#hash = hash;
  }

  static async create(): Promise<RecordsDigest> {
    return new RecordsDigest((await xxhash()).create64());
  }

  add({ offset, timestampMs, key, value, headers }: LogRecord): void {
    this.#reserve(16);
    this.#used = this.#piece.writeBigInt64BE(BigInt(offset), this.#used);
    this.#used = this.#piece.writeBigInt64BE(BigInt(timestampMs), this.#used);
    this.#bytes(key);
    this.#bytes(value);
    this.#int32(headers.length);
    for (const header of headers) {
      this.#bytes(Buffer.from(header.key));
      this.#bytes(header.value);
    }
  }

  /** 16 hexadecimal digits; nothing may be added afterwards. */
  end(): string {
    this.#flush();
    return this.#hash.digest().toString(16).padStart(16, '0');
  }

  #bytes(bytes: Buffer | null): void {
    this.#int32(bytes?.length ?? -1);
    if (bytes === null) return;
    this.#reserve(bytes.length);
    if (bytes.length > PIECE_BYTES) this.#hash.update(bytes);
    else this.#used += bytes.copy(this.#piece, this.#used);
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#used = this.#piece.writeInt32BE(value, this.#used);
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > PIECE_BYTES) this.#flush();
  }

  #flush(): void {
    if (this.#used > 0) this.#hash.update(this.#piece.subarray(0, this.#used));
    this.#used = 0;
  }
}
