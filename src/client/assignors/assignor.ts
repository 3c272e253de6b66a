import type { Subscribed, TopicPartitions } from '../assignment-bytes.ts';
import type { AssignorName } from '../consumer-options.ts';
import { byTopic, inOrder, type PartitionOfTopic } from '../group-offsets.ts';

/** A member as the leader of its group sees it. */
export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly subscribed: Subscribed;
}

/** What each member is to have. */
export type Plan = ReadonlyMap<string, readonly PartitionOfTopic[]>;

export interface Assignor {
  readonly name: AssignorName;
  /** Whether members keep their partitions through a rebalance, and only give up what they are told to. */
  readonly isCooperative: boolean;
  /** What a member adds to its subscription, from what it has. */
  userData(owned: readonly TopicPartitions[], generation: number): Buffer | null;
  /** `counts`: of the partitions of each topic that exists. */
  assign(members: readonly AssignorMember[], counts: ReadonlyMap<string, number>): Plan;
}

/** Static members first, by instance id; then the others, by member id: a member that is back has its old place. */
export function inMemberOrder(members: readonly AssignorMember[]): AssignorMember[] {
  return [...members].sort((a, b) => {
    if (a.instanceId !== null && b.instanceId !== null) return compare(a.instanceId, b.instanceId);
    if (a.instanceId !== null) return -1;
    if (b.instanceId !== null) return 1;
    return compare(a.memberId, b.memberId);
  });
}

/** By code units, as Java compares. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** All topics that any member subscribes and that exist, in order. */
export function topicsOf(members: readonly AssignorMember[], counts: ReadonlyMap<string, number>): string[] {
  const topics = new Set(members.flatMap(({ subscribed }) => subscribed.topics));
  return [...topics].filter((topic) => counts.has(topic)).sort(compare);
}

export function emptyPlan(members: readonly AssignorMember[]): Map<string, PartitionOfTopic[]> {
  return new Map(members.map(({ memberId }) => [memberId, []]));
}

export function gathered(partitions: readonly PartitionOfTopic[]): TopicPartitions[] {
  return [...byTopic(inOrder(partitions))].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition }) => partition),
  }));
}

export function spread(topics: readonly TopicPartitions[]): PartitionOfTopic[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}
