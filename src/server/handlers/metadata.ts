import { Fault } from '../../base/faults.ts';
import { ZERO_UUID } from '../../base/random.ts';
import type { Broker } from '../../broker/broker.ts';
import { checkTopicName, type Topic } from '../../broker/topic.ts';
import type { MetadataRequestTopic } from '../../wire/messages.generated.ts';
import { readingHandler, readOr } from '../handler.ts';

/** The first version in which topics may be asked for by their ids; the two before have the field and refuse its use. */
const IDS_FROM = 12;

/** The one node, and what a topic's partitions look like on it. */
export function partitionPlaces(topic: Topic, nodeId: number) {
  return topic.partitions.map((log, partitionIndex) => ({
    errorCode: 0,
    partitionIndex,
    leaderId: nodeId,
    leaderEpoch: log.leaderEpoch,
    replicaNodes: [nodeId],
    isrNodes: [nodeId],
    offlineReplicas: [],
  }));
}

export const metadata = readingHandler('Metadata', [0, 13], async (request, { broker, advertised, version }) => {
  const { nodeId, clusterId } = broker.identity;
  // Version 0 has no null: an empty list means all topics.
  const all = request.topics === null || (version === 0 && request.topics.length === 0);
  const wanted = all ? Array.from(broker.topics, ({ name }) => ({ name, topicId: ZERO_UUID })) : request.topics!;
  const create = !all && request.allowAutoTopicCreation && broker.settings.flag('auto.create.topics.enable');
  return {
    brokers: [{ nodeId, host: advertised.host, port: advertised.port, rack: null }],
    clusterId,
    controllerId: nodeId,
    topics: await Promise.all(
      wanted.map((topic) =>
        readOr(
          broker,
          async () => {
            if (version < IDS_FROM && (topic.name === null || topic.topicId !== ZERO_UUID)) {
              throw new Fault('invalidRequest', { detail: `a topic by its id in version ${version}` });
            }
            return describe(await resolve(broker, topic, create), nodeId);
          },
          // A name may be null only where topics may be asked for by their ids.
          ({ code }) => ({ errorCode: code, name: nameOf(topic, version), topicId: topic.topicId, partitions: [] }),
        ),
      ),
    ),
  };
});

function nameOf({ name }: Pick<MetadataRequestTopic, 'name'>, version: number): string | null {
  return version < IDS_FROM ? (name ?? '') : name;
}

function describe(topic: Topic, nodeId: number) {
  return {
    errorCode: 0,
    name: topic.name as string | null,
    topicId: topic.id,
    partitions: partitionPlaces(topic, nodeId),
  };
}

async function resolve(
  broker: Broker,
  { name, topicId }: Pick<MetadataRequestTopic, 'name' | 'topicId'>,
  create: boolean,
): Promise<Topic> {
  if (name === null || topicId !== ZERO_UUID) return broker.topics.getById(topicId);
  const topic = broker.topics.find(name);
  if (topic !== null) return topic;
  checkTopicName(name);
  if (!create) throw new Fault('unknownPartition', { detail: JSON.stringify(name) });
  try {
    return await broker.topics.findOrCreate(name);
  } catch (error) {
    throw error instanceof Fault ? error : broker.fail(error);
  }
}
