import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import { partitionText } from './partition-name.ts';
import type { Work } from './work.ts';
import type { Handler } from './worker-options.ts';

/** What became of an attempt, once the handler had ended. */
export interface Outcome {
  /** Null: it is done. */
  readonly error: { readonly thrown: unknown } | null;
  readonly durationMs: number;
}

/**
 * Gives a record to the handler and waits for as long as it takes: a handler that does not heed its signal keeps its place, since
 * the record must not be worked twice at a time. What it returns after the deadline still counts. Never rejects.
 */
export async function attempt<K, V>(
  work: Work<K, V>,
  handler: Handler<K, V>,
  deadlineMs: number,
  clock: Clock,
  onOverdue: () => void,
): Promise<Outcome> {
  const { record, trace, attempts, origin } = work;
  const controller = new AbortController();
  work.attempt = controller;
  const startMs = clock.monotonicMs();
  const overdue = (): void => {
    const detail = `${partitionText(origin)}, offset ${origin.offset}, within ${deadlineMs} ms`;
    controller.abort(new Fault('recordOverdue', { detail }));
    onOverdue();
  };
  const cancel = deadlineMs === Number.POSITIVE_INFINITY ? null : clock.after(deadlineMs, overdue);
  let error: Outcome['error'] = null;
  try {
    // What cannot be decoded fails here, once, and not wherever a handler happens to look.
    void record.key;
    void record.value;
    await handler(record, { attempt: attempts, signal: controller.signal, trace });
  } catch (thrown) {
    error = { thrown };
  }
  cancel?.();
  return { error, durationMs: clock.monotonicMs() - startMs };
}
