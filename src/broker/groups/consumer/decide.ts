import { Fault } from '../../../base/faults.ts';
import type { Uuid } from '../../../base/random.ts';
import { type AssignorName, assignors, isAssignor, type PartitionCounts, type TopicPartitions } from './assignor.ts';
import { type ConsumerGroupEvent, epochEvent, memberEvent, targetEvent } from './consumer-events.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import {
  type ConsumerMember,
  type Holdings,
  JOIN_EPOCH,
  NO_HOLDINGS,
  newMember,
  STATIC_LEAVE_EPOCH,
  sameProgress,
  sameSubscription,
  sameTopics,
} from './consumer-member.ts';
import type { ConsumerHeartbeat } from './heartbeat-request.ts';
import { reconcile } from './reconcile.ts';
import { SubscribedTopics, type TopicsView } from './topics-view.ts';

export interface ConsumerGroupSettings {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How long a target stands before another is computed; the first is at once. */
  readonly assignmentIntervalMs: number;
  readonly sizeMax: number;
  /** The first is what a group has whose members name none. */
  readonly assignors: readonly AssignorName[];
}

/** What a decision takes into account beside the group. */
export interface Surroundings {
  readonly topics: TopicsView;
  /** Whether the group's topics were looked at since any topic last changed. */
  readonly topicsSeen: boolean;
  /** Whether the last target is old enough for another. */
  readonly mayAssign: boolean;
  readonly settings: ConsumerGroupSettings;
}

/** A member's step: it as it was and as it is, and the events that make it so. */
export interface Step {
  readonly before: ConsumerMember;
  readonly member: ConsumerMember;
  readonly events: readonly ConsumerGroupEvent[];
  readonly assigned: boolean;
}

/** A member that steps: who it is by what it says, which other one it replaces, and what it says that it has. */
export interface Stepping {
  readonly before: ConsumerMember;
  readonly replaced: ConsumerMember | null;
  readonly said: ConsumerMember;
  readonly owned: TopicPartitions | null;
}

/** The epoch of a group that nobody has joined; the first member who subscribes to something raises it. */
const EPOCH_FIRST = 1;

/** Who sends a heartbeat. @throws Fault unknownMember, fencedMemberEpoch, unreleasedInstance, fencedInstance, … */
export function stepping(group: ConsumerGroup, memberId: string, beat: ConsumerHeartbeat): Stepping {
  const { before, replaced } =
    beat.instanceId === null
      ? { before: dynamicMember(group, memberId, beat), replaced: null }
      : staticMember(group, memberId, beat.instanceId, beat);
  const said: ConsumerMember = {
    ...before,
    instanceId: beat.instanceId ?? before.instanceId,
    rackId: beat.rackId ?? before.rackId,
    rebalanceTimeoutMs: beat.rebalanceTimeoutMs === -1 ? before.rebalanceTimeoutMs : beat.rebalanceTimeoutMs,
    topicNames: beat.topicNames === null ? before.topicNames : [...new Set(beat.topicNames)].sort(),
    topicRegex: beat.topicRegex ?? before.topicRegex,
    serverAssignor: beat.serverAssignor ?? before.serverAssignor,
    clientId: beat.clientId,
    clientHost: beat.clientHost,
    classic: null,
  };
  return { before, replaced, said, owned: beat.owned };
}

function dynamicMember(group: ConsumerGroup, memberId: string, beat: ConsumerHeartbeat): ConsumerMember {
  const known = group.members.get(memberId);
  if (known !== undefined) return checkEpoch(known, beat);
  if (beat.memberEpoch !== JOIN_EPOCH) throw new Fault('unknownMember', { detail: memberId });
  return newMember(memberId);
}

function staticMember(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string,
  beat: ConsumerHeartbeat,
): { before: ConsumerMember; replaced: ConsumerMember | null } {
  const known = group.staticMember(instanceId);
  if (beat.memberEpoch !== JOIN_EPOCH) {
    return { before: checkEpoch(checkInstance(known, memberId, instanceId), beat), replaced: null };
  }
  if (known === null) return { before: group.members.get(memberId) ?? newMember(memberId), replaced: null };
  if (known.classic === null && known.epoch !== STATIC_LEAVE_EPOCH) {
    throw new Fault('unreleasedInstance', { detail: `${instanceId} is ${known.memberId}` });
  }
  return replacing(known, memberId, group.epoch);
}

/**
 * A static member that came back, perhaps under another id: it has what it had, and has it since the group's epoch of now.
 * One that had the place before and takes it back does not commit what it sent then.
 */
export function replacing(
  known: ConsumerMember,
  memberId: string,
  groupEpoch: number,
): { before: ConsumerMember; replaced: ConsumerMember | null } {
  const anew = (holdings: Holdings): Holdings =>
    new Map(
      Array.from(holdings, ([topic, partitions]) => {
        return [topic, new Map(Array.from(partitions.keys(), (partition) => [partition, groupEpoch]))];
      }),
    );
  const had = { assigned: anew(known.assigned), revoking: anew(known.revoking) };
  return { before: { ...known, ...had, memberId, epoch: JOIN_EPOCH, previousEpoch: JOIN_EPOCH }, replaced: known };
}

/** @throws Fault unknownMember, fencedInstance */
export function checkInstance(known: ConsumerMember | null, memberId: string, instanceId: string): ConsumerMember {
  if (known === null) throw new Fault('unknownMember', { detail: `instance ${instanceId}` });
  if (known.memberId !== memberId) throw new Fault('fencedInstance', { detail: `${instanceId} is ${known.memberId}` });
  return known;
}

/** The epoch before is good as well, from a member that cannot have more than it has: the answer that raised it was lost. */
function checkEpoch(member: ConsumerMember, { memberEpoch, owned }: ConsumerHeartbeat): ConsumerMember {
  if (memberEpoch === JOIN_EPOCH || memberEpoch === member.epoch) return member;
  const lostAnswer =
    memberEpoch < member.epoch &&
    memberEpoch === member.previousEpoch &&
    owned !== null &&
    [...owned].every(([topic, partitions]) => {
      const has = member.assigned.get(topic);
      return has !== undefined && partitions.every((partition) => has.has(partition));
    });
  if (lostAnswer) return member;
  throw new Fault('fencedMemberEpoch', { detail: `${member.memberId} said ${memberEpoch} and is at ${member.epoch}` });
}

/** Takes in what a member said, raises the group's epoch and computes its target where that is due, and moves the member on. */
export function decideStep(
  group: ConsumerGroup,
  { before, replaced, said, owned }: Stepping,
  around: Surroundings,
): Step {
  const { groupId } = group;
  const { memberId } = said;
  const isNew = replaced === null && !group.members.has(memberId);
  const subscriptionChanged = !sameTopics(before, said);
  const events: ConsumerGroupEvent[] = [];
  if (replaced !== null) events.push({ type: 'consumerMemberRemoved', group: groupId, memberId: replaced.memberId });
  const subscribed = new SubscribedTopics(around.topics);

  let targetEpoch = group.targetEpoch;
  let epoch = Math.max(group.epoch, EPOCH_FIRST);
  if (isNew || subscriptionChanged || !around.topicsSeen) {
    for (const member of membersWith(group, said, replaced)) subscribed.of(member);
    const topics = sameCounts(subscribed.partitionCounts, group.topics) ? undefined : subscribed.partitionCounts;
    if (subscriptionChanged || topics !== undefined) epoch++;
    if (epoch > group.epoch) events.push(epochEvent(groupId, epoch, topics));
  }

  let target = group.target((replaced ?? said).memberId);
  const assigned = epoch > targetEpoch && around.mayAssign;
  if (assigned) {
    const before = (id: string): TopicPartitions => (id === memberId ? target : group.target(id));
    const next = nextTarget([...membersWith(group, said, replaced)], before, subscribed, around.settings.assignors);
    targetEpoch = epoch;
    const changed = [...next].filter(([id, partitions]) => !samePartitions(partitions, group.target(id)));
    target = next.get(memberId)!;
    events.push(targetEvent(groupId, epoch, changed));
  } else if (replaced !== null) events.push(targetEvent(groupId, targetEpoch, [[memberId, target]]));

  const isTaken = (topic: Uuid, partition: number): boolean => {
    const owner = group.owner(topic, partition);
    return owner !== null && owner !== memberId && owner !== replaced?.memberId;
  };
  const course = {
    targetEpoch,
    target,
    isTaken,
    subscribed: () => new Set(subscribed.of(said)),
    subscriptionChanged,
    owned,
  };
  const member = reconcile(said, course);
  if (isNew || replaced !== null || !sameSubscription(before, member) || !sameProgress(before, member)) {
    events.push(memberEvent(groupId, member));
  }
  return { before, member, events, assigned };
}

/** What makes a group go on without some of its members. */
export function removalEvents(
  group: ConsumerGroup,
  removed: ReadonlySet<string>,
  topics: TopicsView,
): ConsumerGroupEvent[] {
  const { groupId } = group;
  const subscribed = new SubscribedTopics(topics);
  for (const member of group.members.values()) if (!removed.has(member.memberId)) subscribed.of(member);
  const counts = subscribed.partitionCounts;
  return [
    ...Array.from(
      removed,
      (memberId): ConsumerGroupEvent => ({ type: 'consumerMemberRemoved', group: groupId, memberId }),
    ),
    epochEvent(groupId, group.epoch + 1, sameCounts(counts, group.topics) ? undefined : counts),
  ];
}

/** A static member that means to come back: its partitions wait for it, but for those that it was giving up. */
export function staticLeaveEvents(group: ConsumerGroup, member: ConsumerMember): ConsumerGroupEvent[] {
  return [memberEvent(group.groupId, { ...member, epoch: STATIC_LEAVE_EPOCH, revoking: NO_HOLDINGS })];
}

function* membersWith(
  group: ConsumerGroup,
  said: ConsumerMember,
  replaced: ConsumerMember | null,
): Generator<ConsumerMember> {
  for (const member of group.members.values()) {
    if (member.memberId !== said.memberId && member.memberId !== replaced?.memberId) yield member;
  }
  yield said;
}

function nextTarget(
  members: readonly ConsumerMember[],
  targetBefore: (memberId: string) => TopicPartitions,
  subscribed: SubscribedTopics,
  names: readonly AssignorName[],
): Map<string, TopicPartitions> {
  const described = members.map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    topics: subscribed.of(member),
    target: targetBefore(member.memberId),
  }));
  return assignors[preferredAssignor(members, names)](described, subscribed.partitionCounts);
}

/** The assignor that most members name. */
export function preferredAssignor(members: Iterable<ConsumerMember>, names: readonly AssignorName[]): AssignorName {
  const votes = new Map<AssignorName, number>();
  for (const { serverAssignor: name } of members) {
    if (name !== null && isAssignor(name)) votes.set(name, (votes.get(name) ?? 0) + 1);
  }
  let preferred = names[0]!;
  for (const [name, count] of votes) if (count > (votes.get(preferred) ?? 0)) preferred = name;
  return preferred;
}

function sameCounts(a: PartitionCounts, b: PartitionCounts): boolean {
  return a.size === b.size && [...a].every(([topic, count]) => b.get(topic) === count);
}

function samePartitions(a: TopicPartitions, b: TopicPartitions): boolean {
  return (
    a.size === b.size &&
    [...a].every(([topic, partitions]) => {
      const others = b.get(topic);
      return others?.length === partitions.length && partitions.every((partition, i) => partition === others[i]);
    })
  );
}
