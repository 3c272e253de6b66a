import type { CancelTimer, Clock } from '../base/clock.ts';

/** Something to wait for that may be said at any time, also before the wait. */
export class Wakeup {
  readonly #clock: Clock;
  #said = false;
  #resolve: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#said = true;
    this.#resolve?.();
  }

  /** What was said before is over. */
  clear(): void {
    this.#said = false;
  }

  /** Until it is said, or the time is over; then it is cleared. */
  async wait(timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#said) {
      let cancel: CancelTimer | null = null;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        if (timeoutMs !== Number.POSITIVE_INFINITY) cancel = this.#clock.after(timeoutMs, resolve);
      });
      (cancel as CancelTimer | null)?.();
      this.#resolve = null;
    }
    this.#said = false;
  }
}
