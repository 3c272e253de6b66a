import type { Clock } from '../../base/clock.ts';

/** Sleeps shorter than this are saved up. */
const SLEEP_MS_MIN = 5;

/** Says how long to wait before a record is given on. */
export interface Pacer {
  /** In milliseconds; 0: not at all. */
  delayMs(timestampMs: number): number;
}

/** So many records a second, evenly. */
export function atRate(clock: Clock, recordsPerSecond: number): Pacer {
  const startMs = clock.monotonicMs();
  let records = 0;
  return {
    delayMs() {
      const dueMs = startMs + (records++ * 1000) / recordsPerSecond;
      return waitUntil(clock, dueMs);
    },
  };
}

/** With the distances between the timestamps, divided by the factor. A record whose timestamp goes back waits for nothing. */
export function atRecordedPace(clock: Clock, factor: number): Pacer {
  const startMs = clock.monotonicMs();
  let firstMs: number | null = null;
  return {
    delayMs(timestampMs) {
      firstMs ??= timestampMs;
      return waitUntil(clock, startMs + (timestampMs - firstMs) / factor);
    },
  };
}

function waitUntil(clock: Clock, dueMs: number): number {
  const delayMs = dueMs - clock.monotonicMs();
  return delayMs < SLEEP_MS_MIN ? 0 : delayMs;
}
