import { invariant } from '../base/invariant.ts';

/**
 * Of one read: a megabyte, which is what clients ask of a partition, and what is read beyond it because the index leads to a
 * place up to an interval before the batch that is wanted, or a block of a compacted segment reaches further.
 */
export const READ_BUFFER_BYTES = (1024 + 32) * 1024;

/** Buffers that lie here unused, of some 1 MiB each. */
const UNUSED_MAX = 8;

/**
 * Memory into which segment files are read, used again when what was read is on its way: fresh memory costs more than the
 * read itself, in page faults and in the garbage collector's work. How much is in use at once is bounded by whoever reads;
 * what lies here unused by UNUSED_MAX.
 */
export class ReadBuffers {
  /** The one used last is last, and taken first: the processor's caches still have it. */
  readonly #unused: Buffer[] = [];

  /** Holds anything. It is whoever's takes it until given back, and for ever if it never is. */
  take(): Buffer {
    return this.#unused.pop() ?? Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  }

  /** Nobody may look at it from now on. */
  give(buffer: Buffer): void {
    // Else two readers would get it, and one of them the other's bytes.
    invariant(buffer.length > 0 && !this.#unused.includes(buffer), 'a read buffer is given back twice');
    if (this.#unused.length < UNUSED_MAX) this.#unused.push(buffer);
    // Freed at once: the garbage collector lets dozens of megabytes pile up before it looks at such memory.
    else (buffer.buffer as ArrayBuffer).transfer(0);
  }
}
