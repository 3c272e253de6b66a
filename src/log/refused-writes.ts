import type { Clock } from '../base/clock.ts';
import { isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';

/** On a full disk clients try again at once, each is refused, and the log shall not fill with it. */
const INTERVAL_MS = 1000;

/** Tells of the writes of one log that failed, those for want of room at most once a second. */
export class RefusedWrites {
  readonly #context: { readonly clock: Clock; readonly logger: Logger };
  readonly #folder: string;
  #toldMs = Number.NEGATIVE_INFINITY;
  /** Since then. */
  #writes = 0;
  #batches = 0;

  constructor(context: { readonly clock: Clock; readonly logger: Logger }, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  tell(batches: number, err: unknown): void {
    const { clock, logger } = this.#context;
    this.#writes += 1;
    this.#batches += batches;
    const nowMs = clock.monotonicMs();
    if (isFault(err, 'diskFull') && nowMs - this.#toldMs < INTERVAL_MS) return;
    const facts = { folder: this.#folder, writes: this.#writes, batches: this.#batches, err };
    logger.error(facts, 'writes failed; their batches are refused');
    this.#toldMs = nowMs;
    this.#writes = this.#batches = 0;
  }
}
