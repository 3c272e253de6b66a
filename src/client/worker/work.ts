import type { CancelTimer } from '../../base/clock.ts';
import type { ReadRecord } from '../read-record.ts';
import type { AssignedPartition } from './assigned-partition.ts';
import type { Origin } from './failure-headers.ts';
import type { TrackedOffset } from './offset-tracker.ts';
import type { Task } from './scheduler.ts';
import type { TraceContext } from './trace-context.ts';

/** In which order records are worked: those of a key, or of a partition, one after another; or all as there is room. */
export type WorkOrder = 'key' | 'partition' | 'none';

/** A record on its way through the worker. */
export interface Work<K, V> extends Task {
  readonly assigned: AssignedPartition<K, V>;
  readonly tracked: TrackedOffset;
  /** As the handler gets it: what came by a retry topic is told as it was first. */
  readonly record: ReadRecord<K, V>;
  readonly origin: Origin;
  readonly trace: TraceContext | null;
  /** By the monotonic clock. */
  readonly takenAtMs: number;
  /** Attempts begun so far, in whatever process. */
  attempts: number;
  /** Of the attempt that is in work. */
  attempt: AbortController | null;
  /** While it waits for its time. */
  cancelTimer: CancelTimer | null;
}

/** Where in the scheduler a record belongs. */
export function laneOf(
  keyBytes: Buffer | null,
  order: WorkOrder,
  concurrencyPerKey: number,
): { lane: string; laneLimit: number } {
  if (order === 'partition') return { lane: 'all', laneLimit: 1 };
  const laneLimit = order === 'key' ? 1 : concurrencyPerKey;
  // What has no key has no order either.
  if (keyBytes === null || laneLimit === Number.POSITIVE_INFINITY) {
    return { lane: 'any', laneLimit: Number.POSITIVE_INFINITY };
  }
  return { lane: `key ${keyBytes.toString('latin1')}`, laneLimit };
}
