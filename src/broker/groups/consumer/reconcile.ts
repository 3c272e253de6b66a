import type { Uuid } from '../../../base/random.ts';
import type { TopicPartitions } from './assignor.ts';
import { type ConsumerMember, type Holdings, isReconciled, type MemberState, NO_HOLDINGS } from './consumer-member.ts';

/** What a member is to be moved towards, and what is known while it is. */
export interface Course {
  readonly targetEpoch: number;
  readonly target: TopicPartitions;
  /** Whether another member has a partition or has not given it up yet. */
  readonly isTaken: (topic: Uuid, partition: number) => boolean;
  /** The topics that the member subscribes to now. */
  readonly subscribed: () => ReadonlySet<Uuid>;
  readonly subscriptionChanged: boolean;
  /** The partitions that the member says it has; null when it did not say. */
  readonly owned: TopicPartitions | null;
}

type Progressed = { assigned: Holdings; revoking: Holdings };

/**
 * One step of a member towards its target: first it gives up what it is not to have; when it says that it did, it enters
 * the target's epoch with what is free; then it gets the rest as others give it up. Returns the same member when it stays.
 */
export function reconcile(member: ConsumerMember, course: Course): ConsumerMember {
  if (!course.subscriptionChanged && isReconciled(member, course.targetEpoch)) return member;
  switch (member.state) {
    case 'stable':
      if (member.epoch !== course.targetEpoch) return towardsTarget(member, course);
      return withoutUnsubscribed(member, course);
    case 'unrevoked':
      if (!stillOwns(course.owned, member.revoking)) return towardsTarget(member, course);
      return course.subscriptionChanged ? withoutUnsubscribed(member, course) : member;
    case 'unreleased':
      return towardsTarget(member, course);
  }
}

function towardsTarget(member: ConsumerMember, course: Course): ConsumerMember {
  const { targetEpoch, isTaken } = course;
  const subscribed = course.subscribed();
  const assigned = new Map<Uuid, Map<number, number>>();
  const revoking = new Map<Uuid, Map<number, number>>();
  const free: [Uuid, number][] = [];
  let waits = false;
  const isTarget = (topic: Uuid): ReadonlySet<number> =>
    new Set(subscribed.has(topic) ? course.target.get(topic) : undefined);
  for (const [topic, partitions] of member.assigned) {
    const target = isTarget(topic);
    for (const [partition, epoch] of partitions)
      put(target.has(partition) ? assigned : revoking, topic, partition, epoch);
  }
  for (const topic of course.target.keys()) {
    for (const partition of isTarget(topic)) {
      if (assigned.get(topic)?.has(partition) === true) continue;
      if (isTaken(topic, partition)) waits = true;
      else free.push([topic, partition]);
    }
  }
  if (stillOwns(course.owned, revoking)) return moved(member, member.epoch, 'unrevoked', { assigned, revoking });
  for (const [topic, partition] of free) put(assigned, topic, partition, targetEpoch);
  return moved(member, targetEpoch, waits ? 'unreleased' : 'stable', { assigned, revoking: NO_HOLDINGS });
}

/** Takes topics that the member no longer subscribes to from it at once, before a new target is there. */
function withoutUnsubscribed(member: ConsumerMember, { subscribed: topics, owned }: Course): ConsumerMember {
  const subscribed = topics();
  const left = [...member.assigned].filter(([topic]) => !subscribed.has(topic));
  if (left.length === 0) return member;
  const assigned = new Map(member.assigned);
  const revoking = new Map(Array.from(member.revoking, ([topic, partitions]) => [topic, new Map(partitions)]));
  for (const [topic, partitions] of left) {
    assigned.delete(topic);
    for (const [partition, epoch] of partitions) put(revoking, topic, partition, epoch);
  }
  if (stillOwns(owned, revoking)) return moved(member, member.epoch, 'unrevoked', { assigned, revoking });
  return moved(member, member.epoch, 'stable', { assigned, revoking: NO_HOLDINGS });
}

function moved(member: ConsumerMember, epoch: number, state: MemberState, progressed: Progressed): ConsumerMember {
  return { ...member, epoch, previousEpoch: member.epoch, state, ...progressed };
}

/** Whether a member may still read what it is to give up: until it says that it does not have it. */
function stillOwns(owned: TopicPartitions | null, revoking: Holdings): boolean {
  if (revoking.size === 0) return false;
  if (owned === null) return true;
  return [...owned].some(([topic, partitions]) => {
    const given = revoking.get(topic);
    return given !== undefined && partitions.some((partition) => given.has(partition));
  });
}

function put(holdings: Map<Uuid, Map<number, number>>, topic: Uuid, partition: number, epoch: number): void {
  const partitions = holdings.get(topic);
  if (partitions === undefined) holdings.set(topic, new Map([[partition, epoch]]));
  else partitions.set(partition, epoch);
}
