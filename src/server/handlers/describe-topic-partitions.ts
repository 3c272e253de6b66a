import { ZERO_UUID } from '../../base/random.ts';
import { handler } from '../handler.ts';
import { partitionPlaces } from './metadata.ts';

/** Kafka's max.request.partition.size.limit: partitions in one answer; the cursor tells where to go on. */
const PARTITIONS_MAX = 2000;
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export const describeTopicPartitions = handler('DescribeTopicPartitions', [0, 0], (request, { broker }) => {
  const { nodeId } = broker.identity;
  const { cursor } = request;
  const asked =
    request.topics.length > 0 ? request.topics.map(({ name }) => name) : Array.from(broker.topics, ({ name }) => name);
  const names = [...new Set(asked)].sort().filter((name) => cursor === null || name >= cursor.topicName);
  let left = Math.min(Math.max(request.responsePartitionLimit, 1), PARTITIONS_MAX);
  const topics = [];
  for (const name of names) {
    const topic = broker.topics.find(name);
    if (topic === null) {
      topics.push({ errorCode: UNKNOWN_TOPIC_OR_PARTITION, name, topicId: ZERO_UUID, partitions: [] });
      continue;
    }
    const first = cursor?.topicName === name ? cursor.partitionIndex : 0;
    if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: first } };
    const places = partitionPlaces(topic, nodeId);
    const shown = places.slice(first, first + left);
    const partitions = shown.map((place) => ({ ...place, eligibleLeaderReplicas: [], lastKnownElr: [] }));
    topics.push({ errorCode: 0, name, topicId: topic.id, partitions });
    left -= shown.length;
    if (first + shown.length < places.length) {
      return { topics, nextCursor: { topicName: name, partitionIndex: first + shown.length } };
    }
  }
  return { topics, nextCursor: null };
});
