import type { Uuid } from '../../../base/random.ts';
import { assignRange } from './range-assignor.ts';
import { assignUniform } from './uniform-assignor.ts';

/** Partitions by topic, ascending; no topic without a partition. */
export type TopicPartitions = ReadonlyMap<Uuid, readonly number[]>;

export const NO_PARTITIONS: TopicPartitions = new Map();

/** A member as an assignor sees it. */
export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** The topics it subscribes to that exist. Members with one and the same array subscribe alike. */
  readonly topics: readonly Uuid[];
  /** What the last target gave it. */
  readonly target: TopicPartitions;
}

/** How many partitions each subscribed topic has. */
export type PartitionCounts = ReadonlyMap<Uuid, number>;

/** Gives every partition of every subscribed topic to exactly one of its subscribers. The same input gives the same result. */
export type Assignor = (
  members: readonly AssignorMember[],
  partitionCounts: PartitionCounts,
) => Map<string, TopicPartitions>;

/** KIP-848's server-side assignors. */
export const assignors = { uniform: assignUniform, range: assignRange } as const satisfies Record<string, Assignor>;

export type AssignorName = keyof typeof assignors;

export function isAssignor(name: string): name is AssignorName {
  return Object.hasOwn(assignors, name);
}
