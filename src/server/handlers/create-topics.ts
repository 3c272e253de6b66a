import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import type { TopicRecord } from '../../broker/cluster-state.ts';
import { topicConfigs } from '../../broker/describe-settings.ts';
import { Topic } from '../../broker/topic.ts';
import type { NewTopic } from '../../broker/topics.ts';
import type { CreateTopicsCreatableTopic } from '../../wire/messages.generated.ts';
import { answerOr, duplicatesIn, handler } from '../handler.ts';

export const createTopics = handler('CreateTopics', [2, 7], async (request, { broker }) => {
  const duplicates = duplicatesIn(request.topics.map(({ name }) => name));
  return {
    topics: await Promise.all(
      request.topics.map((topic) =>
        answerOr(
          async () => {
            if (duplicates.has(topic.name))
              throw new Fault('invalidRequest', { detail: `${topic.name} is named twice` });
            const wish = wishOf(topic, broker);
            const record = request.validateOnly ? broker.topics.plan(wish) : (await broker.topics.create(wish)).record;
            return created(record, broker);
          },
          (fault) => ({ name: topic.name, errorCode: fault.code, errorMessage: fault.message as string | null }),
        ),
      ),
    ),
  };
});

function created(record: TopicRecord, broker: Broker) {
  const configs = topicConfigs(new Topic(record, broker.settings));
  return {
    name: record.name,
    topicId: record.id,
    errorCode: 0,
    errorMessage: null,
    numPartitions: record.partitions,
    replicationFactor: record.replicationFactor,
    configs: configs.map(({ name, value, readOnly, source }) => ({
      name,
      value,
      readOnly,
      configSource: source,
      isSensitive: false,
    })),
  };
}

function wishOf(topic: CreateTopicsCreatableTopic, broker: Broker): NewTopic {
  const { name, replicationFactor, assignments } = topic;
  const settings = new Map(topic.configs.map((config) => [config.name, config.value]));
  if (assignments.length === 0) return { name, partitions: topic.numPartitions, replicationFactor, settings };
  if (topic.numPartitions !== -1 || replicationFactor !== -1) {
    throw new Fault('invalidRequest', {
      detail: `${name} has both an assignment and a number of partitions or replicas`,
    });
  }
  const { nodeId } = broker.identity;
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  const whole = indexes.size === assignments.length && assignments.every((_, i) => indexes.has(i));
  if (!whole || !assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === nodeId)) {
    throw new Fault('invalidReplicaAssignment', { detail: `${name}; this broker is ${nodeId}` });
  }
  return { name, partitions: assignments.length, replicationFactor: 1, settings };
}
