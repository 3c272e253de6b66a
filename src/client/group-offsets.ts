import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Messages } from '../wire/messages.generated.ts';
import type { TopicPartitions } from './assignment-bytes.ts';
import type { Connection } from './connection.ts';
import { groupDetail } from './group-coordinators.ts';
import { checkedInt } from './whole-numbers.ts';

export interface PartitionOfTopic {
  readonly topic: string;
  readonly partition: number;
}

/** How an operation on one partition ended. */
export interface PartitionOutcome extends PartitionOfTopic {
  /** Null when it was carried out. */
  readonly fault: Fault | null;
}

export interface CommittedOffset extends PartitionOutcome {
  /** Of the next record to be handled; -1: the group has committed none here. */
  readonly offset: number;
  /** Of the last record handled; -1: not known. */
  readonly leaderEpoch: number;
  /** What the committer added. */
  readonly metadata: string;
}

export interface NewOffset extends PartitionOfTopic {
  readonly offset: number;
  /** Default -1: not known. */
  readonly leaderEpoch?: number;
  /** Default none. */
  readonly metadata?: string;
}

/** The first version that asks for several groups; those after the last one name topics by id. */
const SEVERAL_GROUPS_VERSION = 8;
const NAMES_VERSION_LAST = 9;
const STABLE_VERSION = 7;

type FetchedTopic = Messages['OffsetFetch']['response']['groups'][number]['topics'][number];

/** Partitions gathered by topic, as requests have them. */
export function byTopic<T extends PartitionOfTopic>(partitions: Iterable<T>): Map<string, T[]> {
  const topics = new Map<string, T[]>();
  for (const one of partitions) {
    const ofTopic = topics.get(one.topic);
    if (ofTopic === undefined) topics.set(one.topic, [one]);
    else ofTopic.push(one);
  }
  return topics;
}

export interface FetchOffsetsOptions {
  /** Default: all that the group has committed. */
  readonly partitions?: readonly TopicPartitions[];
  /** True: a partition with commits of an open transaction is waited for. Default false. */
  readonly requireStable?: boolean;
}

/** Asks a coordinator for the offsets of its groups, in one request where its version can. */
export async function fetchOffsets(
  connection: Connection,
  groups: readonly string[],
  { partitions, requireStable = false }: FetchOffsetsOptions,
): Promise<Map<string, readonly CommittedOffset[] | Fault>> {
  const topics =
    partitions?.map(({ topic, partitions: ofTopic }) => ({ name: topic, partitionIndexes: ofTopic })) ?? null;
  const version = connection.versionOf('OffsetFetch', NAMES_VERSION_LAST);
  if (requireStable && version < STABLE_VERSION) {
    throw new Fault('notSupportedByBroker', { detail: 'stable offsets, since Apache Kafka 2.5' });
  }
  const options = { versionMax: NAMES_VERSION_LAST };
  if (version >= SEVERAL_GROUPS_VERSION) {
    const asked = { groups: groups.map((groupId) => ({ groupId, topics })), requireStable };
    const response = await connection.request('OffsetFetch', asked, options);
    return new Map(
      response.groups.map(({ groupId, errorCode, topics: fetched }) => [
        groupId,
        offsetsOf(groupId, errorCode, fetched),
      ]),
    );
  }
  const found = new Map<string, readonly CommittedOffset[] | Fault>();
  for (const groupId of groups) {
    const response = await connection.request(
      'OffsetFetch',
      { groupId, topics, ...(requireStable && { requireStable }) },
      options,
    );
    const fetched = response.topics.map((topic) => ({ ...topic, topicId: '' as FetchedTopic['topicId'] }));
    found.set(groupId, offsetsOf(groupId, response.errorCode, fetched));
  }
  return found;
}

function offsetsOf(
  group: string,
  errorCode: number,
  topics: readonly FetchedTopic[],
): readonly CommittedOffset[] | Fault {
  const fault = faultFromKafka(errorCode, groupDetail(group));
  if (fault !== null) return fault;
  const offsets = topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(
      (answer): CommittedOffset => ({
        topic,
        partition: answer.partitionIndex,
        offset: answer.committedOffset,
        leaderEpoch: answer.committedLeaderEpoch,
        metadata: answer.metadata ?? '',
        fault: partitionFault(answer.errorCode, group, topic, answer.partitionIndex),
      }),
    ),
  );
  // While it passes, one partition's is the group's: the whole is asked for again.
  return (
    offsets.find(({ fault: one }) => one?.retriable && one.kafka === 'UNSTABLE_OFFSET_COMMIT')?.fault ??
    inOrder(offsets)
  );
}

/** Offsets as a request to commit them has them. */
export function commitTopics(offsets: readonly NewOffset[]) {
  return [...byTopic(offsets)].map(([name, partitions]) => ({
    name,
    partitions: partitions.map(({ partition, offset, leaderEpoch = -1, metadata = '' }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: checkedInt('leaderEpoch', leaderEpoch, 32),
      committedMetadata: metadata,
    })),
  }));
}

/** Commits as nobody's member, which a group that has members refuses. */
export async function commitOffsets(
  connection: Connection,
  group: string,
  offsets: readonly NewOffset[],
): Promise<PartitionOutcome[]> {
  const asked = { groupId: group, generationIdOrMemberEpoch: -1, memberId: '', topics: commitTopics(offsets) };
  const response = await connection.request('OffsetCommit', asked, { versionMax: NAMES_VERSION_LAST });
  return outcomesOf(group, response.topics);
}

export async function deleteOffsets(
  connection: Connection,
  group: string,
  partitions: readonly PartitionOfTopic[],
): Promise<PartitionOutcome[]> {
  const topics = [...byTopic(partitions)].map(([name, ofTopic]) => ({
    name,
    partitions: ofTopic.map(({ partition }) => ({ partitionIndex: partition })),
  }));
  const response = await connection.request('OffsetDelete', { groupId: group, topics });
  const fault = faultFromKafka(response.errorCode, groupDetail(group));
  if (fault !== null) throw fault;
  return outcomesOf(group, response.topics);
}

interface AnsweredTopic {
  readonly name: string;
  readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
}

function outcomesOf(group: string, topics: readonly AnsweredTopic[]): PartitionOutcome[] {
  const outcomes = topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, errorCode }) => ({
      topic,
      partition,
      fault: partitionFault(errorCode, group, topic, partition),
    })),
  );
  return inOrder(outcomes);
}

function partitionFault(errorCode: number, group: string, topic: string, partition: number): Fault | null {
  return faultFromKafka(errorCode, `group ${group}, topic ${topic}, partition ${partition}`);
}

export function inOrder<T extends PartitionOfTopic>(partitions: readonly T[]): T[] {
  return [...partitions].sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}
