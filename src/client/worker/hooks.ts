import type { NewOffset } from '../group-offsets.ts';
import type { ReadRecord } from '../read-record.ts';
import type { TraceContext } from './trace-context.ts';

export interface WorkEvent<K, V> {
  readonly record: ReadRecord<K, V>;
  /** From 1. */
  readonly attempt: number;
  readonly trace: TraceContext | null;
}

export interface EndedEvent<K, V> extends WorkEvent<K, V> {
  /** Of the handler, in this attempt. */
  readonly durationMs: number;
}

export interface FailedEvent<K, V> extends EndedEvent<K, V> {
  readonly error: unknown;
}

/** For metrics and traces. They are called as things happen and should return at once; what they throw is logged, once for each hook. */
export interface WorkerHooks<K = string, V = unknown> {
  /** An attempt begins; `waitedMs` after the record came from the broker. */
  onStart?: (event: WorkEvent<K, V> & { readonly waitedMs: number }) => void;
  onSuccess?: (event: EndedEvent<K, V>) => void;
  /** An attempt failed and another one follows after `delayMs`: in place, or by way of `topic`. */
  onRetry?: (event: FailedEvent<K, V> & { readonly delayMs: number; readonly topic: string | null }) => void;
  /** The record is stored among the dead letters. */
  onDeadLetter?: (
    event: FailedEvent<K, V> & { readonly topic: string; readonly partition: number; readonly offset: number },
  ) => void;
  /** The last attempt failed, and the record is left out. */
  onSkip?: (event: FailedEvent<K, V>) => void;
  /** An attempt ended after its partition was given up; its outcome changes nothing: the record is worked again elsewhere. */
  onAbandon?: (event: EndedEvent<K, V>) => void;
  /** Offsets were committed, or with an `error` not; then it is tried again, but for those of deleted topics (unknownTopic). */
  onCommit?: (event: {
    readonly offsets: readonly NewOffset[];
    readonly durationMs: number;
    readonly error: unknown;
  }) => void;
}
