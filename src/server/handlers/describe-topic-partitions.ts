import { Fault, type FaultName } from '../../base/faults.ts';
import { ZERO_UUID } from '../../base/random.ts';
import { isTopicName } from '../../broker/topic.ts';
import { readingHandler } from '../handler.ts';
import { partitionPlaces } from './metadata.ts';

/** Kafka's max.request.partition.size.limit: partitions in one answer; the cursor tells where to go on. */
const PARTITIONS_MAX = 2000;

export const describeTopicPartitions = readingHandler('DescribeTopicPartitions', [0, 0], (request, { broker }) => {
  const { nodeId } = broker.identity;
  const { cursor } = request;
  const named = request.topics.map(({ name }) => name);
  if (cursor !== null && (cursor.partitionIndex < 0 || !(named.length === 0 || named.includes(cursor.topicName)))) {
    const { code: errorCode } = new Fault('invalidRequest');
    return { topics: named.map((name) => ({ errorCode, name, topicId: ZERO_UUID, partitions: [] })), nextCursor: null };
  }
  const asked = named.length > 0 ? named : Array.from(broker.topics, ({ name }) => name);
  const names = [...new Set(asked)].sort().filter((name) => cursor === null || name >= cursor.topicName);
  let left = Math.min(Math.max(request.responsePartitionLimit, 1), PARTITIONS_MAX);
  const topics = [];
  for (const name of names) {
    const topic = broker.topics.find(name);
    if (topic === null) {
      const fault: FaultName = isTopicName(name) ? 'unknownPartition' : 'invalidTopicName';
      topics.push({ errorCode: new Fault(fault).code, name, topicId: ZERO_UUID, partitions: [] });
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
