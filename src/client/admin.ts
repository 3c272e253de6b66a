import { Fault, faultFromKafka } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import { ZERO_UUID } from '../base/random.ts';
import type { Draft } from '../wire/codec.ts';
import type { ApiName, Messages } from '../wire/messages.generated.ts';
import type { Cluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import { GroupAdmin } from './group-admin.ts';
import {
  type FoundOffset,
  type Isolation,
  listOffsets,
  type OffsetTarget,
  partitionOf,
  topicWith,
} from './list-offsets.ts';
import { type LogDir, logDirOf } from './log-dirs.ts';
import type { BrokerMetadata, TopicMetadata } from './metadata.ts';
import { saidOf } from './said-of.ts';
import { askSegments, type SegmentsOfPartition } from './segments.ts';
import {
  alterationsOf,
  type Setting,
  type SettingChanges,
  type SettingsOwner,
  type SettingValue,
  settingOf,
  wireOwner,
} from './settings.ts';
import { checkedInt, checkedOffset } from './whole-numbers.ts';

export interface NewTopic {
  name: string;
  /** Default -1: as many as the broker gives by default. */
  partitions?: number;
  /** Default -1: the broker's own. */
  replicationFactor?: number;
  /** Kafka's topic settings, such as `retention.ms` or `cleanup.policy`. */
  settings?: Readonly<Record<string, SettingValue>>;
}

export interface TopicSummary {
  readonly name: string;
  readonly id: string | null;
  readonly partitions: number;
  readonly internal: boolean;
}

export interface ClusterDescription {
  readonly clusterId: string | null;
  /** -1 while there is none. */
  readonly controllerId: number;
  readonly brokers: readonly BrokerMetadata[];
}

export interface CheckOnly {
  /** True: the broker only says whether it would be done. Default false. */
  validateOnly?: boolean;
}

export interface OffsetsOptions {
  /** Default all. */
  partitions?: readonly number[];
  /** Default uncommitted: `latest` is where the next record will be. */
  isolation?: Isolation;
}

/**
 * Topics, their settings and offsets. Each call is repeated after failures that may pass, until `timeoutMs` is over; a call that
 * was carried out but whose answer was lost may then say so, as `topicExists` does.
 */
export class Admin {
  /** Consumer groups. */
  readonly groups: GroupAdmin;
  readonly #cluster: Cluster;
  readonly #timeoutMs: number;

  constructor(cluster: Cluster, timeoutMs: number) {
    this.#cluster = cluster;
    this.#timeoutMs = timeoutMs;
    this.groups = new GroupAdmin(cluster, timeoutMs);
  }

  /** Returns when the topic can be used. @throws Fault topicExists, invalidTopicName, invalidPartitions, invalidArgument, invalidConfig and others. */
  async createTopic(topic: NewTopic, { validateOnly = false }: CheckOnly = {}): Promise<void> {
    const { name, partitions = -1, replicationFactor = -1, settings = {} } = topic;
    checkedInt('partitions', partitions, 32);
    checkedInt('replicationFactor', replicationFactor, 16);
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value: String(value) }));
    await this.#ask(`creating topic ${name}`, async (connection) => {
      const { topics } = await connection.request('CreateTopics', {
        topics: [{ name, numPartitions: partitions, replicationFactor, configs }],
        timeoutMs: this.#timeoutMs,
        validateOnly,
      });
      for (const result of topics) throwIf(result.errorCode, `topic ${name}`, result.errorMessage);
    });
    // The broker asked next may be one that has not heard of the topic yet.
    if (!validateOnly) await this.#cluster.findTopic(name, this.#search(this.#timeoutMs));
  }

  /** In the order of their names. The broker's own topics only with `internal`. */
  async listTopics({ internal = false }: { internal?: boolean } = {}): Promise<TopicSummary[]> {
    const topics = await this.#topics(null);
    return topics
      .filter((topic) => internal || !topic.internal)
      .map((topic) => ({ ...topic, partitions: topic.partitions.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws Fault unknownTopic. */
  async describeTopic(name: string): Promise<TopicMetadata> {
    const [topic] = await this.#topics([name]);
    if (topic === undefined) throw new Fault('unknownTopic', { detail: name });
    return topic;
  }

  async #topics(names: readonly string[] | null): Promise<TopicMetadata[]> {
    return this.#cluster.retrying('describing topics', this.#timeoutMs, async () => {
      const { topics } = await this.#cluster.askMetadata(names);
      return [...topics].flatMap(([name, topic]) => {
        if (!(topic instanceof Fault)) return [topic];
        if (topic.fault === 'unknownPartition') throw new Fault('unknownTopic', { detail: name });
        throw topic;
      });
    });
  }

  /** With all its records. Returns when the topic is gone for those who ask. @throws Fault unknownTopic. */
  async deleteTopic(name: string): Promise<void> {
    const what = `deleting topic ${name}`;
    const id = await this.#ask(what, async (connection) => {
      const { responses } = await connection.request('DeleteTopics', {
        ...(connection.versionOf('DeleteTopics') >= 6 ? { topics: [{ name }] } : { topicNames: [name] }),
        timeoutMs: this.#timeoutMs,
      });
      for (const result of responses) throwIf(result.errorCode, `topic ${name}`, result.errorMessage);
      return responses[0]?.topicId ?? ZERO_UUID;
    });
    this.#cluster.forgetTopic(name);
    if (id === ZERO_UUID) return;
    await this.#cluster.retrying(what, this.#timeoutMs, async () => {
      const topic = (await this.#cluster.askMetadata([name])).topics.get(name);
      const isThere = topic !== undefined && !(topic instanceof Fault) && topic.id === id;
      if (isThere) throw new Fault('requestTimedOut', { detail: what });
    });
  }

  /**
   * Raises a topic's number of partitions to `total`; records that are there stay where they are, so keys may part from their
   * older records. @throws Fault unknownTopic, invalidPartitions, invalidArgument.
   */
  async addPartitions(name: string, total: number, { validateOnly = false }: CheckOnly = {}): Promise<void> {
    checkedInt('the number of partitions', total, 32);
    await this.#ask(`adding partitions to topic ${name}`, async (connection) => {
      const { results } = await connection.request('CreatePartitions', {
        topics: [{ name, count: total, assignments: null }],
        timeoutMs: this.#timeoutMs,
        validateOnly,
      });
      for (const result of results) throwIf(result.errorCode, `topic ${name}`, result.errorMessage);
    });
    if (validateOnly) return;
    await this.#cluster.retrying(`waiting for the partitions of topic ${name}`, this.#timeoutMs, async () => {
      this.#cluster.forgetTopic(name);
      const topic = await this.#cluster.findTopic(name, this.#search(this.#timeoutMs));
      if (topic.partitions.length < total) throw new Fault('unknownPartition', { detail: `topic ${name}` });
    });
  }

  /**
   * Drops each partition's records below an offset, for good; `latest` drops all there are now. Returns where each partition
   * begins afterwards. @throws Fault unknownTopic, invalidArgument, offsetOutOfRange, policyViolation on a compacted topic.
   */
  async trim(name: string, below: ReadonlyMap<number, number | 'latest'>): Promise<Map<number, number>> {
    for (const offset of below.values()) if (offset !== 'latest') checkedOffset(offset);
    const open = new Map(below);
    const starts = new Map<number, number>();
    await this.#cluster.retrying(`trimming topic ${name}`, this.#timeoutMs, async () => {
      const topic = await topicWith(this.#cluster, name, open.keys(), this.#search(0));
      for (const [partition, offset] of [...open]) {
        const connection = await this.#cluster.connection(partitionOf(topic, partition).leader, 'admin');
        const { topics } = await connection.request('DeleteRecords', {
          // -1 stands for the end of what is readable.
          topics: [{ name, partitions: [{ partitionIndex: partition, offset: offset === 'latest' ? -1 : offset }] }],
          timeoutMs: this.#timeoutMs,
        });
        for (const result of topics.flatMap((one) => one.partitions)) {
          await this.#checkTrimmed(result.errorCode, name, partition, offset);
          starts.set(partition, result.lowWatermark);
        }
        open.delete(partition);
      }
    });
    return starts;
  }

  /** Brokers answer with a code alone. */
  async #checkTrimmed(code: number, name: string, partition: number, offset: number | 'latest'): Promise<void> {
    let what = `topic ${name}, partition ${partition}`;
    if (code === kafkaErrors.POLICY_VIOLATION.code) {
      what += ': only where cleanup.policy includes delete are records deleted before an offset';
    } else if (code === kafkaErrors.OFFSET_OUT_OF_RANGE.code) {
      const end = (await this.offsets(name, 'latest', { partitions: [partition] })).get(partition)?.offset;
      what += ` ends at offset ${end}, before ${offset}`;
    }
    throwIf(code, what);
  }

  /** Where in each partition a target lies now. @throws Fault unknownTopic, invalidArgument. */
  async offsets(name: string, target: OffsetTarget, options: OffsetsOptions = {}): Promise<Map<number, FoundOffset>> {
    const { isolation = 'uncommitted' } = options;
    const partitions = options.partitions ?? (await this.describeTopic(name)).partitions.map((one) => one.partition);
    const targets = new Map(partitions.map((partition) => [partition, target]));
    return listOffsets(this.#cluster, name, targets, { ...this.#search(0), isolation });
  }

  /** All settings, or those named, of a topic or a broker. @throws Fault unknownTopic. */
  async settings(owner: SettingsOwner, names?: readonly string[]): Promise<Setting[]> {
    const { resourceType, resourceName, broker, says } = wireOwner(owner);
    return this.#ask(
      `reading the settings of ${says}`,
      async (connection) => {
        const { results } = await connection.request('DescribeConfigs', {
          resources: [{ resourceType, resourceName, configurationKeys: names ?? null }],
        });
        return results.flatMap((result) => {
          throwIf(result.errorCode, says, result.errorMessage);
          return result.configs.map(settingOf);
        });
      },
      broker,
    );
  }

  /** Changes the settings named and leaves the others; in a cluster some brokers may hear of it a moment later. @throws Fault unknownTopic, invalidConfig. */
  async alterSettings(
    owner: SettingsOwner,
    changes: SettingChanges,
    { validateOnly = false }: CheckOnly = {},
  ): Promise<void> {
    const { resourceType, resourceName, broker, says } = wireOwner(owner);
    const configs = alterationsOf(changes);
    await this.#ask(
      `changing the settings of ${says}`,
      async (connection) => {
        const resources = [{ resourceType, resourceName, configs }];
        const { responses } = await connection.request('IncrementalAlterConfigs', { resources, validateOnly });
        for (const result of responses) throwIf(result.errorCode, says, result.errorMessage);
      },
      broker,
    );
  }

  async describeCluster(): Promise<ClusterDescription> {
    return this.#cluster.retrying('describing the cluster', this.#timeoutMs, async () => {
      const { clusterId, controllerId, brokers } = await this.#cluster.askMetadata([]);
      return { clusterId, controllerId, brokers: [...brokers.values()].sort((a, b) => a.id - b.id) };
    });
  }

  /** The folders in which brokers keep records, with the bytes of each partition; default those of all brokers. */
  async logDirs(brokers?: readonly number[]): Promise<LogDir[]> {
    const ids = brokers ?? (await this.describeCluster()).brokers.map((broker) => broker.id);
    const dirs: LogDir[] = [];
    for (const id of ids) {
      const ask = (connection: Connection): Promise<Messages['DescribeLogDirs']['response']> =>
        connection.request('DescribeLogDirs', { topics: null });
      const response = await this.#ask(`describing the log folders of broker ${id}`, ask, id);
      throwIf(response.errorCode, `broker ${id}`);
      dirs.push(...response.results.map((result) => logDirOf(id, result)));
    }
    return dirs;
  }

  /**
   * The files of a partition, and where in them an offset lies. Told by Millrace alone.
   * @throws Fault notSupportedByBroker by Apache Kafka; unknownTopic, invalidArgument, offsetOutOfRange.
   */
  async segments(
    name: string,
    partition: number,
    { offset = -1 }: { offset?: number } = {},
  ): Promise<SegmentsOfPartition> {
    return this.#cluster.retrying(`describing segments of topic ${name}`, this.#timeoutMs, async () => {
      const topic = await topicWith(this.#cluster, name, [partition], this.#search(0));
      const connection = await this.#cluster.connection(partitionOf(topic, partition).leader, 'admin');
      return askSegments(connection, name, partition, offset);
    });
  }

  /** Any API of the protocol, as it is: of the broker named, or else of the controller. @throws Fault notSupportedByBroker and others. */
  async request<A extends ApiName>(
    api: A,
    message: Draft<Messages[A]['request']>,
    { broker, versionMax }: { broker?: number; versionMax?: number } = {},
  ): Promise<Messages[A]['response']> {
    return this.#ask(api, (connection) => connection.request(api, message, { versionMax }), broker);
  }

  #search(unknownMs: number): { timeoutMs: number; unknownMs: number; autoCreate: false } {
    return { timeoutMs: this.#timeoutMs, unknownMs, autoCreate: false };
  }

  /** Of the broker named, or else of the controller, which a broker with no other duty is in a cluster that needs none. */
  #ask<R>(what: string, ask: (connection: Connection) => Promise<R>, broker?: number): Promise<R> {
    return this.#cluster.retrying(what, this.#timeoutMs, async () => {
      if (this.#cluster.brokers.size === 0) await this.#cluster.askMetadata([]);
      const connection = await this.#cluster.connection(broker ?? this.#cluster.controllerId, 'admin');
      return ask(connection);
    });
  }
}

/** An unknown topic is not looked for again: who administers it should hear so at once. */
function throwIf(errorCode: number, what: string, said?: string | null): void {
  const fault = faultFromKafka(errorCode, saidOf(what, said));
  if (fault?.fault === 'unknownPartition' && what.startsWith('topic')) {
    throw new Fault('unknownTopic', { detail: what });
  }
  if (fault !== null) throw fault;
}
