import { Fault } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import type { Messages } from '../wire/messages.generated.ts';
import { partitionsOfAssignment, type TopicPartitions, topicsOfSubscription } from './assignment-bytes.ts';
import { groupFault } from './group-coordinators.ts';

/** `classic`: members agree among themselves; `consumer`: the broker assigns (KIP-848); further ones as the broker calls them. */
export type GroupType = 'classic' | 'consumer' | (string & {});

/** As the broker calls them: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Dead. */
export type GroupState = string;

export interface GroupSummary {
  readonly group: string;
  /** Null where the broker is too old to say (before Apache Kafka 3.8). */
  readonly type: GroupType | null;
  /** Null where the broker is too old to say (before Apache Kafka 2.6). */
  readonly state: GroupState | null;
  /** What its members are: `consumer`, `connect` and the like; empty where offsets were committed without members. */
  readonly protocolType: string;
  /** The broker that has the say over it. */
  readonly coordinator: number;
}

export interface GroupMember {
  readonly memberId: string;
  /** Of a static member; else null. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly host: string;
  readonly rackId: string | null;
  /** Which protocol the member speaks; null where the broker does not say. */
  readonly protocol: 'classic' | 'consumer' | null;
  /** Of a group of the type `consumer`; else null. */
  readonly memberEpoch: number | null;
  readonly subscribedTopics: readonly string[];
  /** A regular expression (RE2) that names further topics; null where it has none. */
  readonly subscribedPattern: string | null;
  readonly assignment: readonly TopicPartitions[];
  /** What it is to have once others have let go of it; null in a classic group. */
  readonly targetAssignment: readonly TopicPartitions[] | null;
}

export interface GroupDescription {
  readonly group: string;
  readonly type: 'classic' | 'consumer';
  readonly state: GroupState;
  readonly protocolType: string;
  /** How partitions are given to members: `range`, `uniform` and others; empty while that is not settled. */
  readonly assignor: string;
  /** Rises with each change of members or topics; null in a classic group. */
  readonly groupEpoch: number | null;
  /** The group epoch that the target assignment was made for; null in a classic group. */
  readonly assignmentEpoch: number | null;
  readonly members: readonly GroupMember[];
}

type ClassicGroup = Messages['DescribeGroups']['response']['groups'][number];
type ConsumerGroup = Messages['ConsumerGroupDescribe']['response']['groups'][number];
type ConsumerMember = ConsumerGroup['members'][number];

const CONSUMER = 'consumer';
const memberProtocols: Readonly<Record<number, 'classic' | 'consumer'>> = { 0: 'classic', 1: 'consumer' };

/** What DescribeGroups says of a group. */
export function classicGroupOf(described: ClassicGroup): GroupDescription | Fault {
  const { groupId: group, groupState: state, protocolType, protocolData: assignor } = described;
  // Brokers before Apache Kafka 4.0 tell of a group that is not there in this way.
  const isUnknown = described.errorCode === 0 && state === 'Dead';
  const code = isUnknown ? kafkaErrors.GROUP_ID_NOT_FOUND.code : described.errorCode;
  const fault = groupFault(code, group, described.errorMessage);
  if (fault !== null) return fault;
  try {
    const members = described.members.map((member) => classicMemberOf(member, protocolType));
    return { group, type: 'classic', state, protocolType, assignor, groupEpoch: null, assignmentEpoch: null, members };
  } catch (error) {
    // What members tell each other no broker looks at.
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** @throws Fault malformedResponse */
function classicMemberOf(member: ClassicGroup['members'][number], protocolType: string): GroupMember {
  // Those of other kinds (Connect's workers) tell each other what only they can read.
  const isReadable = protocolType === CONSUMER;
  return {
    memberId: member.memberId,
    instanceId: member.groupInstanceId,
    clientId: member.clientId,
    host: hostOf(member.clientHost),
    rackId: null,
    protocol: 'classic',
    memberEpoch: null,
    subscribedTopics: isReadable ? topicsOfSubscription(member.memberMetadata) : [],
    subscribedPattern: null,
    assignment: isReadable ? partitionsOfAssignment(member.memberAssignment) : [],
    targetAssignment: null,
  };
}

/** What ConsumerGroupDescribe says of a group. */
export function consumerGroupOf(described: ConsumerGroup): GroupDescription | Fault {
  const { groupId: group, groupState: state, groupEpoch, assignmentEpoch, assignorName: assignor } = described;
  const fault = groupFault(described.errorCode, group, described.errorMessage);
  if (fault !== null) return fault;
  const members = described.members.map(consumerMemberOf);
  return { group, type: 'consumer', state, protocolType: CONSUMER, assignor, groupEpoch, assignmentEpoch, members };
}

function consumerMemberOf(member: ConsumerMember): GroupMember {
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    clientId: member.clientId,
    host: hostOf(member.clientHost),
    rackId: member.rackId,
    protocol: memberProtocols[member.memberType] ?? null,
    memberEpoch: member.memberEpoch,
    subscribedTopics: member.subscribedTopicNames,
    subscribedPattern: member.subscribedTopicRegex || null,
    assignment: assigned(member.assignment),
    targetAssignment: assigned(member.targetAssignment),
  };
}

function assigned({ topicPartitions }: ConsumerMember['assignment']): TopicPartitions[] {
  return topicPartitions.map(({ topicName, partitions }) => ({
    topic: topicName,
    partitions: [...partitions].sort((a, b) => a - b),
  }));
}

/** Java writes an address as `name/address`, mostly with an empty name. */
function hostOf(clientHost: string): string {
  return clientHost.slice(clientHost.indexOf('/') + 1);
}
