import { Fault } from '../base/faults.ts';
import { assignors } from './assignors/index.ts';
import type { Codec } from './codecs.ts';
import type { PartitionOfTopic } from './group-offsets.ts';
import type { Isolation } from './list-offsets.ts';
import { type ReaderOptions, readerSettings } from './reader-options.ts';
import { type Subscription, subscriptionOf } from './subscription.ts';
import { checkedInt } from './whole-numbers.ts';

/** `consumer` is KIP-848's, in which the broker assigns; in `classic` one of the members does. */
export type GroupProtocol = 'classic' | 'consumer';

/** How the leader of a classic group spreads partitions over members: Kafka's own four, with the same results as in Java. */
export type AssignorName = 'range' | 'roundrobin' | 'sticky' | 'cooperative-sticky';

/** Where a partition begins that has no committed offset. */
export type GroupStart = 'earliest' | 'latest' | 'error';

/** What a group has committed for a partition. */
export interface GroupOffset extends PartitionOfTopic {
  /** Of the record to be handled next; null where none is committed. */
  readonly offset: number | null;
  /** What was said with the commit; empty when nothing was. */
  readonly metadata: string;
}

export interface GroupHooks {
  /**
   * Partitions were assigned, with what is committed for them. Nothing is fetched of them before the hook is done; it may `seek`.
   * A hook that throws ends the consumer with what it threw.
   */
  onAssigned?: (partitions: readonly GroupOffset[]) => void | Promise<void>;
  /**
   * Partitions are about to be given up, at a rebalance or at close. No more of their records are given out; they are still owned,
   * so what was handled can be committed. They are given up when the hook is done, or when the rebalance timeout is near.
   */
  onRevoked?: (partitions: readonly PartitionOfTopic[]) => void | Promise<void>;
  /** Partitions were taken away, since the group heard nothing of this member for too long or their topic is gone: commits of them are refused. */
  onLost?: (partitions: readonly PartitionOfTopic[]) => void | Promise<void>;
}

export interface ConsumerOptions<K = string, V = unknown>
  extends GroupHooks,
    Pick<
      ReaderOptions,
      | 'maxWaitMs'
      | 'minBytes'
      | 'fetchBytesMax'
      | 'partitionBytesMax'
      | 'prefetchBytesMax'
      | 'retryTimeoutMs'
      | 'signal'
    > {
  group: string;
  /** Names; those that do not exist yet are read once they do. Either this or `pattern`. */
  topics?: string | readonly string[];
  /**
   * Every topic whose whole name matches, also those made later, but for the broker's own. With the `consumer` protocol the
   * broker matches, by RE2's syntax; of a RegExp's flags only `i` can be used.
   */
  pattern?: RegExp | string;
  /** Default: consumer where the broker serves it, else classic. */
  protocol?: GroupProtocol;
  /** Names a static member, unique in the group: one that is back within the session timeout keeps its partitions. */
  instanceId?: string;
  /** In the order of preference; of the classic protocol. Default cooperative-sticky. All eager, or cooperative-sticky alone. */
  assignors?: readonly AssignorName[];
  /** `uniform` or `range`, or what else the broker has; of the consumer protocol. Default: the broker's. */
  serverAssignor?: string;
  /** Whether handled records are committed by themselves: at intervals, when partitions are given up, and at close. Default true. */
  autoCommit?: boolean;
  /** Default 5,000. */
  autoCommitIntervalMs?: number;
  /** Where a partition begins that has no committed offset. Default earliest: nothing is skipped. */
  from?: GroupStart;
  /** What to do when the broker no longer has, or never had, the offset to read next. Default error. */
  onOutOfRange?: 'earliest' | 'latest' | 'error';
  /** Without a heartbeat for so long a member counts as dead; of the classic protocol, the other has the broker's. Default 45,000. */
  sessionTimeoutMs?: number;
  /** Of the classic protocol; the other has the broker's. Default 3,000. */
  heartbeatIntervalMs?: number;
  /** How long a member may take to give partitions up, with the handling of the record in hand. Default 60,000. */
  rebalanceTimeoutMs?: number;
  /** How often to look for new topics and partitions, where the broker does not. Default 30,000. */
  topicsMaxAgeMs?: number;
  /** Whether to leave out records of transactions that were aborted, and wait for those that are open. Default committed. */
  isolation?: Isolation;
  /** Of keys. Default text. */
  key?: Codec<K>;
  /** Of values. Default messagePack(). */
  value?: Codec<V>;
}

/** The options with their defaults, but for the codecs. */
export interface GroupSettings
  extends Required<
    Omit<
      ConsumerOptions,
      | 'key'
      | 'value'
      | 'topics'
      | 'pattern'
      | 'protocol'
      | 'instanceId'
      | 'serverAssignor'
      | 'signal'
      | keyof GroupHooks
    >
  > {
  subscription: Subscription;
  /** Null: what the broker serves. */
  protocol: GroupProtocol | null;
  instanceId: string | null;
  serverAssignor: string | null;
  signal: AbortSignal | undefined;
  hooks: GroupHooks;
}

export interface ConsumerSettings<K, V> extends GroupSettings {
  key: Codec<K>;
  value: Codec<V>;
}

/** @throws Fault invalidArgument. */
export function consumerSettings<K, V>(options: ConsumerOptions<K, V>): ConsumerSettings<K, V> {
  // Fetching is the reader's.
  const reading = readerSettings({ ...options, topic: '', from: 'earliest' });
  const { key, value, isolation, onOutOfRange, maxWaitMs, minBytes, signal } = reading;
  const { fetchBytesMax, partitionBytesMax, prefetchBytesMax, retryTimeoutMs } = reading;
  // Whoever writes no TypeScript may leave it out.
  if (!options.group) refuse('a group has a name');
  const { assignors: named } = options;
  if (named !== undefined && options.protocol === 'consumer') refuse('assignors are of the classic protocol');
  if (options.serverAssignor !== undefined && options.protocol === 'classic') {
    refuse('a server assignor is of the consumer protocol');
  }
  const settings = {
    group: options.group,
    subscription: subscriptionOf(options.topics, options.pattern),
    protocol: options.protocol ?? (named === undefined ? null : ('classic' as const)),
    instanceId: options.instanceId ?? null,
    assignors: named ?? (['cooperative-sticky'] as const),
    serverAssignor: options.serverAssignor ?? null,
    autoCommit: options.autoCommit ?? true,
    autoCommitIntervalMs: options.autoCommitIntervalMs ?? 5_000,
    from: options.from ?? 'earliest',
    sessionTimeoutMs: options.sessionTimeoutMs ?? 45_000,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? 3_000,
    rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
    topicsMaxAgeMs: options.topicsMaxAgeMs ?? 30_000,
    hooks: {
      ...(options.onAssigned && { onAssigned: options.onAssigned }),
      ...(options.onRevoked && { onRevoked: options.onRevoked }),
      ...(options.onLost && { onLost: options.onLost }),
    },
    ...{ key, value, isolation, onOutOfRange, maxWaitMs, minBytes, signal },
    ...{ fetchBytesMax, partitionBytesMax, prefetchBytesMax, retryTimeoutMs },
  };
  checkAssignors(settings.assignors);
  if (settings.protocol !== null) checkChoice('protocol', settings.protocol, ['classic', 'consumer']);
  checkChoice('from', settings.from, ['earliest', 'latest', 'error']);
  for (const name of [
    'autoCommitIntervalMs',
    'sessionTimeoutMs',
    'heartbeatIntervalMs',
    'rebalanceTimeoutMs',
    'topicsMaxAgeMs',
  ] as const) {
    if (!(settings[name] >= 1 && settings[name] <= INTERVAL_MAX_MS)) {
      refuse(`${name} must be from 1 to ${INTERVAL_MAX_MS}, not ${settings[name]}`);
    }
  }
  for (const name of ['sessionTimeoutMs', 'rebalanceTimeoutMs'] as const) checkedInt(name, settings[name], 32);
  const { sessionTimeoutMs, heartbeatIntervalMs } = settings;
  if (settings.protocol !== 'consumer' && heartbeatIntervalMs >= sessionTimeoutMs) {
    refuse(
      `heartbeatIntervalMs must be below sessionTimeoutMs, which is ${sessionTimeoutMs}, not ${heartbeatIntervalMs}`,
    );
  }
  return settings;
}

/** As requests carry it, an int32. */
const INTERVAL_MAX_MS = 0x7fffffff;

function checkAssignors(names: readonly AssignorName[]): void {
  if (names.length === 0) refuse('name at least one assignor');
  for (const name of names)
    if (!(name in assignors)) refuse(`${name} is not one of ${Object.keys(assignors).join(', ')}`);
  const cooperative = names.filter((name) => assignors[name].isCooperative);
  if (cooperative.length > 0 && cooperative.length < names.length) {
    refuse('cooperative-sticky cannot be mixed with assignors whose members give everything up first');
  }
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value)) refuse(`${name} must be one of ${choices.join(', ')}, not ${value}`);
}

function refuse(detail: string): never {
  throw new Fault('invalidArgument', { detail });
}
