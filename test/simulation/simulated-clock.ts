import type { CancelTimer, Clock } from '../../src/base/clock.ts';
import { DRIFT_MS } from '../../src/base/set-backs.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** What the machine shows as the time of day: right, off by some time, or standing still. */
export class WallClock {
  readonly #scheduler: Scheduler;
  #offsetMs = 0;
  #frozenMs: number | null = null;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The time of day as it really is. */
  get trueMs(): number {
    return Date.UTC(2026, 0, 1) + Math.floor(this.#scheduler.nowMs);
  }

  get shownMs(): number {
    return this.#frozenMs ?? this.trueMs + this.#offsetMs;
  }

  /** By more than a small correction. */
  get isBehind(): boolean {
    return this.trueMs - this.shownMs > DRIFT_MS;
  }

  jump(byMs: number): void {
    this.#frozenMs = null;
    this.#offsetMs += byMs;
  }

  freeze(): void {
    this.#frozenMs = this.shownMs;
  }

  setRight(): void {
    this.#frozenMs = null;
    this.#offsetMs = 0;
  }
}

/** The clock of one process of the machine. */
export class SimulatedClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #wall: WallClock;
  readonly #life: Life;

  constructor(scheduler: Scheduler, wall: WallClock, life: Life) {
    this.#scheduler = scheduler;
    this.#wall = wall;
    this.#life = life;
  }

  wallMs(): number {
    return this.#wall.shownMs;
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs;
  }

  after(delayMs: number, action: () => void): CancelTimer {
    return this.#scheduler.after(delayMs, action, this.#life);
  }
}
