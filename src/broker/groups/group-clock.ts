import type { Clock } from '../../base/clock.ts';

/**
 * The broker's uptime: milliseconds for which it has run, in all its runs together. Groups know no other time, so that no
 * jump of the system's clock ends a session or expires an offset, and none expires while the broker is off.
 */
export class GroupClock {
  readonly #clock: Clock;
  readonly #startMs: number;

  /** `ranForMs`: how long it had run before this start. */
  constructor(clock: Clock, ranForMs: number) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs() - ranForMs;
  }

  /** Whole milliseconds. */
  uptimeMs(): number {
    return Math.floor(this.#clock.monotonicMs() - this.#startMs);
  }
}
