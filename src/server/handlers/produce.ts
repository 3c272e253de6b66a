import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import { KeylessRecords } from '../../broker/keyless-records.ts';
import type { Produced, ProduceOptions } from '../../broker/produce.ts';
import type { PartitionProduceData, TopicProduceData } from '../../wire/messages.generated.ts';
import { handler } from '../handler.ts';

/** Versions up to 12 name topics, 13 gives their ids. */
const TOPIC_IDS_FROM = 13;

export const produce = handler('Produce', [3, 13], async (request, { broker, version }) => {
  const { acks, transactionalId } = request;
  const options = { acks, transactionalId, version };
  // All appends start before the first is waited for: partitions share syncs, and requests keep their order.
  const appends = request.topicData.map((topic) => ({
    topic,
    partitions: topic.partitionData.map((data) => append(broker, topic, data, options)),
  }));
  if (acks === 0) {
    const all = appends.flatMap(({ partitions }) => partitions);
    const refused = all.find(({ fault }) => fault !== null);
    // Nobody waits for an answer: closing the connection is all that the protocol leaves to say.
    if (refused !== undefined) throw refused.fault!;
    await Promise.all(all.map(({ produced }) => produced!.settled));
    return null;
  }
  return {
    responses: await Promise.all(
      appends.map(async ({ topic, partitions }) => ({
        name: topic.name,
        topicId: topic.topicId,
        partitionResponses: await Promise.all(partitions.map(settle)),
      })),
    ),
  };
});

type Append = { index: number; produced: Produced; fault: null } | { index: number; produced: null; fault: Fault };

function append(
  broker: Broker,
  { name, topicId }: TopicProduceData,
  { index, records }: PartitionProduceData,
  { acks, transactionalId, version }: { acks: number; transactionalId: string | null; version: number },
): Append {
  try {
    if (transactionalId !== null) throw new Fault('transactionsNotServed', { detail: JSON.stringify(transactionalId) });
    if (acks !== -1 && acks !== 0 && acks !== 1) throw new Fault('invalidRequiredAcks', { detail: `found ${acks}` });
    const topic = version >= TOPIC_IDS_FROM ? broker.topics.getById(topicId) : broker.topics.get(name);
    const options: ProduceOptions = { acks, version };
    const produced = broker.produce(topic, index, wholeOf(records), options);
    return { index, produced, fault: null };
  } catch (error) {
    if (error instanceof Fault) return { index, produced: null, fault: error };
    throw error;
  }
}

async function settle({ index, produced, fault }: Append) {
  if (produced === null) return refusal(index, fault);
  try {
    await produced.settled;
  } catch (error) {
    if (error instanceof Fault) return refusal(index, error);
    throw error;
  }
  const { baseOffset, logAppendTimeMs, logStart } = produced;
  return { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset: logStart };
}

function refusal(index: number, fault: Fault) {
  return {
    index,
    errorCode: fault.code,
    errorMessage: fault.message,
    recordErrors: fault instanceof KeylessRecords ? fault.indexes.map(recordError) : [],
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
  };
}

function recordError(batchIndex: number) {
  return { batchIndex, batchIndexErrorMessage: 'a record of a compacted topic needs a key' };
}

/** A frame's records are one buffer; a client in this process may hand in several. */
function wholeOf(records: readonly Buffer[] | null): Buffer {
  if (records === null || records.length === 0) return Buffer.alloc(0);
  return records.length === 1 ? records[0]! : Buffer.concat(records);
}
