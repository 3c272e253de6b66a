import { Fault } from '../../base/faults.ts';
import type { Random } from '../../base/random.ts';

export interface RetryOptions {
  /** How often a record is tried, the first time included. Default 5; 1: no retry; Infinity: until it works. */
  attempts?: number;
  /** The wait before the second attempt. Default 200. */
  minMs?: number;
  /** By what the wait grows with each further attempt. Default 2. */
  factor?: number;
  /** The longest wait. Default 30,000. */
  maxMs?: number;
  /** By which part of itself a wait is made longer or shorter at random. Default 0.2. */
  jitter?: number;
  /** Whether an error is worth another attempt. Default: every one but DoNotRetry is. */
  retryIf?: (error: unknown, attempt: number) => boolean;
  /**
   * Retries by way of topics instead of in place: a failed record is stored in a topic of its own, and what comes after it goes
   * on, the same key's records too. True: `<topic>.<group>.retry.1`, `.2` and so on, one for each retry up to 4; or the topics'
   * names, in the order of the attempts. Further attempts go to the last one again. Default false.
   */
  topics?: boolean | readonly string[];
}

/** Thrown by a handler: the record is not tried again, but goes to the dead letters at once. */
export class DoNotRetry extends Error {
  override name = 'DoNotRetry';
}

/** Thrown by a handler: the record is tried again after this time, if it has attempts left. */
export class RetryAfter extends Error {
  override name = 'RetryAfter';
  readonly delayMs: number;

  constructor(delayMs: number, message = `to be tried again after ${delayMs} ms`, options?: ErrorOptions) {
    super(message, options);
    this.delayMs = Math.max(0, delayMs);
  }
}

export interface RetryPolicy extends Required<Omit<RetryOptions, 'topics'>> {}

/** @throws Fault invalidArgument. */
export function retryPolicy(options: RetryOptions): RetryPolicy {
  const policy = {
    attempts: options.attempts ?? 5,
    minMs: options.minMs ?? 200,
    factor: options.factor ?? 2,
    maxMs: options.maxMs ?? 30_000,
    jitter: options.jitter ?? 0.2,
    retryIf: options.retryIf ?? (() => true),
  };
  check(
    policy.attempts === Number.POSITIVE_INFINITY || (Number.isInteger(policy.attempts) && policy.attempts >= 1),
    `retry.attempts must be at least 1, not ${policy.attempts}`,
  );
  check(policy.minMs >= 0, `retry.minMs must be 0 or more, not ${policy.minMs}`);
  check(policy.maxMs >= policy.minMs, `retry.maxMs must be at least minMs, not ${policy.maxMs}`);
  check(policy.factor >= 1, `retry.factor must be at least 1, not ${policy.factor}`);
  check(policy.jitter >= 0 && policy.jitter <= 1, `retry.jitter must be from 0 to 1, not ${policy.jitter}`);
  return policy;
}

/** How long to wait before the record is tried again after this attempt, counted from 1; null: it is not. */
export function retryDelayMs(policy: RetryPolicy, error: unknown, attempt: number, random: Random): number | null {
  if (attempt >= policy.attempts || error instanceof DoNotRetry) return null;
  if (error instanceof Fault && error.fault === 'undecodableValue') return null;
  if (!policy.retryIf(error, attempt)) return null;
  if (error instanceof RetryAfter) return error.delayMs;
  const exactMs = Math.min(policy.maxMs, policy.minMs * policy.factor ** (attempt - 1));
  const share = (random.below(JITTER_STEPS + 1) / JITTER_STEPS) * 2 - 1;
  return exactMs * (1 + policy.jitter * share);
}

const JITTER_STEPS = 1000;

function check(holds: boolean, detail: string): void {
  if (!holds) throw new Fault('invalidArgument', { detail });
}
