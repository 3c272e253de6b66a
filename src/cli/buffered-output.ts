import { ByteWriter } from './byte-writer.ts';
import { write } from './output.ts';

export type Write = (bytes: Buffer) => Promise<void>;

const FLUSH_BYTES = 64 * 1024;

/**
 * Standard output, or another, in large pieces while there is much, and at once when there is a pause: what was gathered goes out when
 * the event loop next turns. Bounded: `keepPace` waits for a reader that is slower.
 */
export class BufferedOutput {
  readonly writer = new ByteWriter(2 * FLUSH_BYTES);
  readonly #write: Write;
  #writing: Promise<void> | null = null;
  #scheduled = false;
  #failure: unknown = null;

  constructor(writeTo: Write = write) {
    this.#write = writeTo;
  }

  /** Whether so much has gathered that keepPace waits. */
  get isFull(): boolean {
    return this.writer.length >= FLUSH_BYTES;
  }

  /** To be awaited after each batch. @throws what the output failed with */
  async keepPace(): Promise<void> {
    if (this.isFull) return this.flush();
    if (this.#failure !== null) throw this.#failure;
    if (this.#scheduled || this.#writing !== null || this.writer.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#writing === null) this.#writeOut();
    });
  }

  /** Resolves when all is handed on. @throws what the output failed with */
  async flush(): Promise<void> {
    while (this.#writing !== null || this.writer.length > 0) {
      if (this.#writing === null) this.#writeOut();
      await this.#writing;
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #writeOut(): void {
    if (this.writer.length === 0) return;
    this.#writing = this.#write(this.writer.take())
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#writing = null;
        // What came while this was on its way must not wait for the next batch.
        if (this.writer.length > 0 && this.#failure === null) this.#writeOut();
      });
  }
}
