import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import type { OffsetCommit } from '../../broker/groups/committed-offsets.ts';
import type { Topic } from '../../broker/topic.ts';
import type { OffsetCommitRequest } from '../../wire/messages.generated.ts';
import { faultOf, handler } from '../handler.ts';

/** The first version that names topics by their ids. */
const IDS_FROM = 10;
/** The first version whose clients know the error for a group that does not exist. */
const GROUP_NOT_FOUND_FROM = 9;
/** The first version whose generation may be a member epoch. */
const EPOCHS_FROM = 9;
/** No retention of the client's own. */
const DEFAULT_RETENTION = -1;

type WantedTopic = OffsetCommitRequest['topics'][number];
type WantedPartition = WantedTopic['partitions'][number];

export const offsetCommit = handler('OffsetCommit', [2, 10], async (request, { broker, version }) => {
  const { groupId, generationIdOrMemberEpoch: generation, memberId, groupInstanceId, retentionTimeMs } = request;
  const unknown = new Map<WantedPartition, Fault>();
  const tooLarge = new Map<WantedPartition, Fault>();
  const commits: OffsetCommit[] = [];
  for (const wanted of request.topics) {
    const topic = topicOf(broker, wanted, version);
    for (const partition of wanted.partitions) {
      const fault = topic instanceof Fault ? topic : unknownPartition(topic, partition.partitionIndex);
      if (fault !== null) unknown.set(partition, fault);
      else if (isTooLarge(broker, partition)) tooLarge.set(partition, new Fault('offsetMetadataTooLarge'));
      else commits.push(commitOf(topic as Topic, partition));
    }
  }
  let refused: Fault | null = null;
  // What names nothing that exists is answered without asking the group.
  if (commits.length + tooLarge.size > 0) {
    const committer = { generation, memberId, instanceId: groupInstanceId, saysEpoch: version >= EPOCHS_FROM };
    const retentionMs = retentionTimeMs === DEFAULT_RETENTION ? null : retentionTimeMs;
    refused = await faultOf(() => broker.groups.commit(groupId, committer, commits, retentionMs));
    if (refused?.fault === 'groupNotFound' && version < GROUP_NOT_FOUND_FROM) refused = new Fault('illegalGeneration');
  }
  return {
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map((partition) => ({
        partitionIndex: partition.partitionIndex,
        errorCode: (unknown.get(partition) ?? refused ?? tooLarge.get(partition))?.code ?? 0,
      })),
    })),
  };
});

function topicOf(broker: Broker, { name, topicId }: WantedTopic, version: number): Topic | Fault {
  const topic = version < IDS_FROM ? broker.topics.find(name) : broker.topics.findById(topicId);
  return topic ?? (version < IDS_FROM ? new Fault('unknownPartition') : new Fault('unknownTopicId'));
}

function unknownPartition(topic: Topic, partition: number): Fault | null {
  return topic.partitions[partition] === undefined ? new Fault('unknownPartition') : null;
}

function isTooLarge(broker: Broker, { committedMetadata }: WantedPartition): boolean {
  return (committedMetadata?.length ?? 0) > broker.settings.number('offset.metadata.max.bytes');
}

function commitOf(topic: Topic, partition: WantedPartition): OffsetCommit {
  const { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch } = partition;
  return { topic, partition: partitionIndex, offset, leaderEpoch, metadata: partition.committedMetadata };
}
