import { createHash } from 'node:crypto';

/** Every event of a run, in order: what two runs of a seed are compared by. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] | null;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number, keepsLines: boolean) {
    this.#nowMs = nowMs;
    this.#lines = keepsLines ? [] : null;
  }

  add(what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${what}\n`;
    this.#hash.update(line);
    this.#lines?.push(line);
  }

  /** The lines, where they are kept. */
  get text(): string {
    return this.#lines?.join('') ?? '';
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}
