import { Fault } from '../../base/faults.ts';
import { type KafkaErrorName, kafkaErrors } from '../../base/kafka-errors.ts';
import { ZERO_UUID } from '../../base/random.ts';
import type { Broker } from '../../broker/broker.ts';
import { isTopicName, Topic } from '../../broker/topic.ts';
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
    topics: await describeAll(wanted, broker, version, create),
  };
});

type Wanted = Pick<MetadataRequestTopic, 'name' | 'topicId'>;
type Described = ReturnType<typeof describe>;

/** What is to be made is made side by side. All else is answered at once: a request may name very many that do not exist. */
async function describeAll(
  wanted: readonly Wanted[],
  broker: Broker,
  version: number,
  create: boolean,
): Promise<Described[]> {
  const { nodeId } = broker.identity;
  const described: Described[] = [];
  const making: Promise<void>[] = [];
  for (const [place, topic] of wanted.entries()) {
    // A name may be null only where topics may be asked for by their ids.
    const refuse = (code: number): Described => {
      return { errorCode: code, name: nameOf(topic, version), topicId: topic.topicId, partitions: [] };
    };
    try {
      const found = findNow(broker, topic, version, create);
      if (found instanceof Topic) described[place] = describe(found, nodeId);
      else if (found !== null) described[place] = refuse(kafkaErrors[found].code);
      else {
        const made = async () => describe(await makeTopic(broker, topic.name!), nodeId);
        const answer = readOr(broker, made, ({ code }) => refuse(code));
        making.push(
          answer.then((one) => {
            described[place] = one;
          }),
        );
      }
    } catch (error) {
      described[place] = refuse(broker.failRead(error).code);
    }
  }
  await Promise.all(making);
  return described;
}

/** The topic; the error of one that cannot be; null for one that is to be made. Without faults: each costs a kilobyte and more. */
function findNow(
  { topics }: Broker,
  { name, topicId }: Wanted,
  version: number,
  create: boolean,
): Topic | KafkaErrorName | null {
  if (version < IDS_FROM && (name === null || topicId !== ZERO_UUID)) return 'INVALID_REQUEST';
  if (name === null || topicId !== ZERO_UUID) return topics.findById(topicId) ?? 'UNKNOWN_TOPIC_ID';
  const topic = topics.find(name);
  if (topic !== null) return topic;
  if (!isTopicName(name)) return 'INVALID_TOPIC_EXCEPTION';
  return create ? null : 'UNKNOWN_TOPIC_OR_PARTITION';
}

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

async function makeTopic(broker: Broker, name: string): Promise<Topic> {
  try {
    return await broker.topics.findOrCreate(name);
  } catch (error) {
    throw error instanceof Fault ? error : broker.fail(error);
  }
}
