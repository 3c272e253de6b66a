import { Fault } from '../base/faults.ts';
import { type Codec, messagePack, text } from './codecs.ts';
import type { Isolation } from './list-offsets.ts';

/** Where to begin: the first record there is; the end, so that only later records are read; an offset; the first record of that time or later. */
export type ReadFrom = 'earliest' | 'latest' | { readonly offset: number } | { readonly time: number | Date };

/** Where to stop: the end as it is when the reader starts; before an offset; before the first record of that time or later. */
export type ReadTo = 'end' | { readonly offset: number } | { readonly time: number | Date };

export interface ReaderOptions<K = string, V = unknown> {
  topic: string;
  /** Default: those that `from` names by a map, else all that the topic has when the reader starts and, without `to`, gets later. */
  partitions?: readonly number[];
  /** For all partitions, or for each by its number. Default earliest. */
  from?: ReadFrom | ReadonlyMap<number, ReadFrom>;
  /** For all partitions, or for each by its number; those that a map leaves out go on. Default: reading goes on for ever. */
  to?: ReadTo | ReadonlyMap<number, ReadTo>;
  /** Of keys. Default text. */
  key?: Codec<K>;
  /** Of values. Default messagePack(). */
  value?: Codec<V>;
  /** Whether to leave out records of transactions that were aborted, and wait for those that are open. Default committed. */
  isolation?: Isolation;
  /** What to do when the broker no longer has, or never had, the offset to read next. Default error. */
  onOutOfRange?: 'earliest' | 'latest' | 'error';
  /** How long a broker may wait for minBytes to be there. Default 500. */
  maxWaitMs?: number;
  /** Default 1: an answer comes as soon as there is a record. */
  minBytes?: number;
  /** Bytes of one answer, about; a larger single batch still comes. Default 8 MiB. */
  fetchBytesMax?: number;
  /** Bytes of one partition in an answer, about. Default 1 MiB. */
  partitionBytesMax?: number;
  /** Bytes fetched ahead of what was taken from the reader, about. Default 16 MiB. */
  prefetchBytesMax?: number;
  /** How long a partition may be without a broker that serves it before that is thrown. Default 120,000; Infinity: for ever. */
  retryTimeoutMs?: number;
  /** How long the topic may be unknown at the start. Default 10,000. */
  unknownTopicMs?: number;
  /** Ends the reader: what waits for a record is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** The options with their defaults, but for the codecs. */
export interface FetchSettings extends Required<Omit<ReaderOptions, 'key' | 'value' | 'partitions' | 'to' | 'signal'>> {
  partitions: readonly number[] | undefined;
  to: ReadTo | ReadonlyMap<number, ReadTo> | undefined;
  signal: AbortSignal | undefined;
}

export interface ReaderSettings<K, V> extends FetchSettings {
  key: Codec<K>;
  value: Codec<V>;
}

/** @throws Fault invalidArgument. */
export function readerSettings<K, V>(options: ReaderOptions<K, V>): ReaderSettings<K, V> {
  const { from = 'earliest' } = options;
  const settings = {
    topic: options.topic,
    partitions: options.partitions ?? (from instanceof Map ? [...from.keys()] : undefined),
    from,
    to: options.to,
    // Without a codec named, K and V are those of the defaults: client.reader's signature says so.
    key: (options.key ?? text) as Codec<K>,
    value: (options.value ?? messagePack()) as Codec<V>,
    isolation: options.isolation ?? 'committed',
    onOutOfRange: options.onOutOfRange ?? 'error',
    maxWaitMs: options.maxWaitMs ?? 500,
    minBytes: options.minBytes ?? 1,
    fetchBytesMax: options.fetchBytesMax ?? 8 * 1024 * 1024,
    partitionBytesMax: options.partitionBytesMax ?? 1024 * 1024,
    prefetchBytesMax: options.prefetchBytesMax ?? 16 * 1024 * 1024,
    retryTimeoutMs: options.retryTimeoutMs ?? 120_000,
    unknownTopicMs: options.unknownTopicMs ?? 10_000,
    signal: options.signal,
  };
  for (const name of ['fetchBytesMax', 'partitionBytesMax', 'prefetchBytesMax'] as const) {
    if (!(settings[name] >= 1)) refuse(`${name} must be at least 1, not ${settings[name]}`);
  }
  for (const name of ['maxWaitMs', 'minBytes', 'retryTimeoutMs'] as const) {
    if (!(settings[name] >= 0)) refuse(`${name} must be 0 or more, not ${settings[name]}`);
  }
  return settings;
}

function refuse(detail: string): never {
  throw new Fault('invalidArgument', { detail });
}
