import { type Fault, faultFromKafka } from '../base/faults.ts';
import { type Uuid, ZERO_UUID } from '../base/random.ts';
import type { PartitionProduceResponse, ProduceResponse } from '../wire/messages.generated.ts';
import type { Cluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import type { BatchResult, ProducerBatch } from './producer-batch.ts';

/** What the broker says to one batch. */
export interface PartitionAnswer extends BatchResult {
  fault: Fault | null;
  /** Where single records were the cause: their faults, by their place in the batch. */
  recordFaults: ReadonlyMap<number, Fault>;
}

export interface ProduceSettings {
  acks: 'all' | 0 | 1;
  requestTimeoutMs: number;
}

/** The last version that names topics; after it they go by id. */
const NAMES_VERSION_LAST = 12;
const NO_FAULTS: ReadonlyMap<number, Fault> = new Map();
const UNHEARD: PartitionAnswer = { fault: null, recordFaults: NO_FAULTS, baseOffset: -1, logAppendTimeMs: -1 };

interface TopicData {
  readonly name: string;
  readonly topicId: Uuid;
  readonly partitionData: { index: number; records: Buffer[] }[];
}

/**
 * Sends batches of different partitions, and returns what the broker says to each; undefined for one it says nothing to. With
 * acks 0 nothing is heard. @throws Fault connectionClosed, requestTimedOut, notSupportedByBroker and others.
 */
export async function produce(
  cluster: Cluster,
  connection: Connection,
  batches: Iterable<ProducerBatch>,
  { acks, requestTimeoutMs }: ProduceSettings,
): Promise<(batch: ProducerBatch) => PartitionAnswer | undefined> {
  const topics = new Map<string, TopicData>();
  let versionMax: number | undefined;
  for (const batch of batches) {
    let topic = topics.get(batch.topic);
    if (topic === undefined) {
      const id = cluster.topic(batch.topic)?.id ?? null;
      if (id === null) versionMax = NAMES_VERSION_LAST;
      topic = { name: batch.topic, topicId: id ?? ZERO_UUID, partitionData: [] };
      topics.set(batch.topic, topic);
    }
    topic.partitionData.push({ index: batch.partition, records: [batch.builtBytes] });
  }
  const topicData = [...topics.values()];
  const message = { acks: acks === 'all' ? -1 : acks, timeoutMs: requestTimeoutMs, topicData };
  if (acks === 0) {
    connection.send('Produce', message, versionMax);
    return () => UNHEARD;
  }
  const response = await connection.request('Produce', message, { versionMax, timeoutMs: requestTimeoutMs });
  return (batch) => answerTo(batch, topics.get(batch.topic)?.topicId, response);
}

function answerTo(
  { topic: name, partition }: ProducerBatch,
  topicId: Uuid | undefined,
  response: ProduceResponse,
): PartitionAnswer | undefined {
  for (const topic of response.responses) {
    if (topic.name !== name && (topic.topicId !== topicId || topicId === ZERO_UUID)) continue;
    const answer = topic.partitionResponses.find((one) => one.index === partition);
    if (answer !== undefined) return answerOf(answer, `topic ${name}, partition ${partition}`);
  }
  return undefined;
}

function answerOf(answer: PartitionProduceResponse, where: string): PartitionAnswer {
  const { errorCode, errorMessage, baseOffset, logAppendTimeMs, recordErrors } = answer;
  const fault = faultFromKafka(errorCode, errorMessage === null ? where : `${where}: ${errorMessage}`);
  if (fault === null || recordErrors.length === 0) {
    return { fault, recordFaults: NO_FAULTS, baseOffset, logAppendTimeMs };
  }
  const faults = recordErrors.flatMap(({ batchIndex, batchIndexErrorMessage }) => {
    const ofRecord = faultFromKafka(errorCode, `${where}: ${batchIndexErrorMessage ?? errorMessage ?? 'refused'}`);
    return ofRecord === null ? [] : [[batchIndex, ofRecord] as const];
  });
  const others = faultFromKafka(errorCode, `${where}: not stored, as other records of its batch are refused`);
  return { fault: others, recordFaults: new Map(faults), baseOffset, logAppendTimeMs };
}
