import { type Clock, sleep } from './clock.ts';

/** Bytes of work after which others have a turn: some 2 ms of it. */
const SLICE_BYTES = 256 * 1024;
/** What looking at one item costs, in bytes of work. */
const ITEM_BYTES = 200;
/** Whoever works shall not wait longer without asking whether to go on. */
const PAUSE_MS_MAX = 500;

/** Keeps long work in the background from standing in anyone's way: it is done in slices, and no faster than it may. */
export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerSecondMax: number;
  readonly #goOn: () => void;
  readonly #startMs: number;
  #totalBytes = 0;
  #sliceBytes = 0;

  /** `goOn` is called after each pause; what it throws ends the work. */
  constructor(clock: Clock, bytesPerSecondMax: number, goOn: () => void) {
    this.#clock = clock;
    this.#bytesPerSecondMax = bytesPerSecondMax;
    this.#goOn = goOn;
    this.#startMs = clock.monotonicMs();
  }

  /** Says that `bytes` were read or written; a promise when it is time for a pause. */
  io(bytes: number): Promise<void> | null {
    this.#totalBytes += bytes;
    return this.#work(bytes);
  }

  /** Says that so many items were looked at, and so many bytes of them copied; a promise as of `io`. */
  items(count: number, bytes = 0): Promise<void> | null {
    return this.#work(count * ITEM_BYTES + bytes);
  }

  #work(bytes: number): Promise<void> | null {
    this.#sliceBytes += bytes;
    if (this.#sliceBytes < SLICE_BYTES) return null;
    this.#sliceBytes = 0;
    return this.#pause();
  }

  async #pause(): Promise<void> {
    const dueMs = (): number =>
      this.#startMs + (this.#totalBytes / this.#bytesPerSecondMax) * 1000 - this.#clock.monotonicMs();
    await sleep(this.#clock, 0);
    this.#goOn();
    for (let leftMs = dueMs(); leftMs > 0; leftMs = dueMs()) {
      await sleep(this.#clock, Math.min(leftMs, PAUSE_MS_MAX));
      this.#goOn();
    }
  }
}
