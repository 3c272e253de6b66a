import type { PackedRecord } from '../../record/records.ts';
import { unpack } from '../../record/records.ts';
import { bytes } from '../codecs.ts';
import { partitionerOf } from '../partitioner.ts';
import { ReadRecord } from '../read-record.ts';
import { type ReplayPartition, refuse } from './replay-options.ts';

/** Which partition of the target a record goes to; the same each time. */
export interface Route {
  of(sourcePartition: number, record: PackedRecord): number;
  /** Where all records of a partition go; null where each is looked at. */
  fixed(sourcePartition: number): number | null;
  /** The partitions of the target that records may go to. */
  readonly partitions: readonly number[];
}

export interface RouteFacts {
  readonly sourceTopic: string;
  readonly sourcePartitions: readonly number[];
  readonly targetTopic: string;
  readonly targetPartitionCount: number;
}

/** @throws Fault invalidArgument where a partition has no place in the target. */
export function routeOf(partition: ReplayPartition, facts: RouteFacts): Route {
  const { sourceTopic, sourcePartitions, targetTopic, targetPartitionCount } = facts;
  const all = Array.from({ length: targetPartitionCount }, (_, index) => index);
  if (typeof partition === 'function') {
    const of = (from: number, record: PackedRecord): number => {
      const source = { topic: sourceTopic, partition: from, key: bytes, value: bytes };
      return partition(new ReadRecord(unpack(record), source), targetPartitionCount);
    };
    return { of, fixed: () => null, partitions: all };
  }
  if (partition === 'murmur2' || partition === 'crc32') {
    const choose = partitionerOf(partition);
    const of = (from: number, record: PackedRecord): number => {
      const { key, value } = unpack(record);
      const chosen = choose({ topic: targetTopic, key, value, partitionCount: targetPartitionCount });
      return chosen ?? from % targetPartitionCount;
    };
    return { of, fixed: () => null, partitions: all };
  }
  const fixed = new Map(sourcePartitions.map((from) => [from, partition === 'same' ? from : partition.get(from)]));
  for (const [from, to] of fixed) {
    if (to === undefined) refuse(`the map of partitions does not say where partition ${from} goes`);
    if (Number.isInteger(to) && to >= 0 && to < targetPartitionCount) continue;
    refuse(
      `topic ${targetTopic} has ${targetPartitionCount} partitions, so partition ${from} cannot go to ${to}; ` +
        'add partitions, map them, or choose them by the key',
    );
  }
  const place = (from: number): number => fixed.get(from)!;
  const partitions = [...new Set(fixed.values())] as number[];
  return { of: place, fixed: place, partitions: partitions.sort((a, b) => a - b) };
}
