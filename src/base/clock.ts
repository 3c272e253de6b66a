/** Stops a timer; calling it twice, or after the timer has run, does nothing. */
export type CancelTimer = () => void;

/**
 * Time, handed in so that a simulation can own it. Timers and durations use `monotonicMs`, which a change of the
 * system's clock cannot move; `wallMs` is data (record timestamps, retention) and is never used to wait.
 */
export interface Clock {
  /** Milliseconds since 1970, UTC. May jump either way. */
  wallMs(): number;
  /** Milliseconds since some moment of this process; never goes back. */
  monotonicMs(): number;
  /** Runs `action` once, after at least `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, action: () => void): CancelTimer;
}

/** Node's timers fire at once above this delay (2^31 - 1 ms, 24.8 days). */
const TIMER_DELAY_MAX_MS = 0x7fffffff;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(delayMs, 0), TIMER_DELAY_MAX_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Waits; for code that has nothing to cancel. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
