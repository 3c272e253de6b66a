/** How far the wall clock may run from the monotonic one between two looks: corrections of a clock that is roughly right. */
const DRIFT_MS = 10 * 60 * 1000;
/** How long a clock that has leapt ahead is not believed, in time that really passes. */
const DISBELIEF_MS = 24 * 60 * 60 * 1000;

/**
 * The time by which data may expire. It is the wall clock's, except when that leaps ahead: then it goes on as the monotonic
 * clock does, for a day, so that a wrong clock deletes nothing before somebody can have seen it. A clock that leaps back is
 * followed at once, since an earlier time expires less; when it comes back from there it has not leapt.
 */
export class SteadyTime {
  /** What is believed to have been the time at `#atMonotonicMs`; never moved back by a wall clock. */
  #believedMs: number;
  #atMonotonicMs: number;
  #disbelievedSinceMs: number | null = null;

  /** `knownMs` is the last time that is known from before, null when none is. */
  constructor(knownMs: number | null, wallMs: number, monotonicMs: number) {
    // Some time without the broker is usual. A long one looks like a leap, and is believed a day later.
    const isUsual = knownMs === null || wallMs <= knownMs + DISBELIEF_MS;
    this.#believedMs = isUsual ? wallMs : knownMs;
    this.#atMonotonicMs = monotonicMs;
  }

  /** How far ahead of what is believed the wall clock is, if it is not believed; else 0. As of the last `now`. */
  aheadMs = 0;

  now(wallMs: number, monotonicMs: number): number {
    const expectedMs = this.#believedMs + (monotonicMs - this.#atMonotonicMs);
    this.#atMonotonicMs = monotonicMs;
    this.#believedMs = expectedMs;
    if (wallMs <= expectedMs + DRIFT_MS) {
      this.#disbelievedSinceMs = null;
      this.aheadMs = 0;
      // One that runs a little fast is followed, so that the difference does not add up.
      this.#believedMs = Math.max(wallMs, expectedMs);
      return wallMs;
    }
    this.#disbelievedSinceMs ??= monotonicMs;
    if (monotonicMs - this.#disbelievedSinceMs < DISBELIEF_MS) {
      this.aheadMs = wallMs - expectedMs;
      return expectedMs;
    }
    this.#disbelievedSinceMs = null;
    this.aheadMs = 0;
    this.#believedMs = wallMs;
    return wallMs;
  }
}
