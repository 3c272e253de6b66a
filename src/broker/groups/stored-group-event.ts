import { limits } from '../../base/limits.ts';
import {
  type Check,
  isBytes,
  isIn,
  isInt32,
  isOneOf,
  isText,
  isTime,
  isUuid,
  isWhole,
  listOf,
  objectOf,
  orMissing,
  orNull,
  tupleOf,
} from '../../base/shape.ts';
import { checkShape, type EventShapes, wrongEvent } from '../../ledger/stored-event.ts';
import type { StoredMember } from './consumer/consumer-events.ts';
import type { ConsumerGroup } from './consumer/consumer-group.ts';
import type { ClassicMember } from './consumer/consumer-member.ts';
import type { ClassicMemberRecord, GroupEvent } from './group-events.ts';
import type { GroupState } from './group-state.ts';

/** Half of what an int32 holds, so that what is counted on from there stays one. */
const isEpoch = isIn(-2, 2 ** 30);
/** Nobody's uptime; what is added to it stays exact. */
const isUptime = isIn(0, 2 ** 52);
const isPartition = isIn(0, limits.topicPartitionsMax - 1);
const isTextOrNull = orNull(isText);

const isStoredOffset = tupleOf(isPartition, isWhole, isInt32, isText, isTime, orNull(isTime));

const isClassicMember = objectOf<ClassicMemberRecord>({
  memberId: isText,
  instanceId: isTextOrNull,
  clientId: isText,
  clientHost: isText,
  rebalanceTimeoutMs: isInt32,
  sessionTimeoutMs: isInt32,
  metadata: isBytes,
  assignment: isBytes,
});

const isProtocols = listOf(objectOf<ClassicMember['protocols'][number]>({ name: isText, metadata: isBytes }));

const isTopicPartitions = tupleOf(isUuid, listOf(isPartition));
const areHoldings = tupleOf(isUuid, listOf(isPartition), listOf(isEpoch));
const isHoldingsOfTopic: Check = (value) => {
  return areHoldings(value) && (value as unknown[][])[1]!.length === (value as unknown[][])[2]!.length;
};

const isConsumerMember = objectOf<StoredMember>({
  memberId: isText,
  instanceId: isTextOrNull,
  rackId: isTextOrNull,
  rebalanceTimeoutMs: isInt32,
  clientId: isText,
  clientHost: isText,
  topicNames: listOf(isText),
  topicRegex: isText,
  serverAssignor: isTextOrNull,
  classic: orNull(
    objectOf<ClassicMember>({
      sessionTimeoutMs: isInt32,
      protocols: (value) => isProtocols(value) && (value as unknown[]).length > 0,
    }),
  ),
  epoch: isEpoch,
  previousEpoch: isEpoch,
  state: isOneOf('stable', 'unrevoked', 'unreleased'),
  assigned: listOf(isHoldingsOfTopic),
  revoking: listOf(isHoldingsOfTopic),
});

const shapes: EventShapes<GroupEvent> = {
  offsets: { group: isText, topic: isText, topicId: isUuid, partitions: listOf(isStoredOffset) },
  offsetsRemoved: {
    group: isText,
    topic: isText,
    topicId: isUuid,
    // As a client named them.
    partitions: orNull(listOf(isWhole)),
    committedUntilMs: orNull(isTime),
  },
  allOffsetsRemoved: { group: isText },
  classicGroup: {
    group: isText,
    generation: isEpoch,
    protocolType: isText,
    protocolName: isTextOrNull,
    leader: isTextOrNull,
    sinceMs: isTime,
    members: listOf(isClassicMember),
  },
  consumerEpoch: {
    group: isText,
    epoch: isEpoch,
    topics: orMissing(listOf(tupleOf(isUuid, isIn(0, limits.topicPartitionsMax)))),
  },
  consumerTarget: { group: isText, epoch: isEpoch, members: listOf(tupleOf(isText, listOf(isTopicPartitions))) },
  consumerMember: { group: isText, member: isConsumerMember },
  consumerMemberRemoved: { group: isText, memberId: isText },
  groupRemoved: { group: isText },
  uptime: { ms: isUptime },
};

/**
 * Whether an event that a start reads from the groups' ledger is one, and can come after those that made `state`.
 * @throws Fault damagedMetadata, folderTooNew
 */
export function checkGroupEvent(event: GroupEvent, state: GroupState): void {
  checkShape(event, shapes);
  if (event.type === 'classicGroup' && !areApart(event.members))
    throw wrongEvent(event.type, 'a member is there twice');
  if (event.type !== 'consumerMember') return;
  const { group, member } = event;
  if (!isFree(member, state.consumerGroups.get(group))) throw wrongEvent(event.type, 'a partition has two owners');
}

function areApart(members: readonly ClassicMemberRecord[]): boolean {
  const instances = members.flatMap(({ instanceId }) => instanceId ?? []);
  const isOnce = (ids: readonly string[]): boolean => new Set(ids).size === ids.length;
  return isOnce(members.map(({ memberId }) => memberId)) && isOnce(instances);
}

/** Whether what a member is said to have is nobody else's, and each partition once. */
function isFree({ memberId, assigned, revoking }: StoredMember, group: ConsumerGroup | undefined): boolean {
  const taken = new Set<string>();
  for (const [topic, partitions] of [...assigned, ...revoking]) {
    for (const partition of partitions) {
      const place = `${topic}:${partition}`;
      if (taken.has(place) || (group?.owner(topic, partition) ?? memberId) !== memberId) return false;
      taken.add(place);
    }
  }
  return true;
}
