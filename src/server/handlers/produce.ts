import { Fault } from '../../base/faults.ts';
import { hidesKeys, type Produced, type ProduceOptions } from '../../broker/produce.ts';
import { KeylessRecords } from '../../broker/record-keys.ts';
import type { Messages, TopicProduceData } from '../../wire/messages.generated.ts';
import type { RequestContext } from '../context.ts';
import { handler } from '../handler.ts';

/** Versions up to 12 name topics, 13 gives their ids. */
const TOPIC_IDS_FROM = 13;

type Request = Messages['Produce']['request'];

/** What is to be appended to one partition. */
interface Part {
  readonly topic: TopicProduceData;
  readonly index: number;
  records: Buffer;
  /** What HiddenKeys found, if it was asked. */
  keyFault?: Fault | null | undefined;
}

export const produce = handler('Produce', [3, 13], async (request, context) => {
  const parts = request.topicData.map((topic) =>
    topic.partitionData.map(({ index, records }): Part => ({ topic, index, records: wholeOf(records) })),
  );
  // All appends start before the first is waited for: partitions share syncs, and requests keep their order.
  const appendAll = () => parts.map((ofTopic) => ofTopic.map((part) => append(request, part, context)));
  const unseen = lookAtOnce(request, parts.flat(), context);
  const appends =
    unseen.length === 0
      ? appendAll()
      : await context.inOrder(() => lookAndAppend(request, parts.flat(), unseen, context, appendAll));
  if (request.acks === 0) {
    const all = appends.flat();
    const refused = all.find(({ fault }) => fault !== null);
    // Nobody waits for an answer: closing the connection is all that the protocol leaves to say.
    if (refused !== undefined) throw refused.fault!;
    await Promise.all(all.map(({ produced }) => produced!.settled));
    return null;
  }
  return {
    responses: await Promise.all(
      request.topicData.map(async ({ name, topicId }, i) => ({
        name,
        topicId,
        partitionResponses: await Promise.all(appends[i]!.map(settle)),
      })),
    ),
  };
});

/** Looks into what can be looked into at once; returns the parts that take their time. */
function lookAtOnce(request: Request, parts: readonly Part[], { broker, version }: RequestContext): readonly Part[] {
  if (faultOf(request) !== null) return [];
  return parts.filter((part) => {
    if (part.keyFault !== undefined) return false;
    const { records } = part;
    const { name, topicId } = part.topic;
    const topic = version >= TOPIC_IDS_FROM ? broker.topics.findById(topicId) : broker.topics.find(name);
    if (topic === null || !hidesKeys(topic, records, version)) return false;
    part.keyFault = broker.hiddenKeys.faultAtOnce(records);
    return part.keyFault === undefined;
  });
}

/**
 * Looks into what hides its keys, one after the other, so that clients with less to look into come in between, and then appends: at
 * once, since a topic that becomes a compacted one before would meet a batch that was not looked into for it. What waits for too
 * long is not answered with a fault that may pass: a broker takes any number from a producer that it does not know, so what such a
 * one sent behind its first batch would be stored before it. Clients send again, in order, what a connection's end left unanswered.
 * @throws Fault requestTimedOut
 */
async function lookAndAppend<T>(
  request: Request,
  parts: readonly Part[],
  unseen: readonly Part[],
  context: RequestContext,
  appendAll: () => T,
): Promise<T> {
  const { broker } = context;
  if (context.lendsRecords) for (const part of parts) part.records = Buffer.from(part.records);
  const sinceMs = broker.clock.monotonicMs();
  // Meanwhile another topic may become a compacted one.
  for (let hidden = unseen; hidden.length > 0; hidden = lookAtOnce(request, parts, context)) {
    for (const part of hidden) {
      part.keyFault = await broker.hiddenKeys.faultOf(part.records, sinceMs);
      if (broker.stopped !== null) throw broker.stopped;
    }
  }
  return appendAll();
}

/** What a request is refused for as a whole. */
function faultOf({ acks, transactionalId }: Request): Fault | null {
  if (transactionalId !== null) return new Fault('transactionsNotServed', { detail: JSON.stringify(transactionalId) });
  if (acks !== -1 && acks !== 0 && acks !== 1) return new Fault('invalidRequiredAcks', { detail: `found ${acks}` });
  return null;
}

type Append = { index: number; produced: Produced; fault: null } | { index: number; produced: null; fault: Fault };

function append(request: Request, part: Part, { broker, version }: RequestContext): Append {
  const { index, records, keyFault } = part;
  try {
    const refused = faultOf(request);
    if (refused !== null) throw refused;
    const { name, topicId } = part.topic;
    const topic = version >= TOPIC_IDS_FROM ? broker.topics.getById(topicId) : broker.topics.get(name);
    const options: ProduceOptions = { acks: request.acks as ProduceOptions['acks'], version, keyFault };
    const produced = broker.produce(topic, index, records, options);
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
