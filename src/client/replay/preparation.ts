import { Fault } from '../../base/faults.ts';
import type { Admin } from '../admin.ts';
import type { TopicMetadata } from '../metadata.ts';
import { askedOf, type ReplayState, readState, type SourceState, type TopicState } from './checkpoint.ts';
import { boundsOf, checkRanges, resolveRanges } from './range.ts';
import type { PlannedPartition, ReplayOptions, ReplayPlan, ReplayTopic } from './replay-options.ts';
import { type Route, routeOf } from './route.ts';
import { NO_TURN } from './source-order.ts';
import type { ReplaySide } from './source-partition.ts';
import { type TargetFacts, TargetTopic } from './target-topic.ts';

/** A client that a replay reads from or writes to. */
export interface ReplayClient {
  readonly side: ReplaySide;
  readonly admin: Admin;
}

export interface ReplayClients {
  readonly source: ReplayClient;
  readonly target: ReplayClient;
}

/** Where the records go, when that is a topic. */
export interface PreparedTarget {
  readonly client: ReplayClient;
  readonly facts: TargetFacts;
  readonly route: Route;
  readonly compression: NonNullable<ReplayTopic['compression']>;
}

export interface Prepared {
  readonly state: ReplayState;
  readonly target: PreparedTarget | null;
}

interface Found {
  readonly asked: Record<string, string>;
  readonly sourceTopic: TopicMetadata;
  readonly source: readonly SourceState[];
  /** What an earlier run left. */
  readonly earlier: ReplayState | null;
}

const MESSAGE_BYTES_MAX = 1_048_588;

/** Finds out what is to be replayed and from where; nothing is changed. @throws Fault replayIntoItself, replayRangeLost and others. */
async function find<K, V>(options: ReplayOptions<K, V>, { source, target }: ReplayClients): Promise<Found> {
  const given = options as unknown as ReplayOptions<never, never>;
  const [ofSource, ofTarget] = await Promise.all([source.admin.describeCluster(), target.admin.describeCluster()]);
  if (typeof options.target !== 'function') {
    const { topic, intoItself = false } = options.target;
    const isSame = topic === options.topic && ofSource.clusterId === ofTarget.clusterId;
    if (isSame && !intoItself) throw new Fault('replayIntoItself', { detail: `topic ${topic}` });
  }
  const asked = askedOf(given, { source: ofSource.clusterId, target: ofTarget.clusterId });
  const saved = (await options.checkpoint?.load()) ?? null;
  const name = options.checkpoint?.name ?? 'the checkpoint';
  const earlier = saved === null ? null : readState(saved, asked, name);
  const sourceTopic = await source.admin.describeTopic(options.topic);
  const { from = 'earliest', to = 'end', isolation = 'committed', topic } = options;
  const named = options.partitions ?? (from instanceof Map ? [...from.keys()] : null);
  const partitions = earlier?.source.map((one) => one.partition) ?? named ?? numbersOf(sourceTopic);
  const bounds = await boundsOf(source.admin, { topic, partitions, isolation });
  if (earlier === null) {
    const ask = { topic, partitions, from, to, isolation };
    const ranges = await resolveRanges(source.admin, source.side.cluster.clock, ask, bounds);
    return { asked, sourceTopic, source: ranges, earlier };
  }
  if (earlier.sourceTopicId !== sourceTopic.id && !earlier.done) {
    throw new Fault('replayDiverged', { detail: `topic ${topic} was deleted and made again` });
  }
  if (!earlier.done) checkRanges(topic, earlier.source, bounds);
  return { asked, sourceTopic, source: earlier.source, earlier };
}

function numbersOf({ partitions }: TopicMetadata): number[] {
  return partitions.map(({ partition }) => partition);
}

/** Makes ready to begin or to go on: from here on the checkpoint says where the records are. */
export async function prepare<K, V>(options: ReplayOptions<K, V>, clients: ReplayClients): Promise<Prepared> {
  const found = await find(options, clients);
  const { earlier } = found;
  const target = typeof options.target === 'function' ? null : await prepareTarget(options.target, found, clients);
  if (earlier !== null) return { state: earlier, target };
  const begun: TopicState | null =
    target === null ? null : await TargetTopic.begin(target.client.side, target.client.admin, target.facts);
  const state: ReplayState = {
    version: 1,
    asked: found.asked,
    sourceTopicId: found.sourceTopic.id,
    source: found.source,
    turn: NO_TURN,
    records: 0,
    bytes: 0,
    filtered: 0,
    target: begun,
    done: false,
  };
  // Before anything is sent: what a run that is killed at once has sent is found by it.
  await options.checkpoint?.save(JSON.stringify(state));
  return { state, target };
}

async function prepareTarget(
  target: ReplayTopic,
  { sourceTopic, source, earlier }: Found,
  clients: ReplayClients,
): Promise<PreparedTarget> {
  const client = clients.target;
  const { topic, partition = 'same', compression = 'same', create = false } = target;
  if (create && earlier === null) {
    await createAlike(topic, sourceTopic, clients);
  }
  const metadata = await client.admin.describeTopic(topic);
  const route = routeOf(partition, {
    sourceTopic: sourceTopic.name,
    sourcePartitions: source.map((one) => one.partition),
    targetTopic: topic,
    targetPartitionCount: metadata.partitions.length,
  });
  if (earlier?.target?.partitions.some((one) => !metadata.partitions[one.partition])) {
    throw new Fault('replayDiverged', { detail: `topic ${topic} was made again with fewer partitions` });
  }
  const settings = await client.admin.settings({ topic }, ['message.timestamp.type', 'max.message.bytes']);
  const settingOf = (name: string): string | null | undefined => settings.find((one) => one.name === name)?.value;
  const facts: TargetFacts = {
    topic,
    topicId: metadata.id,
    partitions: route.partitions,
    storedBytesMax: Number(settingOf('max.message.bytes') ?? MESSAGE_BYTES_MAX),
    keepsTimestamps: settingOf('message.timestamp.type') !== 'LogAppendTime',
  };
  return { client, facts, route, compression };
}

/** With as many partitions as the source, and what is set of it: records that live long there should not die young here. */
async function createAlike(name: string, source: TopicMetadata, clients: ReplayClients): Promise<void> {
  const ofSource = await clients.source.admin.settings({ topic: source.name });
  const set = ofSource.filter((setting) => setting.source === 'topic' && setting.value !== null);
  const settings = Object.fromEntries(set.map((setting) => [setting.name, setting.value!]));
  try {
    await clients.target.admin.createTopic({ name, partitions: source.partitions.length, settings });
  } catch (error) {
    if (!(error instanceof Fault) || error.fault !== 'topicExists') throw error;
  }
}

/** What `prepare` would begin with; nothing is changed, and a target that is to be created need not be there. */
export async function plan<K, V>(options: ReplayOptions<K, V>, clients: ReplayClients): Promise<ReplayPlan> {
  const found = await find(options, clients);
  if (typeof options.target !== 'function') {
    const { create = false, topic } = options.target;
    const isMissing = create && !(await clients.target.admin.listTopics()).some(({ name }) => name === topic);
    if (!isMissing) await prepareTarget({ ...options.target, create: false }, found, clients);
  }
  const bytes = await bytesOf(options.topic, clients.source.admin);
  const { isolation = 'committed', topic } = options;
  const partitions = found.source.map(({ partition }) => partition);
  const { earliest, latest } = await boundsOf(clients.source.admin, { topic, partitions, isolation });
  return {
    resumes: found.earlier !== null,
    partitions: found.source.map(({ partition, next, endNext }): PlannedPartition => {
      const isWhole = next <= earliest.get(partition)!.offset && endNext >= latest.get(partition)!.offset;
      return {
        partition,
        fromOffset: next,
        toOffset: endNext,
        recordsMax: endNext - next,
        bytes: endNext === next ? 0 : isWhole ? (bytes.get(partition) ?? null) : null,
      };
    }),
  };
}

/** Of each partition on the disk of a broker that has it; none where the broker does not say. */
async function bytesOf(topic: string, admin: Admin): Promise<Map<number, number>> {
  const dirs = await admin.logDirs().catch((error: unknown) => {
    if (error instanceof Fault) return [];
    throw error;
  });
  const ofTopic = dirs.flatMap((dir) => dir.partitions).filter((one) => one.topic === topic);
  return new Map(ofTopic.map(({ partition, bytes }) => [partition, bytes]));
}
