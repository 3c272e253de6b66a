import { Fault } from '../../base/faults.ts';
import { type Codec, messagePack, text } from '../codecs.ts';
import type { ConsumerOptions } from '../consumer-options.ts';
import type { ReadRecord } from '../read-record.ts';
import type { WorkerHooks } from './hooks.ts';
import { type RetryOptions, type RetryPolicy, retryPolicy } from './retry-policy.ts';
import type { TraceContext } from './trace-context.ts';
import type { WorkOrder } from './work.ts';

/** What the worker hands to the consumer as it is. */
const passedOn = [
  'group',
  'protocol',
  'instanceId',
  'assignors',
  'serverAssignor',
  'sessionTimeoutMs',
  'heartbeatIntervalMs',
  'rebalanceTimeoutMs',
  'topicsMaxAgeMs',
  'isolation',
  'onOutOfRange',
  'maxWaitMs',
  'minBytes',
  'fetchBytesMax',
  'partitionBytesMax',
  'prefetchBytesMax',
  'retryTimeoutMs',
] as const satisfies (keyof ConsumerOptions)[];
type PassedOn = (typeof passedOn)[number];

export interface WorkerOptions<K = string, V = unknown> extends Pick<ConsumerOptions, PassedOn> {
  /** How many records are in work at a time, of all partitions. Default 10. */
  concurrency?: number;
  /**
   * `key` (the default): the records of a key one after another, different keys at the same time; records without a key have no
   * order. `partition`: the records of a partition one after another. `none`: all at the same time.
   */
  order?: WorkOrder;
  /** With order `none`: how many records of one key are in work at a time, per partition. Default: no limit. */
  concurrencyPerKey?: number;
  /** Default: five attempts, in place, the waits growing from 200 ms. */
  retry?: RetryOptions;
  /**
   * Where records go whose last attempt failed, or that cannot be decoded: true for `<topic>.<group>.dead-letter`, or a topic's
   * name. It is made when it is missing. Default false: `onExhausted` says what happens.
   */
  deadLetter?: boolean | string;
  /**
   * Without dead letters, what happens after the last attempt: `stop` (the default) ends the worker with recordFailed, and whoever
   * starts it again begins with that record; `skip` logs it and goes on.
   */
  onExhausted?: 'stop' | 'skip';
  /** How long one attempt may take before its signal aborts. Default: no limit. */
  deadlineMs?: number;
  /** At which intervals finished records are committed; 0: as soon as the commit before is answered. Default 500. */
  commitIntervalMs?: number;
  /** Of a commit's metadata, which remembers what is finished beyond the offset; the broker's offset.metadata.max.bytes is 4096. Default 4000. */
  commitMetadataBytesMax?: number;
  /** Records of one partition from its lowest unfinished one to the last one taken; more are not taken until that one is finished. Default 10,000. */
  windowRecordsMax?: number;
  /** The same in bytes, and of all partitions together, which share it evenly. Default 64 MiB. */
  windowBytesMax?: number;
  /** How long records in work may go on at a close, and when their partitions are to be given up, before their signals abort. Default 30,000. */
  drainTimeoutMs?: number;
  /** Where a partition begins that has no committed offset. Default earliest. */
  from?: 'earliest' | 'latest' | 'error';
  /** Of keys. Default text. */
  key?: Codec<K>;
  /** Of values. Default messagePack(). */
  value?: Codec<V>;
  hooks?: WorkerHooks<K, V>;
  /** Closes the worker as `close` does. */
  signal?: AbortSignal;
}

/** What a handler is told beside the record. */
export interface WorkContext {
  /** From 1; attempts by way of retry topics count on, those before a crash do not. */
  readonly attempt: number;
  /** Aborts at the deadline, and when the record's partition is given up: what the handler then does is for nothing. */
  readonly signal: AbortSignal;
  /** Of the headers `traceparent` and `tracestate`; see traceHeaders to pass it on. */
  readonly trace: TraceContext | null;
}

/** Works one record. When what it returns is done, so is the record; when it throws, the record failed. */
export type Handler<K, V> = (record: ReadRecord<K, V>, context: WorkContext) => unknown;

export interface WorkerSettings<K, V> {
  topics: readonly string[];
  consumer: Pick<ConsumerOptions, PassedOn>;
  concurrency: number;
  order: WorkOrder;
  concurrencyPerKey: number;
  retry: RetryPolicy;
  retryTopics: boolean | readonly string[];
  deadLetter: boolean | string;
  onExhausted: 'stop' | 'skip';
  deadlineMs: number;
  commitIntervalMs: number;
  commitMetadataBytesMax: number;
  windowRecordsMax: number;
  windowBytesMax: number;
  drainTimeoutMs: number;
  from: 'earliest' | 'latest' | 'error';
  key: Codec<K>;
  value: Codec<V>;
  hooks: WorkerHooks<K, V>;
  signal: AbortSignal | undefined;
}

const MIB = 1024 * 1024;
/** The consumer's default. */
const REBALANCE_TIMEOUT_MS = 60_000;
/** Of the rebalance timeout, for what is in work to end. */
const DRAIN_SHARE = 0.6;

/** @throws Fault invalidArgument. */
export function workerSettings<K, V>(
  topics: string | readonly string[],
  options: WorkerOptions<K, V>,
): WorkerSettings<K, V> {
  const names = typeof topics === 'string' ? [topics] : topics;
  const { retry = {}, order = 'key' } = options;
  const { drainTimeoutMs = 30_000, rebalanceTimeoutMs = REBALANCE_TIMEOUT_MS } = options;
  const settings = {
    topics: [...new Set(names)],
    consumer: picked(options, passedOn),
    concurrency: options.concurrency ?? 10,
    order,
    concurrencyPerKey: options.concurrencyPerKey ?? Number.POSITIVE_INFINITY,
    retry: retryPolicy(retry),
    retryTopics: retry.topics ?? false,
    deadLetter: options.deadLetter ?? false,
    onExhausted: options.onExhausted ?? 'stop',
    deadlineMs: options.deadlineMs ?? Number.POSITIVE_INFINITY,
    commitIntervalMs: options.commitIntervalMs ?? 500,
    commitMetadataBytesMax: options.commitMetadataBytesMax ?? 4000,
    windowRecordsMax: options.windowRecordsMax ?? 10_000,
    windowBytesMax: options.windowBytesMax ?? 64 * MIB,
    // The consumer gives partitions up by four fifths of the rebalance timeout: what is left until then is for the last commit.
    drainTimeoutMs: Math.min(drainTimeoutMs, rebalanceTimeoutMs * DRAIN_SHARE),
    from: options.from ?? 'earliest',
    // Without a codec named, K and V are those of the defaults: client.worker's signature says so.
    key: (options.key ?? text) as Codec<K>,
    value: (options.value ?? messagePack()) as Codec<V>,
    hooks: options.hooks ?? {},
    signal: options.signal,
  };
  check(settings.topics.length > 0, 'name at least one topic');
  check(Boolean(options.group), 'a group has a name');
  check(['key', 'partition', 'none'].includes(order), `order must be key, partition or none, not ${order}`);
  check(
    order === 'none' || options.concurrencyPerKey === undefined,
    `concurrencyPerKey needs order 'none'; with '${order}' a key's records are worked one after another`,
  );
  for (const name of [
    'concurrency',
    'concurrencyPerKey',
    'windowRecordsMax',
    'windowBytesMax',
    'deadlineMs',
  ] as const) {
    check(settings[name] >= 1, `${name} must be at least 1, not ${settings[name]}`);
  }
  for (const name of ['commitIntervalMs', 'commitMetadataBytesMax', 'drainTimeoutMs'] as const) {
    check(settings[name] >= 0, `${name} must be 0 or more, not ${settings[name]}`);
  }
  return settings;
}

function picked<T extends object, N extends keyof T>(from: T, names: readonly N[]): Pick<T, N> {
  return Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]])) as Pick<T, N>;
}

function check(holds: boolean, detail: string): void {
  if (!holds) throw new Fault('invalidArgument', { detail });
}
