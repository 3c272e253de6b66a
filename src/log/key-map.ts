import type { Random } from '../base/random.ts';
import { type Checksum, loadChecksum } from './checksum.ts';

/** Four words of a key's hash, two of an offset. */
const SLOT_WORDS = 6;
const SLOT_BYTES = SLOT_WORDS * 4;
/** With more in it, looking for a key takes ever longer. Kafka's log.cleaner.io.buffer.load.factor. */
const LOAD_MAX = 0.9;
const SLOTS_MIN = 16;
const WORD = 2 ** 32;

/**
 * The newest offset of each key, in a fixed number of bytes. Keys are known by 128 bits: XXH64 under two seeds that nobody
 * else knows, so that nobody can choose keys that are taken for each other. Two that are by chance: one in 10^26 for a million.
 */
export class KeyMap {
  /** Offset 0 is stored as 1: a slot of zeros is free. */
  readonly #words: Uint32Array;
  readonly #slots: number;
  readonly #hash: Checksum;
  readonly #seeds: readonly [bigint, bigint];
  readonly #digest = new BigUint64Array(2);
  readonly #digestWords = new Uint32Array(this.#digest.buffer);
  #size = 0;

  private constructor(bytes: number, hash: Checksum, random: Random) {
    this.#slots = Math.max(SLOTS_MIN, Math.floor(bytes / SLOT_BYTES));
    // Zeros of the operating system: memory that no key falls on is never taken.
    this.#words = new Uint32Array(this.#slots * SLOT_WORDS);
    this.#hash = hash;
    this.#seeds = [random.bytes(8).readBigUInt64LE(), random.bytes(8).readBigUInt64LE()];
  }

  static async create(bytes: number, random: Random): Promise<KeyMap> {
    return new KeyMap(bytes, await loadChecksum(), random);
  }

  get size(): number {
    return this.#size;
  }

  /** Takes a key's offset, which is larger than all before it. False, with nothing done, when there is no room for another. */
  put(key: Uint8Array, offset: number): boolean {
    if (this.#size >= Math.floor(this.#slots * LOAD_MAX)) return false;
    const at = this.#find(key);
    const words = this.#words;
    if (words[at + 4] === 0 && words[at + 5] === 0) {
      words.set(this.#digestWords, at);
      this.#size += 1;
    }
    words[at + 4] = Math.floor((offset + 1) / WORD);
    words[at + 5] = (offset + 1) >>> 0;
    return true;
  }

  /** The newest offset of a key; -1 when it is not known. */
  get(key: Uint8Array): number {
    const at = this.#find(key);
    return this.#words[at + 4]! * WORD + this.#words[at + 5]! - 1;
  }

  /** Where the key's slot is, or the free one that would be its own. Leaves its hash in `#digestWords`. */
  #find(key: Uint8Array): number {
    const words = this.#words;
    this.#digest[0] = this.#hash(key, this.#seeds[0]);
    this.#digest[1] = this.#hash(key, this.#seeds[1]);
    const digest = this.#digestWords;
    const [a, b, c, d] = [digest[0]!, digest[1]!, digest[2]!, digest[3]!];
    for (let slot = a % this.#slots; ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      const at = slot * SLOT_WORDS;
      if (words[at + 4] === 0 && words[at + 5] === 0) return at;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return at;
    }
  }
}
