import { type Fault, faultFromKafka } from '../base/faults.ts';
import { type Uuid, ZERO_UUID } from '../base/random.ts';
import type { MetadataResponse } from '../wire/messages.generated.ts';
import type { Address } from './transport.ts';

export interface BrokerMetadata extends Address {
  readonly id: number;
  readonly rack: string | null;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** -1 while there is none. */
  readonly leader: number;
  /** -1 where the broker is too old to say. */
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly inSyncReplicas: readonly number[];
  readonly offlineReplicas: readonly number[];
}

export interface TopicMetadata {
  readonly name: string;
  /** Null where the broker is too old to have given it one. */
  readonly id: Uuid | null;
  /** Whether it is one of the broker's own, such as the committed offsets. */
  readonly internal: boolean;
  /** In order; a partition's place in the list is its number. */
  readonly partitions: readonly PartitionMetadata[];
}

export interface ClusterMetadata {
  readonly clusterId: string | null;
  /** -1 while there is none. */
  readonly controllerId: number;
  readonly brokers: ReadonlyMap<number, BrokerMetadata>;
  /** Each topic that was asked for, or what the broker says against it. */
  readonly topics: ReadonlyMap<string, TopicMetadata | Fault>;
}

export function metadataOf(response: MetadataResponse): ClusterMetadata {
  const topics = new Map<string, TopicMetadata | Fault>();
  for (const topic of response.topics) {
    // Only asked for by name, so that a name is there whatever the answer's version.
    const name = topic.name ?? '';
    topics.set(name, faultFromKafka(topic.errorCode, `topic ${name}`) ?? topicOf(name, topic));
  }
  return {
    clusterId: response.clusterId,
    controllerId: response.controllerId,
    brokers: new Map(
      response.brokers.map(({ nodeId, host, port, rack }) => [nodeId, { id: nodeId, host, port, rack }]),
    ),
    topics,
  };
}

function topicOf(name: string, topic: MetadataResponse['topics'][number]): TopicMetadata {
  const partitions = topic.partitions
    .map((partition) => ({
      partition: partition.partitionIndex,
      leader: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicaNodes,
      inSyncReplicas: partition.isrNodes,
      offlineReplicas: partition.offlineReplicas,
    }))
    .sort((a, b) => a.partition - b.partition);
  return { name, id: topic.topicId === ZERO_UUID ? null : topic.topicId, internal: topic.isInternal, partitions };
}
