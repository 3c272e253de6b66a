import { Fault } from '../../base/faults.ts';
import { limits } from '../../base/limits.ts';
import type { Broker } from '../../broker/broker.ts';
import { type Fetched, type FetchPart, fetch as fetchParts } from '../../broker/fetch.ts';
import { checkLeaderEpoch } from '../../broker/offsets.ts';
import type { FetchedPartition, FetchSession } from '../fetch-sessions.ts';
import { readingHandler } from '../handler.ts';

/** Versions up to 12 name topics, later ones give their ids. */
const TOPIC_IDS_FROM = 13;

const ignore = (): void => {};

export const fetch = readingHandler('Fetch', [4, 18], async (request, context) => {
  const { broker, version } = context;
  const session = context.fetchSessions.resolve(request, version >= TOPIC_IDS_FROM);
  const partitions = [...session.partitions.values()];
  const parts = partitions.map((partition) => partOf(broker, partition, version));
  const fetched = await fetchParts(
    parts,
    {
      minBytes: request.minBytes,
      bytesMax: Math.min(request.maxBytes, limits.fetchBytesMax),
      maxWaitMs: context.mayWait ? Math.min(Math.max(request.maxWaitMs, 0), limits.fetchWaitMaxMs) : 0,
      room: context.responseBytesMax,
      hold: context.holdResponse ?? ignore,
    },
    broker.clock,
    context.signal,
  );
  context.onSent?.(releaseOf(fetched));
  return { sessionId: session.id, responses: byTopic(session, partitions, fetched) };
});

/** Lets go of each buffer as soon as it is sent: an answer may be on its way for long. */
function releaseOf(fetched: readonly Fetched[]): (buffer: Buffer) => void {
  const releases = new Map<Buffer, Fetched['release']>();
  for (const { buffers, release } of fetched) for (const buffer of buffers) releases.set(buffer, release);
  return (buffer) => {
    const release = releases.get(buffer);
    if (releases.delete(buffer)) release!(buffer);
  };
}

function partOf(broker: Broker, { topic, topicId, wish }: FetchedPartition, version: number): FetchPart {
  const part = { offset: wish.fetchOffset, bytesMax: wish.partitionMaxBytes, lastEpoch: wish.lastFetchedEpoch };
  try {
    const found = version >= TOPIC_IDS_FROM ? broker.topics.getById(topicId) : broker.topics.get(topic);
    const log = found.partition(wish.partition);
    checkLeaderEpoch(log, wish.currentLeaderEpoch);
    return { log, ...part };
  } catch (error) {
    if (error instanceof Fault) return { log: error, ...part };
    throw error;
  }
}

function byTopic(session: FetchSession, partitions: readonly FetchedPartition[], fetched: readonly Fetched[]) {
  const responses: { topic: string; topicId: string; partitions: ReturnType<typeof answer>[] }[] = [];
  for (let i = 0; i < partitions.length; i += 1) {
    const partition = partitions[i]!;
    const result = fetched[i]!;
    if (session.incremental && !hasNews(partition, result)) continue;
    note(partition, result);
    const last = responses.at(-1);
    const answered = answer(partition, result);
    if (last?.topic === partition.topic && last.topicId === partition.topicId) last.partitions.push(answered);
    else responses.push({ topic: partition.topic, topicId: partition.topicId, partitions: [answered] });
    // Who was served goes to the end of the line, so that a busy partition cannot starve the others of the byte limit.
    if (session.id !== 0 && result.bytes > 0) moveToEnd(session, partition);
  }
  return responses;
}

function hasNews(partition: FetchedPartition, { fault, bytes, highWatermark, logStart }: Fetched): boolean {
  return (
    bytes > 0 ||
    fault !== null ||
    partition.toldFault ||
    partition.toldHighWatermark !== highWatermark ||
    partition.toldLogStart !== logStart
  );
}

function note(partition: FetchedPartition, { fault, highWatermark, logStart }: Fetched): void {
  partition.toldFault = fault !== null;
  partition.toldHighWatermark = highWatermark;
  partition.toldLogStart = logStart;
}

function moveToEnd(session: FetchSession, partition: FetchedPartition): void {
  const key = `${partition.topicId}/${partition.topic}/${partition.wish.partition}`;
  if (session.partitions.delete(key)) session.partitions.set(key, partition);
}

function answer({ wish }: FetchedPartition, { fault, buffers, highWatermark, logStart, divergence }: Fetched) {
  return {
    partitionIndex: wish.partition,
    errorCode: fault?.code ?? 0,
    highWatermark,
    lastStableOffset: highWatermark,
    logStartOffset: logStart,
    records: buffers,
    ...(divergence === null ? {} : { divergingEpoch: divergence }),
  };
}
