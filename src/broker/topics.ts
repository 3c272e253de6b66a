import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { type Random, randomUuid, type Uuid } from '../base/random.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type LogContext, PartitionLog } from '../log/partition-log.ts';
import type { BrokerSettings } from './broker-settings.ts';
import type { ClusterEvent, ClusterState, TopicRecord } from './cluster-state.ts';
import { checkTopicName, collides, Topic } from './topic.ts';
import { checkTopicSetting } from './topic-settings.ts';

/** Partitions opened or made at once: enough to keep the disk busy, few enough for its queue. */
const OPENINGS_AT_ONCE = 16;

export interface NewTopic {
  readonly name: string;
  /** -1 for the broker's num.partitions. */
  readonly partitions: number;
  /** -1 for the broker's default.replication.factor. Any is accepted and kept; there is one replica. */
  readonly replicationFactor: number;
  readonly settings: ReadonlyMap<string, string | null>;
}

/** The topics of a broker. Every change is an event in the cluster ledger first, and takes place when that is durable. */
export class Topics {
  readonly #state: ClusterState;
  readonly #ledger: Ledger<ClusterEvent>;
  readonly #context: LogContext;
  readonly #settings: BrokerSettings;
  readonly #random: Random;
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<Uuid, Topic>();
  readonly #openings = new Semaphore(OPENINGS_AT_ONCE);
  readonly #creations = new Map<string, Promise<Topic>>();
  /** Deletions whose files are still being removed. */
  readonly #removals = new Set<Promise<void>>();

  constructor(
    state: ClusterState,
    ledger: Ledger<ClusterEvent>,
    context: LogContext,
    settings: BrokerSettings,
    random: Random,
  ) {
    this.#state = state;
    this.#ledger = ledger;
    this.#context = context;
    this.#settings = settings;
    this.#random = random;
  }

  /** Opens every topic that the ledger knows, and removes what a crash left of deleted ones. */
  async open(): Promise<void> {
    const { disk, logger } = this.#context;
    for (const folder of await disk.list('topics')) {
      if (this.#state.deletedTopics.has(folder)) await disk.removeFolder(`topics/${folder}`);
      else if (!this.#state.topics.has(folder))
        logger.warn({ folder }, 'a topic folder that no topic owns is left alone');
    }
    await Promise.all(Array.from(this.#state.topics.values(), (record) => this.#serve(record)));
  }

  [Symbol.iterator](): IterableIterator<Topic> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }

  find(name: string): Topic | null {
    return this.#byName.get(name) ?? null;
  }

  findById(id: Uuid): Topic | null {
    return this.#byId.get(id) ?? null;
  }

  /** @throws Fault unknownPartition */
  get(name: string): Topic {
    const topic = this.#byName.get(name);
    if (topic === undefined) throw new Fault('unknownPartition', { detail: JSON.stringify(name) });
    return topic;
  }

  /** @throws Fault unknownTopicId */
  getById(id: Uuid): Topic {
    const topic = this.#byId.get(id);
    if (topic === undefined) throw new Fault('unknownTopicId', { detail: id });
    return topic;
  }

  /** What `create` would make. @throws Fault invalidTopicName, topicExists, invalidPartitions, invalidConfig, … */
  plan(topic: NewTopic): TopicRecord {
    checkTopicName(topic.name);
    const existing = Array.from(this.#state.topics.values()).find(({ name }) => collides(name, topic.name));
    if (existing?.name === topic.name) throw new Fault('topicExists', { detail: topic.name });
    if (existing !== undefined) {
      throw new Fault('invalidTopicName', {
        detail: `${topic.name} differs from ${existing.name} only in "." and "_"`,
      });
    }
    const partitions = topic.partitions === -1 ? this.#settings.number('num.partitions') : topic.partitions;
    this.#checkPartitions(partitions, partitions);
    const { replicationFactor } = topic;
    if (replicationFactor !== -1 && replicationFactor < 1) {
      throw new Fault('invalidReplicationFactor', { detail: String(replicationFactor) });
    }
    const settings: Record<string, string> = {};
    for (const [name, value] of topic.settings) {
      checkTopicSetting(name, value);
      settings[name] = value!;
    }
    return {
      id: randomUuid(this.#random),
      name: topic.name,
      partitions,
      replicationFactor:
        replicationFactor === -1 ? this.#settings.number('default.replication.factor') : replicationFactor,
      settings,
    };
  }

  /** Makes a topic; resolves when it is durable and served. @throws Fault as `plan` does */
  async create(topic: NewTopic): Promise<Topic> {
    const record = await this.#ledger.change(() => {
      const planned = this.plan(topic);
      return { events: [{ type: 'topic', ...planned }], result: planned };
    });
    return this.#serve(record);
  }

  /** A topic that a client asked for by name and may not exist yet; several who ask at once get the one that is made. */
  async findOrCreate(name: string): Promise<Topic> {
    const existing = this.#byName.get(name);
    if (existing !== undefined) return existing;
    let creation = this.#creations.get(name);
    if (creation === undefined) {
      creation = this.create({ name, partitions: -1, replicationFactor: -1, settings: new Map() });
      this.#creations.set(name, creation);
      const forget = (): boolean => this.#creations.delete(name);
      creation.then(forget, forget);
    }
    return creation;
  }

  /** Resolves when the deletion is durable; the files go in the background. @throws Fault unknownPartition */
  async delete(name: string): Promise<Topic> {
    const topic = await this.#ledger.change(() => {
      const { id } = this.#known(name);
      return { events: [{ type: 'topicDeleted', id }], result: this.getById(id) };
    });
    this.#byName.delete(name);
    this.#byId.delete(topic.id);
    const removal = this.#removeFiles(topic);
    this.#removals.add(removal);
    void removal.finally(() => this.#removals.delete(removal));
    return topic;
  }

  /** Raises a topic's number of partitions. @throws Fault unknownPartition, invalidPartitions */
  async addPartitions(name: string, partitions: number, validateOnly: boolean): Promise<void> {
    const check = (): TopicRecord => {
      const record = this.#known(name);
      if (partitions <= record.partitions) {
        throw new Fault('invalidPartitions', { detail: `${name} has ${record.partitions}; it can only get more` });
      }
      this.#checkPartitions(partitions, partitions - record.partitions);
      return { ...record, partitions };
    };
    if (validateOnly) {
      check();
      return;
    }
    const record = await this.#ledger.change(() => {
      const changed = check();
      return { events: [{ type: 'topic', ...changed }], result: changed };
    });
    await this.#serve(record);
  }

  /** Sets (or with null, unsets) settings of a topic. @throws Fault unknownPartition, invalidConfig */
  async changeSettings(
    name: string,
    change: (own: Readonly<Record<string, string>>) => Record<string, string>,
  ): Promise<void> {
    const record = await this.#ledger.change(() => {
      const before = this.#known(name);
      const changed = { ...before, settings: change(before.settings) };
      return { events: [{ type: 'topic', ...changed }], result: changed };
    });
    this.get(name).refresh(record);
  }

  /** Makes a change of the broker's settings felt by the topics that inherit them. */
  refresh(): void {
    for (const topic of this) topic.refresh();
  }

  abort(fault: Fault): void {
    for (const topic of this) for (const log of topic.partitions) log.abort(fault);
  }

  async close(): Promise<void> {
    const logs = Array.from(this).flatMap((topic) => topic.partitions);
    await Promise.all(logs.map((log) => this.#openings.run(() => log.close())));
    await Promise.all(this.#removals);
  }

  /** A topic's record as the ledger has it now, which is ahead of what is served while a change takes place. */
  #known(name: string): TopicRecord {
    const record = this.#state.topics.get(this.get(name).id);
    if (record === undefined) throw new Fault('unknownPartition', { detail: JSON.stringify(name) });
    return record;
  }

  #checkPartitions(partitions: number, added: number): void {
    if (!(partitions >= 1 && partitions <= limits.topicPartitionsMax)) {
      throw new Fault('invalidPartitions', { detail: `${partitions} is not within 1 to ${limits.topicPartitionsMax}` });
    }
    let total = added;
    for (const record of this.#state.topics.values()) total += record.partitions;
    if (total > limits.partitionsMax) {
      throw new Fault('policyViolation', {
        detail: `the broker would have ${total} partitions; ${limits.partitionsMax} is the limit`,
      });
    }
  }

  /** Opens the partitions that a topic's record has and that are not open yet, then shows the topic to clients. */
  async #serve(record: TopicRecord): Promise<Topic> {
    const topic = this.#byId.get(record.id) ?? new Topic(record, this.#settings);
    const missing = Array.from(
      { length: record.partitions - topic.partitions.length },
      (_, i) => topic.partitions.length + i,
    );
    const logs = await Promise.all(
      missing.map((index) =>
        this.#openings.run(() =>
          PartitionLog.open(`topics/${record.id}/${index}`, this.#context, topic.settings.log, this.#state.epoch),
        ),
      ),
    );
    topic.partitions.push(...logs);
    topic.refresh(record);
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
    return topic;
  }

  async #removeFiles(topic: Topic): Promise<void> {
    const { disk, logger } = this.#context;
    const deleted = new Fault('unknownPartition', { detail: `${topic.name} was deleted` });
    for (const log of topic.partitions) log.abort(deleted);
    await Promise.all(topic.partitions.map((log) => log.close()));
    await disk.removeFolder(`topics/${topic.id}`).catch((err) => {
      logger.warn(
        { err, topic: topic.name },
        "a deleted topic's files could not be removed; the next start tries again",
      );
    });
  }
}
