import type { Uuid } from '../../../base/random.ts';
import { type ClassicMember as ClassicGroupMember, metadataOf } from '../classic-member.ts';
import { CONSUMER_PROTOCOL } from '../classic-subscription.ts';
import type { ClassicGroupRecord, GroupEvent } from '../group-events.ts';
import { type ConsumerGroupEvent, epochEvent, memberEvent, targetEvent } from './consumer-events.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { type ConsumerMember, type Holdings, newMember, partitionsIn } from './consumer-member.ts';
import {
  decodeAssignment,
  decodeSubscription,
  type EmbeddedSubscription,
  encodeAssignment,
  type NamedPartitions,
} from './embedded-protocol.ts';
import { SubscribedTopics, type TopicsView } from './topics-view.ts';

/** A classic group as it is when one of the new protocol takes its place. */
export interface ClassicSource {
  readonly id: string;
  readonly generation: number;
  readonly protocolType: string;
  /** What its members chose last; null in the first rebalance. */
  readonly protocol: string | null;
  readonly members: readonly ClassicGroupMember[];
}

/**
 * The events that make a group of the new protocol of a classic one: each member has what the last generation gave it, and
 * goes on speaking the classic protocol. What it had besides when it joined that, it is to give up: a cooperative member has it
 * until it hears its assignment. (Apache Kafka gives it to others at once.) Null when the members are no consumers, or cannot
 * be understood.
 */
export function upgradeEvents(source: ClassicSource, topics: TopicsView): ConsumerGroupEvent[] | null {
  const { id, generation, protocol } = source;
  if (source.protocolType !== CONSUMER_PROTOCOL) return null;
  const taken = new Set<string>();
  const given: ConsumerMember[] = [];
  const said = new Map<string, EmbeddedSubscription>();
  for (const each of source.members) {
    const subscription = decodeSubscription(metadataOf(each, protocol ?? each.protocols[0]?.name ?? ''));
    const assignment = decodeAssignment(each.assignment);
    if (subscription === null || assignment === null) return null;
    said.set(each.memberId, subscription);
    given.push({
      ...newMember(each.memberId),
      ...subscribing(subscription),
      instanceId: each.instanceId,
      rebalanceTimeoutMs: each.rebalanceTimeoutMs,
      clientId: each.clientId,
      clientHost: each.clientHost,
      classic: {
        sessionTimeoutMs: each.sessionTimeoutMs,
        protocols: each.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
      },
      epoch: generation,
      previousEpoch: generation,
      assigned: heldSince(generation, assignment, topics, taken),
    });
  }
  const claims = claimsOf(said, generation, topics, taken);
  const members = given.map((member): ConsumerMember => {
    const revoking = claims.get(member.memberId)!;
    return revoking.size === 0 ? member : { ...member, state: 'unrevoked', revoking };
  });
  const subscribed = new SubscribedTopics(topics);
  for (const member of members) subscribed.of(member);
  return [
    epochEvent(id, generation, subscribed.partitionCounts),
    ...members.map((member) => memberEvent(id, member)),
    targetEvent(
      id,
      generation,
      members.map(({ memberId, assigned }) => [memberId, partitionsIn(assigned)]),
    ),
  ];
}

/** What a member's embedded subscription says of it. */
export function subscribing({ topics, rackId }: EmbeddedSubscription): Pick<ConsumerMember, 'topicNames' | 'rackId'> {
  return { topicNames: [...new Set(topics)].sort(), rackId };
}

/** What members say they have that was given to nobody. Of two who say so of one partition, it is the one who got it later. */
function claimsOf(
  said: ReadonlyMap<string, EmbeddedSubscription>,
  epoch: number,
  topics: TopicsView,
  taken: Set<string>,
): Map<string, Holdings> {
  const youngestFirst = [...said].sort(([, a], [, b]) => b.generation - a.generation);
  return new Map(youngestFirst.map(([memberId, { owned }]) => [memberId, heldSince(epoch, owned, topics, taken)]));
}

/** What a leader gave out, or a member claims, is only believed where it exists, and once. */
function heldSince(epoch: number, named: readonly NamedPartitions[], topics: TopicsView, taken: Set<string>): Holdings {
  const held = new Map<Uuid, Map<number, number>>();
  for (const [name, partitions] of named) {
    const topic = topics.find(name);
    if (topic === null) continue;
    const good = partitions.filter((partition) => {
      const key = `${topic.id}:${partition}`;
      return partition >= 0 && partition < topic.partitions && !taken.has(key) && taken.add(key);
    });
    if (good.length > 0) held.set(topic.id, new Map(good.map((partition) => [partition, epoch])));
  }
  return held;
}

/**
 * The events that make a classic group of one whose last member of the new protocol goes. `rebalances`: whether that leaves
 * partitions to be divided anew.
 */
export function downgradeEvents(
  group: ConsumerGroup,
  gone: ReadonlySet<string>,
  topics: TopicsView,
  nowMs: number,
  rebalances: boolean,
): GroupEvent[] {
  const members = Array.from(group.members.values()).filter(({ memberId }) => !gone.has(memberId));
  const [protocolName] = members[0]!
    .classic!.protocols.map(({ name }) => name)
    .filter((name) => members.every(({ classic }) => classic!.protocols.some((other) => other.name === name)));
  const record: ClassicGroupRecord = {
    generation: group.epoch,
    protocolType: CONSUMER_PROTOCOL,
    protocolName: protocolName ?? members[0]!.classic!.protocols[0]!.name,
    // One without a leader has to find one.
    leader: rebalances ? null : members[0]!.memberId,
    sinceMs: nowMs,
    members: members.map((member) => {
      const { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs } = member;
      const { sessionTimeoutMs, protocols } = member.classic!;
      const told = { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs };
      const metadata = (protocols.find(({ name }) => name === protocolName) ?? protocols[0]!).metadata;
      return { ...told, metadata, assignment: embeddedAssignment(member, topics) };
    }),
  };
  const { groupId } = group;
  return [
    { type: 'groupRemoved', group: groupId },
    { type: 'classicGroup', group: groupId, ...record },
  ];
}

/** What a classic member of the group is told to have. */
export function embeddedAssignment({ assigned, classic }: ConsumerMember, topics: TopicsView): Buffer {
  const version = decodeSubscription(classic!.protocols[0]!.metadata)?.version ?? 0;
  const named = [...partitionsIn(assigned)].flatMap(([id, partitions]): NamedPartitions[] => {
    const name = topics.nameOf(id);
    return name === null ? [] : [[name, partitions]];
  });
  return encodeAssignment(version, named);
}
