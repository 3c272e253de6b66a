import type { CancelTimer } from '../../base/clock.ts';
import type { Codec } from '../codecs.ts';
import { ReadRecord } from '../read-record.ts';
import type { AssignedPartition } from './assigned-partition.ts';
import { type Origin, withoutFailure } from './failure-headers.ts';
import type { TrackedOffset } from './offset-tracker.ts';
import type { Task } from './scheduler.ts';
import { type TraceContext, traceOf } from './trace-context.ts';
import type { WorkerSettings } from './worker-options.ts';

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

interface Taken<K, V> {
  assigned: AssignedPartition<K, V>;
  tracked: TrackedOffset;
  read: ReadRecord<K, V>;
  /** What a record of a retry topic says of itself. */
  retry: { readonly origin: Origin; readonly attempts: number } | null;
  settings: Pick<WorkerSettings<K, V>, 'order' | 'concurrencyPerKey' | 'key' | 'value'>;
  takenAtMs: number;
}

export function workOf<K, V>({ assigned, tracked, read, retry, settings, takenAtMs }: Taken<K, V>): Work<K, V> {
  const { topic, partition, offset, timestampMs } = read;
  const origin = retry?.origin ?? { topic, partition, offset, timestampMs };
  return {
    partition: assigned.key,
    ...laneOf(read.keyBytes, settings.order, settings.concurrencyPerKey),
    assigned,
    tracked,
    record: retry === null ? read : asItWas(read, origin, settings),
    origin,
    trace: traceOf(read.headers),
    takenAtMs,
    attempts: retry?.attempts ?? 0,
    attempt: null,
    cancelTimer: null,
  };
}

function asItWas<K, V>(
  read: ReadRecord<K, V>,
  origin: Origin,
  codecs: { key: Codec<K>; value: Codec<V> },
): ReadRecord<K, V> {
  const { keyBytes: key, valueBytes: value } = read;
  const { topic, partition, offset, timestampMs } = origin;
  const source = { topic, partition, key: codecs.key, value: codecs.value };
  return new ReadRecord({ offset, timestampMs, key, value, headers: withoutFailure(read.headers) }, source);
}

/** Where in the scheduler a record belongs. */
function laneOf(
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
