import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Draft } from '../wire/codec.ts';
import type { ListOffsetsPartition } from '../wire/messages.generated.ts';
import type { Cluster, TopicSearch } from './cluster.ts';
import type { TopicMetadata } from './metadata.ts';

/**
 * A place in a partition: its first record; after its last one; the record with the largest timestamp; or the first record
 * whose timestamp is at least `time` (milliseconds since 1970, or a Date).
 */
export type OffsetTarget = 'earliest' | 'latest' | 'maxTimestamp' | { readonly time: number | Date };

/** Whether records of transactions that are not committed count: `committed` ends at the first open transaction. */
export type Isolation = 'committed' | 'uncommitted';

export interface FoundOffset {
  /** -1: no record is at or after the time asked for, or none is there at all for maxTimestamp. */
  readonly offset: number;
  /** Of the record found by time; else -1. */
  readonly timestampMs: number;
}

export interface OffsetSearch extends Pick<TopicSearch, 'timeoutMs' | 'unknownMs'> {
  isolation: Isolation;
}

/** The first version that knows maxTimestamp. */
const MAX_TIMESTAMP_VERSION = 7;

function timestampOf(target: OffsetTarget): number {
  if (target === 'latest') return -1;
  if (target === 'earliest') return -2;
  if (target === 'maxTimestamp') return -3;
  if (typeof target !== 'object' || target === null || !('time' in target)) {
    const detail = `a place is 'earliest', 'latest', { offset } or { time }, not ${JSON.stringify(target)}`;
    throw new Fault('invalidArgument', { detail });
  }
  const timestampMs = Number(target.time);
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new Fault('invalidArgument', { detail: `time must be milliseconds since 1970 or a Date, not ${target.time}` });
}

export function isolationLevel(isolation: Isolation): number {
  return isolation === 'committed' ? 1 : 0;
}

/**
 * Asks each partition's leader, and again after a change of leaders, until all have answered.
 * @throws Fault unknownTopic, invalidArgument, connectionFailed, notSupportedByBroker and others.
 */
export async function listOffsets(
  cluster: Cluster,
  topicName: string,
  targets: ReadonlyMap<number, OffsetTarget>,
  { timeoutMs, unknownMs, isolation }: OffsetSearch,
): Promise<Map<number, FoundOffset>> {
  const open = new Map([...targets].map(([partition, target]) => [partition, timestampOf(target)]));
  const found = new Map<number, FoundOffset>();
  await cluster.retrying(`finding offsets of topic ${topicName}`, timeoutMs, async () => {
    const topic = await topicWith(cluster, topicName, open.keys(), { timeoutMs, unknownMs, autoCreate: false });
    const asks = [...byLeader(topic, open)].map(([leader, partitions]) =>
      askLeader(cluster, topicName, leader, partitions, isolation),
    );
    const faults: unknown[] = [];
    for (const outcome of await Promise.allSettled(asks)) {
      if (outcome.status === 'rejected') faults.push(outcome.reason);
      else
        for (const [partition, answer] of outcome.value) {
          if (answer instanceof Fault) faults.push(answer);
          else {
            found.set(partition, answer);
            open.delete(partition);
          }
        }
    }
    if (faults.length > 0) throw faults[0];
  });
  return new Map(
    [...targets.keys()].flatMap((partition) => {
      const answer = found.get(partition);
      return answer === undefined ? [] : [[partition, answer] as const];
    }),
  );
}

/** Finds a topic that has the partitions. @throws Fault invalidArgument, and those of finding the topic. */
export async function topicWith(
  cluster: Cluster,
  name: string,
  partitions: Iterable<number>,
  search: TopicSearch,
): Promise<TopicMetadata> {
  const wanted = [...partitions];
  const known = await cluster.findTopic(name, search);
  if (wanted.every((partition) => known.partitions[partition] !== undefined)) return known;
  // They may have been added since.
  cluster.forgetTopic(name);
  const topic = await cluster.findTopic(name, search);
  for (const partition of wanted) partitionOf(topic, partition);
  return topic;
}

/** @throws Fault invalidArgument. */
export function partitionOf(topic: TopicMetadata, partition: number): TopicMetadata['partitions'][number] {
  const found = topic.partitions[partition];
  if (found !== undefined) return found;
  const detail = `topic ${topic.name} has partitions 0 to ${topic.partitions.length - 1}, not ${partition}`;
  throw new Fault('invalidArgument', { detail });
}

type Asks = Draft<ListOffsetsPartition>[];

function byLeader(topic: TopicMetadata, open: ReadonlyMap<number, number>): Map<number, Asks> {
  const asks = new Map<number, Asks>();
  for (const [partition, timestamp] of open) {
    const { leader } = partitionOf(topic, partition);
    let ofLeader = asks.get(leader);
    if (ofLeader === undefined) asks.set(leader, (ofLeader = []));
    ofLeader.push({ partitionIndex: partition, timestamp });
  }
  return asks;
}

async function askLeader(
  cluster: Cluster,
  topicName: string,
  leader: number,
  partitions: Asks,
  isolation: Isolation,
): Promise<Map<number, FoundOffset | Fault>> {
  const connection = await cluster.connection(leader, 'main');
  const needsNewer = partitions.some(({ timestamp }) => timestamp === -3);
  if (needsNewer && connection.versionOf('ListOffsets') < MAX_TIMESTAMP_VERSION) {
    throw new Fault('notSupportedByBroker', { detail: 'offsets by largest timestamp, since Apache Kafka 3.0' });
  }
  const response = await connection.request('ListOffsets', {
    replicaId: -1,
    isolationLevel: isolationLevel(isolation),
    topics: [{ name: topicName, partitions }],
  });
  const answers = new Map<number, FoundOffset | Fault>();
  for (const topic of response.topics) {
    for (const { partitionIndex, errorCode, offset, timestamp } of topic.partitions) {
      const fault = faultFromKafka(errorCode, `topic ${topicName}, partition ${partitionIndex}`);
      answers.set(partitionIndex, fault ?? { offset, timestampMs: timestamp });
    }
  }
  return answers;
}
