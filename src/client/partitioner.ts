import { crc32 } from 'node:zlib';
import { Fault } from '../base/faults.ts';
import { murmur2 } from './murmur2.ts';

/** What a partitioner chooses by. */
export interface PartitionInput {
  readonly topic: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** How many partitions the topic has; they are numbered from 0. */
  readonly partitionCount: number;
}

/**
 * Returns the partition, or null to leave the choice to the producer: it stays with one partition, taken at random, until
 * it has a batch's worth of bytes there (Kafka's sticky partitioning), so that records without a key fill batches.
 */
export type Partitioner = (input: PartitionInput) => number | null;

/**
 * - `murmur2`: Kafka's own. A record's key decides; without a key, sticky.
 * - `crc32`: librdkafka's default (consistent_random). A record's key decides; with an empty key or none, sticky.
 * - `roundRobin`: each record of a topic goes to the partition after the last one's, whatever its key.
 */
export type PartitionerName = 'murmur2' | 'crc32' | 'roundRobin';

const SIGN_BIT_OFF = 0x7fffffff;

function byMurmur2({ key, partitionCount }: PartitionInput): number | null {
  return key === null ? null : (murmur2(key) & SIGN_BIT_OFF) % partitionCount;
}

function byCrc32({ key, partitionCount }: PartitionInput): number | null {
  return key === null || key.length === 0 ? null : crc32(key) % partitionCount;
}

function roundRobin(): Partitioner {
  const nextByTopic = new Map<string, number>();
  return ({ topic, partitionCount }) => {
    const partition = (nextByTopic.get(topic) ?? 0) % partitionCount;
    nextByTopic.set(topic, partition + 1);
    return partition;
  };
}

/** The partitioner that a producer's option stands for; one with memory is new for each producer. */
export function partitionerOf(option: PartitionerName | Partitioner): Partitioner {
  if (typeof option === 'function') return option;
  switch (option) {
    case 'murmur2':
      return byMurmur2;
    case 'crc32':
      return byCrc32;
    case 'roundRobin':
      return roundRobin();
    default:
      throw new Fault('invalidArgument', {
        detail: `partitioner must be murmur2, crc32, roundRobin or a function, not ${String(option satisfies never)}`,
      });
  }
}
