import { Fault } from '../../base/faults.ts';
import { type Compression, compressions } from '../../record/compression.ts';
import { bytes, type Codec } from '../codecs.ts';
import type { Isolation } from '../list-offsets.ts';
import type { Millrace } from '../millrace.ts';
import type { ReadRecord } from '../read-record.ts';
import type { ReadFrom, ReadTo } from '../reader-options.ts';
import type { ReplayCheckpoint } from './checkpoint.ts';

/** A reader's places, and: `ago` milliseconds before the replay begins; so many records back from the end of each partition. */
export type ReplayFrom = ReadFrom | { readonly ago: number } | { readonly last: number };

/** A reader's places, and `ago` milliseconds before the replay begins. */
export type ReplayTo = ReadTo | { readonly ago: number };

/** Which records to replay; all that is said must hold. `*` stands for any characters, `?` for one. */
export interface ReplayFilter {
  /** The key, as UTF-8. */
  key?: string;
  /** A pattern of the key. A record without a key is like none. */
  keyLike?: string;
  /** By name: a pattern of the value of any header of that name. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * The partition that a record goes to: that of the same number; by the key, as Kafka's own clients (murmur2) or librdkafka (crc32)
 * choose, and without a key that of the same number; by a map from the source's; or what a function says, which must say the same each time.
 */
export type ReplayPartition =
  | 'same'
  | 'murmur2'
  | 'crc32'
  | ReadonlyMap<number, number>
  | ((record: ReadRecord<Buffer, Buffer>, partitionCount: number) => number);

/** Another topic. */
export interface ReplayTopic {
  topic: string;
  /** A client of the broker that has it. Default: the one that replays. */
  client?: Millrace;
  /** Default same. */
  partition?: ReplayPartition;
  /** Default same: what the source's batches have. */
  compression?: Compression | 'same';
  /** Makes the topic, with as many partitions and the settings that are set of the source, if it is not there. Default false. */
  create?: boolean;
  /** Allows the topic to be the source itself. Default false. */
  intoItself?: boolean;
}

/** Is given the records one after another; the next waits for what it returns. */
export type ReplayHandler<K = string, V = unknown> = (record: ReadRecord<K, V>) => unknown;

export interface ReplayOptions<K = Buffer, V = Buffer> {
  topic: string;
  /** Default: those that `from` names by a map, else all. */
  partitions?: readonly number[];
  /** For all partitions, or for each by its number. Default earliest. */
  from?: ReplayFrom | ReadonlyMap<number, ReplayFrom>;
  /** Exclusive. For all partitions, or for each by its number. Default, and at most: the end as it is when the replay begins. */
  to?: ReplayTo | ReadonlyMap<number, ReplayTo>;
  target: ReplayTopic | ReplayHandler<K, V>;
  /** A function must say the same of a record each time. */
  filter?: ReplayFilter | ((record: ReadRecord<K, V>) => boolean);
  /** How many records to replay at most. */
  limit?: number;
  /** Default: as fast as it goes. */
  recordsPerSecond?: number;
  /** The recorded pace, times so much: records of all partitions in the order of their timestamps, with their distances. */
  pace?: number;
  /** Of keys, for handlers and filters. Default bytes. */
  key?: Codec<K>;
  /** Of values, for handlers and filters. Default bytes. */
  value?: Codec<V>;
  /** Whether to leave out records of transactions that were aborted. Default committed. */
  isolation?: Isolation;
  /** Where to keep how far it came: a replay with the same options goes on from there. */
  checkpoint?: ReplayCheckpoint;
  /** Default 1000. */
  checkpointIntervalMs?: number;
  /** Called a few times a second, and at the end. */
  onProgress?: (progress: ReplayProgress) => void;
  /** Ends the replay: what was sent is waited for, the checkpoint is written, and the signal's reason is thrown. */
  signal?: AbortSignal;
}

export interface ReplayProgress {
  /** Given to the target, those of earlier runs of the same checkpoint included. */
  readonly records: number;
  /** Of keys, values and headers, about. */
  readonly bytes: number;
  /** Left out by the filter. */
  readonly filtered: number;
  /** Of the offsets in the range: how many are done. */
  readonly offsetsDone: number;
  readonly offsetsTotal: number;
}

export interface ReplayResult extends ReplayProgress {
  /** What a run before this one had stored after its last checkpoint: found in the target, and not sent again. */
  readonly foundInTarget: number;
  readonly partitions: readonly ReplayedPartition[];
}

export interface ReplayedPartition {
  readonly partition: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  /** The offset of the first record that was not replayed. */
  readonly nextOffset: number;
}

/** What a replay would do. */
export interface ReplayPlan {
  readonly partitions: readonly PlannedPartition[];
  /** Whether a checkpoint of an earlier run is gone on from. */
  readonly resumes: boolean;
}

export interface PlannedPartition {
  readonly partition: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  /** At most: offsets that hold no record any more are counted, and filters are not. */
  readonly recordsMax: number;
  /** On the broker's disk; null where that is not known, as of a part of a partition. */
  readonly bytes: number | null;
}

export const CHECKPOINT_INTERVAL_MS = 1000;

/** The codecs of what is replayed without being named. */
export function codecsOf<K, V>({ key, value }: ReplayOptions<K, V>): { key: Codec<K>; value: Codec<V> } {
  return { key: (key ?? bytes) as Codec<K>, value: (value ?? bytes) as Codec<V> };
}

/** @throws Fault invalidArgument. */
export function checkReplayOptions(options: ReplayOptions<never, never>): void {
  const { limit, recordsPerSecond, pace, checkpointIntervalMs, target } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    refuse(`limit must be a whole number from 0 up, not ${limit}`);
  }
  for (const [name, value] of Object.entries({ recordsPerSecond, pace, checkpointIntervalMs })) {
    if (value !== undefined && !(value > 0 && value < Number.POSITIVE_INFINITY)) {
      refuse(`${name} must be above 0, not ${value}`);
    }
  }
  if (recordsPerSecond !== undefined && pace !== undefined) refuse('give recordsPerSecond or pace, not both');
  if (typeof target === 'function') return;
  const { compression = 'same', partition = 'same' } = target;
  if (compression !== 'same' && !compressions.includes(compression)) {
    refuse(`compression must be same or one of ${compressions.join(', ')}, not ${compression}`);
  }
  if (typeof partition === 'string' && !['same', 'murmur2', 'crc32'].includes(partition)) {
    refuse(`partition must be same, murmur2, crc32, a map or a function, not ${partition}`);
  }
}

export function refuse(detail: string): never {
  throw new Fault('invalidArgument', { detail });
}
