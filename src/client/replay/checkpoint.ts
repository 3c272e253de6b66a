import { Fault } from '../../base/faults.ts';
import type { ReplayHandler, ReplayOptions, ReplayTopic } from './replay-options.ts';
import type { TurnState } from './source-order.ts';

/**
 * Where a replay keeps how far it came. What `save` was given must survive whatever the replay shall survive, and be
 * replaced as a whole: `load` gives what one call of `save` was given, never parts of two.
 */
export interface ReplayCheckpoint {
  /** Null: there is none yet. */
  load(): Promise<string | null>;
  save(text: string): Promise<void>;
  /** What the checkpoint is called in faults. */
  readonly name?: string;
}

/** How far one partition of the source was replayed. */
export interface SourceState {
  readonly partition: number;
  readonly startNext: number;
  readonly endNext: number;
  /** Every record below is in the target, or was left out. */
  readonly next: number;
}

/**
 * How far one partition of the target was written. The replay's records in it are numbered from 0; a record's number, modulo
 * 2^31, is its sequence in the batch.
 */
export interface TargetState {
  readonly partition: number;
  /** How many the records are that come from below the source's `next`. */
  readonly records: number;
  /** None of the replay's records from number `acknowledged` on lies below this offset. At most `records`. */
  readonly acknowledged: number;
  readonly offset: number;
}

export interface TopicState {
  readonly topicId: string | null;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly partitions: readonly TargetState[];
}

/** A point of the replay that is safe in the target: what a checkpoint holds, as JSON. */
export interface ReplayState {
  readonly version: 1;
  /** What was asked for, as text to compare. */
  readonly asked: Readonly<Record<string, string>>;
  readonly sourceTopicId: string | null;
  readonly source: readonly SourceState[];
  readonly turn: TurnState;
  readonly records: number;
  readonly bytes: number;
  readonly filtered: number;
  /** Null for a handler. */
  readonly target: TopicState | null;
  readonly done: boolean;
}

/** What makes a replay the same one: two with the same words here go on from the same checkpoint. */
export function askedOf(
  options: ReplayOptions<never, never>,
  clusters: { source: string | null; target: string | null },
): Record<string, string> {
  const { topic, partitions, from = 'earliest', to = 'end', filter, limit, pace, target, isolation } = options;
  return {
    'source cluster': String(clusters.source),
    topic,
    partitions: partitions === undefined ? 'all' : [...partitions].sort((a, b) => a - b).join(),
    from: textOf(from),
    to: textOf(to),
    filter: filter === undefined ? 'none' : textOf(filter),
    limit: String(limit ?? 'none'),
    // What orders the records; the speed itself may change.
    order: pace === undefined ? 'offsets' : 'timestamps',
    isolation: isolation ?? 'committed',
    ...askedOfTarget(target, clusters.target),
  };
}

function askedOfTarget(
  target: ReplayTopic | ReplayHandler<never, never>,
  cluster: string | null,
): Record<string, string> {
  if (typeof target === 'function') return { target: 'a handler' };
  const { topic, partition = 'same' } = target;
  return { target: `topic ${topic}`, 'target cluster': String(cluster), partition: textOf(partition) };
}

/** Functions can only be told to be there. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'function') return 'a function';
  return JSON.stringify(value, (_, part) => (part instanceof Map ? [...part].sort(([a], [b]) => a - b) : part));
}

/** @throws Fault damagedCheckpoint, replayCheckpointMismatch. */
export function readState(text: string, asked: Readonly<Record<string, string>>, name: string): ReplayState {
  let state: ReplayState;
  try {
    state = JSON.parse(text) as ReplayState;
  } catch (cause) {
    throw new Fault('damagedCheckpoint', { detail: `${name}: ${(cause as Error).message}`, cause });
  }
  if (state?.version !== 1 || typeof state.asked !== 'object' || state.asked === null || !Array.isArray(state.source)) {
    throw new Fault('damagedCheckpoint', { detail: `${name}: it is none that this version writes` });
  }
  const names = new Set([...Object.keys(asked), ...Object.keys(state.asked)]);
  const differing = [...names].filter((one) => asked[one] !== state.asked[one]);
  if (differing.length === 0) return state;
  const differences = differing.map(
    (one) => `${one} was ${state.asked[one] ?? 'not given'}, now ${asked[one] ?? 'not given'}`,
  );
  throw new Fault('replayCheckpointMismatch', { detail: `${name}: ${differences.join('; ')}` });
}
