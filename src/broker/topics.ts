import { Fault, isFault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { loggerWith } from '../base/logger.ts';
import { type Random, randomUuid, type Uuid } from '../base/random.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LogContext } from '../log/log-context.ts';
import { PartitionLog } from '../log/partition-log.ts';
import type { BrokerSettings } from './broker-settings.ts';
import type { ClusterEvent, ClusterState, TopicRecord } from './cluster-state.ts';
import { checkPartitionFolders, tellOfAcceptedLoss } from './lost-folders.ts';
import { checkTopicName, Topic } from './topic.ts';
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
  /** Openings under way, the last of each topic. */
  readonly #servings = new Map<Uuid, Promise<Topic>>();
  /** Topics of the ledger that could not be opened when they were made: their makers were told so. */
  readonly #unserved = new Set<Uuid>();
  /** Topics that a start on a full disk could not open. */
  readonly #late = new Set<Uuid>();
  /** Deletions whose files are still being removed. */
  readonly #removals = new Set<Promise<void>>();
  #onDeleted: (topic: Topic) => void = () => {};
  #version = 0;
  #stopped: Fault | null = null;

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

  /**
   * Opens every topic that the ledger knows, and removes what a crash left of deleted ones. Those for which a full disk has no
   * room, where they have to write something first, are not served before `openLate`. @throws Fault damagedMetadata; before
   * anything is changed when folders of partitions are lost
   */
  async open(): Promise<void> {
    const { disk, logger } = this.#context;
    const { deletedTopics, topics } = this.#state;
    await checkPartitionFolders(this.#context, this.#state);
    await disk.makeFolder('topics');
    for (const folder of await disk.list('topics')) {
      if (deletedTopics.has(folder)) await disk.removeFolder(`topics/${folder}`);
      else if (!topics.has(folder)) logger.warn({ folder }, 'a topic folder that no topic owns is left alone');
    }
    if (deletedTopics.size > 0) await disk.syncFolder('topics');
    deletedTopics.clear();
    await allOf(Array.from(topics.keys(), (id) => this.#serveIfThereIsRoom(id)));
    const { quarantined } = this;
    if (quarantined.places > 0) {
      logger.warn(quarantined, 'stored records are damaged; millrace offsets <topic> --segments shows which');
    }
  }

  /** Whether `open`, or `openLate` after it, had room for all. */
  get areAllOpen(): boolean {
    return this.#late.size === 0;
  }

  /** Whether the folders of all partitions that the ledger knows by now are durably there. */
  get areAllMade(): boolean {
    const records = Array.from(this.#state.topics.values());
    return records.every(({ id, partitions }) => this.#byId.get(id)?.partitions.length === partitions);
  }

  /** Opens what `open` had no room for. @throws Fault diskFull when there still is none */
  async openLate(): Promise<void> {
    for (const id of this.#late) {
      if (this.#state.topics.has(id)) await this.#serve(id);
      this.#late.delete(id);
    }
  }

  async #serveIfThereIsRoom(id: Uuid): Promise<void> {
    try {
      await this.#serve(id);
    } catch (err) {
      if (!isFault(err, 'diskFull')) throw err;
      this.#late.add(id);
      const { name } = this.#state.topics.get(id)!;
      this.#context.logger.warn(
        { err, topic: name },
        'the disk is full: a topic is not served until there is room for its files',
      );
    }
  }

  /** `listener` is told of each topic that is deleted, when nobody can find it any more. */
  whenDeleted(listener: (topic: Topic) => void): void {
    this.#onDeleted = listener;
  }

  [Symbol.iterator](): IterableIterator<Topic> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }

  /** The damage found so far in what is stored: in how many partitions, at how many places, of how many bytes. */
  get quarantined(): { partitions: number; places: number; bytes: number } {
    const logs = Array.from(this).flatMap((topic) => topic.partitions);
    const damaged = logs.filter((log) => log.reader.quarantine.places.length > 0);
    const places = damaged.flatMap((log) => log.reader.quarantine.places);
    const bytes = places.reduce((sum, place) => sum + place.bytes, 0);
    return { partitions: damaged.length, places: places.length, bytes };
  }

  /** Another number after every topic that was made, deleted or got partitions. */
  get version(): number {
    return this.#version;
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

  /** What `create` would make. @throws Fault invalidTopicName, topicNameCollides, topicExists, invalidPartitions, invalidConfig, … */
  plan(topic: NewTopic): TopicRecord {
    checkTopicName(topic.name);
    const existing = this.#state.collidingWith(topic.name);
    const taken = existing !== null && !this.#unserved.has(existing.id);
    if (taken && existing.name === topic.name) throw new Fault('topicExists', { detail: topic.name });
    if (taken) {
      throw new Fault('topicNameCollides', { detail: `${topic.name}, and there is ${existing.name}` });
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
    const { id, unserved } = await this.#ledger.change(() => {
      const planned = this.plan(topic);
      // The plan is good, so what has the name is one that could not be opened.
      const unserved = this.#state.collidingWith(topic.name);
      const events: ClusterEvent[] = unserved === null ? [] : [{ type: 'topicDeleted', id: unserved.id }];
      return { events: [...events, { type: 'topic', ...planned }], result: { id: planned.id, unserved } };
    });
    if (unserved !== null) this.#remove(unserved.id, []);
    try {
      return await this.#serve(id);
    } catch (error) {
      await this.#withdraw(id);
      throw error;
    }
  }

  /** A topic that a client asked for by name and may not exist yet; several who ask at once get the one that is made. */
  async findOrCreate(name: string): Promise<Topic> {
    const existing = this.#byName.get(name);
    if (existing !== undefined) return existing;
    let creation = this.#creations.get(name);
    if (creation === undefined) {
      creation = this.#createOrAwait(name);
      this.#creations.set(name, creation);
      const forget = (): boolean => this.#creations.delete(name);
      creation.then(forget, forget);
    }
    return creation;
  }

  async #createOrAwait(name: string): Promise<Topic> {
    try {
      return await this.create({ name, partitions: -1, replicationFactor: -1, settings: new Map() });
    } catch (error) {
      if (!(error instanceof Fault && error.fault === 'topicExists')) throw error;
      // Another client makes it by its own wish at this moment.
      const made = this.#state.collidingWith(name);
      return (made && this.#servings.get(made.id)) ?? this.get(name);
    }
  }

  /** Resolves when the deletion is durable; the files go in the background. @throws Fault unknownPartition */
  async delete(name: string): Promise<Topic> {
    const topic = await this.#ledger.change(() => {
      const { id } = this.#known(name);
      return { events: [{ type: 'topicDeleted', id }], result: this.getById(id) };
    });
    this.#byName.delete(name);
    this.#byId.delete(topic.id);
    this.#version++;
    this.#remove(topic.id, topic.partitions);
    this.#onDeleted(topic);
    return topic;
  }

  /** Raises a topic's number of partitions. @throws Fault unknownPartition, invalidPartitions */
  async addPartitions(name: string, partitions: number, validateOnly: boolean): Promise<void> {
    const check = (): TopicRecord => {
      const record = this.#known(name);
      // Fewer than the record has are served when an earlier attempt could not open them.
      const served = this.#servings.has(record.id) ? record.partitions : this.get(name).partitions.length;
      if (partitions <= served || partitions < record.partitions) {
        throw new Fault('invalidPartitions', { detail: `${name} has ${record.partitions}; it can only get more` });
      }
      this.#checkPartitions(partitions, partitions - record.partitions);
      return { ...record, partitions };
    };
    if (validateOnly) {
      check();
      return;
    }
    const { id } = await this.#ledger.change(() => {
      const changed = check();
      return { events: [{ type: 'topic', ...changed }], result: changed };
    });
    await this.#serve(id);
  }

  /** Sets (or with null, unsets) settings of a topic. @throws Fault unknownPartition, invalidConfig */
  async changeSettings(
    name: string,
    change: (own: Readonly<Record<string, string>>) => Record<string, string>,
  ): Promise<void> {
    const { id } = await this.#ledger.change(() => {
      const before = this.#known(name);
      const changed = { ...before, settings: change(before.settings) };
      return { events: [{ type: 'topic', ...changed }], result: changed };
    });
    // As the ledger has it by now: this change may have been followed by others.
    this.#byId.get(id)?.refresh(this.#state.topics.get(id));
  }

  /** Makes a change of the broker's settings felt by the topics that inherit them. */
  refresh(): void {
    for (const topic of this) topic.refresh();
  }

  /** Ends at once, after a fatal failure; `close` is still to be called. */
  abort(fault: Fault): void {
    this.#stopped ??= fault;
    for (const topic of this) for (const log of topic.partitions) log.abort(fault);
  }

  /** Closes every partition, whatever becomes of the others. @throws Fault the first failure */
  async close(): Promise<void> {
    this.#stopped ??= new Fault('brokerStopped');
    await Promise.allSettled(this.#servings.values());
    const logs = Array.from(this).flatMap((topic) => topic.partitions);
    await allOf([...logs.map((log) => this.#openings.run(() => log.close())), ...this.#removals]);
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
    const total = this.#state.partitions + added;
    if (total > limits.partitionsMax) {
      throw new Fault('policyViolation', {
        detail: `the broker would have ${total} partitions; ${limits.partitionsMax} is the limit`,
      });
    }
  }

  /**
   * Opens the partitions that a topic's record has and that are not open yet, then shows the topic to clients. One after the
   * other for a topic, and as its record is then: no partition is ever opened twice.
   */
  #serve(id: Uuid): Promise<Topic> {
    const before = this.#servings.get(id);
    const serving = (before ?? Promise.resolve()).then(
      () => this.#open(id),
      () => this.#open(id),
    );
    this.#servings.set(id, serving);
    const forget = (): void => {
      if (this.#servings.get(id) === serving) this.#servings.delete(id);
    };
    serving.then(forget, forget);
    return serving;
  }

  async #open(id: Uuid): Promise<Topic> {
    const record = this.#state.topics.get(id);
    if (record === undefined) throw new Fault('unknownPartition', { detail: `${id} was deleted` });
    const topic = this.#byId.get(id) ?? new Topic(record, this.#settings);
    const logs: PartitionLog[] = [];
    try {
      await allOf(
        Array.from({ length: record.partitions - topic.partitions.length }, (_, i) =>
          this.#openings.run(async () => {
            if (this.#stopped !== null) throw this.#stopped;
            const partition = topic.partitions.length + i;
            const folder = `topics/${id}/${partition}`;
            const logger = loggerWith(this.#context.logger, { topic: topic.name, partition });
            const context = { ...this.#context, logger };
            if (partition < (this.#state.partitionsMade.get(id) ?? 0)) await tellOfAcceptedLoss(context, folder);
            logs[i] = await PartitionLog.open(folder, context, topic.settings.log, this.#state.epoch);
          }),
        ),
      );
      if (this.#stopped !== null) throw this.#stopped;
    } catch (error) {
      await Promise.allSettled(logs.map((log) => log.close()));
      throw error;
    }
    topic.partitions.push(...logs);
    const current = this.#state.topics.get(id);
    // Deleted meanwhile: whoever deleted it waits for this, and then removes the files.
    if (current === undefined) return topic;
    topic.refresh(current);
    this.#byName.set(topic.name, topic);
    this.#byId.set(id, topic);
    this.#version++;
    return topic;
  }

  /** Takes a topic back that could not be opened. If the ledger cannot be told either, its name is free all the same. */
  async #withdraw(id: Uuid): Promise<void> {
    this.#unserved.add(id);
    try {
      await this.#ledger.change(() => ({
        events: this.#state.topics.has(id) ? [{ type: 'topicDeleted', id }] : [],
        result: undefined,
      }));
      this.#remove(id, []);
    } catch (err) {
      this.#context.logger.warn({ err, id }, 'a topic that could not be opened is still in the ledger');
    }
  }

  /** Removes a deleted topic's files in the background. */
  #remove(id: Uuid, logs: readonly PartitionLog[]): void {
    const { disk, logger } = this.#context;
    const removal = (async () => {
      // Partitions may be on their way to be added.
      await this.#servings.get(id)?.catch(() => {});
      this.#unserved.delete(id);
      const deleted = new Fault('unknownPartition', { detail: 'the topic was deleted' });
      for (const log of logs) log.abort(deleted);
      await allOf(logs.map((log) => log.close()));
      await disk.removeFolder(`topics/${id}`);
      await disk.syncFolder('topics');
      this.#state.deletedTopics.delete(id);
    })().catch((err) => {
      logger.warn({ err, id }, "a deleted topic's files could not be removed; the next start tries again");
    });
    this.#removals.add(removal);
    void removal.finally(() => this.#removals.delete(removal));
  }
}

/** Waits for all of them, whatever becomes of the others. @throws the first failure */
async function allOf(operations: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(operations)) if (outcome.status === 'rejected') throw outcome.reason;
}
