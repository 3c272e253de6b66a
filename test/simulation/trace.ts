import { createHash } from 'node:crypto';

const PENDING_MAX = 1 << 16;

/** Every event of a run, in order: what two runs of a seed are compared by. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] | null;
  readonly #nowMs: () => number;
  /** What is to be hashed: one call for many lines. */
  #pending = '';

  constructor(nowMs: () => number, keepsLines: boolean) {
    this.#nowMs = nowMs;
    this.#lines = keepsLines ? [] : null;
  }

  add(what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${what}\n`;
    this.#pending += line;
    if (this.#pending.length > PENDING_MAX) this.#hashPending();
    this.#lines?.push(line);
  }

  /** The lines, where they are kept. */
  get text(): string {
    return this.#lines?.join('') ?? '';
  }

  /** Ends the trace. */
  digest(): string {
    this.#hashPending();
    return this.#hash.digest('hex');
  }

  #hashPending(): void {
    this.#hash.update(this.#pending);
    this.#pending = '';
  }
}
