import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';

/** A disk that has refused it is not asked again at once, however much is sent. */
const RETRY_AFTER_MS = 1_000;

/**
 * Sees to it that the ledger is told when the clock was set back, or right again, before anything is acknowledged that was stamped since:
 * after a crash, a start with the clock set right would find that old. While the disk does not take it, nothing more is stamped.
 */
export class SetBacksKeeper {
  readonly #store: () => Promise<void>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onBug: (bug: unknown) => void;
  /** What waits until it is stored; null when it is. */
  #unstored: PromiseWithResolvers<void> | null = null;
  #isStoring = false;
  /** Whether the clock was set again while that was being stored. */
  #isOutdated = false;
  #refusal: Fault | null = null;
  #refusedAtMs = 0;
  #stopped: Fault | null = null;

  constructor(store: () => Promise<void>, clock: Clock, logger: Logger, onBug: (bug: unknown) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#onBug = onBug;
  }

  /** Resolves when all is stored; null when it is. */
  get stored(): Promise<void> | null {
    return this.#unstored?.promise ?? null;
  }

  /** The clock was set. */
  changed(): void {
    if (this.#stopped !== null) return;
    if (this.#unstored === null) {
      this.#unstored = Promise.withResolvers();
      // Whoever stamps waits for it; often nobody does.
      this.#unstored.promise.catch(() => {});
    }
    this.#isOutdated = this.#isStoring;
    if (!this.#isStoring) void this.#run();
  }

  /** Tries again what the disk has refused, some time ago. */
  retry(): void {
    if (this.#refusal === null || this.#isStoring) return;
    if (this.#clock.monotonicMs() - this.#refusedAtMs >= RETRY_AFTER_MS) void this.#run();
  }

  /** Before something is stamped. @throws Fault with which the disk refused what must be stored first; it is tried again */
  checkMayStamp(): void {
    const refusal = this.#refusal;
    this.retry();
    if (refusal !== null) throw refusal;
  }

  /** Nothing is stored any more but by the stop itself. */
  stop(fault: Fault): void {
    this.#stopped ??= fault;
    this.#unstored?.reject(fault);
  }

  async #run(): Promise<void> {
    this.#isStoring = true;
    try {
      do {
        this.#isOutdated = false;
        await this.#store();
      } while (this.#isOutdated && this.#stopped === null);
      this.#refusal = null;
      this.#unstored?.resolve();
      this.#unstored = null;
    } catch (error) {
      if (!(error instanceof Fault)) this.#onBug(error);
      else if (this.#stopped === null) {
        const says =
          'it cannot be stored that the clock was set: records that the broker has to stamp are refused until it is';
        if (this.#refusal === null) this.#logger.warn({ err: error }, says);
        this.#refusal = error;
        this.#refusedAtMs = this.#clock.monotonicMs();
      }
    } finally {
      this.#isStoring = false;
    }
  }
}
