import { DISBELIEF_MS, DRIFT_MS, type KnownSetBacks, SetBacks } from './set-backs.ts';

/** A wall clock that has leapt ahead and is not believed, as it is kept from one start to the next. */
export interface Leap {
  /** What it showed when it was first seen to have leapt. */
  readonly firstWallMs: number;
  /** What it showed when this was kept. */
  readonly lastWallMs: number;
}

/** What is known of the time from before a start. */
export interface KnownTime {
  /** The last time that was believed. */
  readonly timeMs: number;
  /** Null when the clock was believed. */
  readonly leap: Leap | null;
  readonly setBacks?: KnownSetBacks | null;
}

/**
 * The time by which data may expire. It is the wall clock's, except when that leaps ahead: then it goes on as the monotonic
 * clock does, for a day, so that a wrong clock deletes nothing before somebody can have seen it: starts in that day do not
 * make it believed. A clock that leaps back is
 * followed at once, since an earlier time expires less; when it comes back from there it has not leapt, and what the broker
 * stamped meanwhile is not old (`stampAgeMs`).
 */
export class SteadyTime {
  /** What is believed to have been the time at `#atMonotonicMs`; never moved back by a wall clock. */
  #believedMs: number;
  #atMonotonicMs: number;
  #disbelievedSinceMs: number | null = null;
  readonly setBacks: SetBacks;

  /** `known` is null at the first start of all. */
  constructor(known: KnownTime | null, wallMs: number, monotonicMs: number) {
    this.#believedMs = wallMs;
    this.#atMonotonicMs = monotonicMs;
    this.#believeOnlyKnown(known, wallMs, monotonicMs);
    const { timeMs = null, setBacks = null } = known ?? {};
    this.setBacks = new SetBacks(setBacks, timeMs, this.#believedMs, wallMs, monotonicMs);
  }

  #believeOnlyKnown(known: KnownTime | null, wallMs: number, monotonicMs: number): void {
    // Some time without the broker is usual. A long one looks like a leap, and is believed a day later.
    if (known === null || wallMs <= known.timeMs + DISBELIEF_MS) return;
    const { timeMs, leap } = known;
    // It is the leap that was seen before when the clock has gone on from there as clocks do.
    const goesOn = leap !== null && wallMs >= leap.lastWallMs && wallMs <= leap.lastWallMs + DISBELIEF_MS;
    const leaptForMs = goesOn ? wallMs - leap.firstWallMs : 0;
    if (leaptForMs >= DISBELIEF_MS) return;
    this.#believedMs = goesOn ? timeMs + (wallMs - leap.lastWallMs) : timeMs;
    this.#disbelievedSinceMs = monotonicMs - leaptForMs;
  }

  /** How far ahead of what is believed the wall clock is, if it is not believed; else 0. As of the last `now`. */
  aheadMs = 0;
  /** What the next start must know of a clock that is not believed. As of the last `now`. */
  leap: Leap | null = null;

  now(wallMs: number, monotonicMs: number): number {
    const nowMs = this.#steadyMs(wallMs, monotonicMs);
    this.setBacks.look(nowMs, wallMs, monotonicMs);
    return nowMs;
  }

  /** How old what the broker stamped so is, at least. `nowMs` is what `now` told last. */
  stampAgeMs(stampMs: number, nowMs: number): number {
    return this.setBacks.ageMs(stampMs, nowMs);
  }

  #steadyMs(wallMs: number, monotonicMs: number): number {
    const expectedMs = this.#believedMs + (monotonicMs - this.#atMonotonicMs);
    this.#atMonotonicMs = monotonicMs;
    this.#believedMs = expectedMs;
    if (wallMs <= expectedMs + DRIFT_MS) {
      this.#believe();
      // One that runs a little fast is followed, so that the difference does not add up.
      this.#believedMs = Math.max(wallMs, expectedMs);
      return wallMs;
    }
    this.#disbelievedSinceMs ??= monotonicMs;
    if (monotonicMs - this.#disbelievedSinceMs < DISBELIEF_MS) {
      this.aheadMs = wallMs - expectedMs;
      this.leap = { firstWallMs: wallMs - (monotonicMs - this.#disbelievedSinceMs), lastWallMs: wallMs };
      return expectedMs;
    }
    this.#believe();
    this.#believedMs = wallMs;
    return wallMs;
  }

  #believe(): void {
    this.#disbelievedSinceMs = null;
    this.aheadMs = 0;
    this.leap = null;
  }
}
