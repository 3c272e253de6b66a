import type { Random } from '../base/random.ts';

export interface Backoff {
  /** The wait after a first failure. */
  firstMs: number;
  /** It doubles with every further failure, up to this. */
  maxMs: number;
}

const JITTER_PERCENT = 20;

/** The wait after so many failures in a row, up to a fifth more or less, so that clients that failed together part ways. */
export function backoffMs(backoff: Backoff, failures: number, random: Random): number {
  const exact = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.max(0, failures - 1));
  return (exact * (100 - JITTER_PERCENT + random.below(2 * JITTER_PERCENT + 1))) / 100;
}
