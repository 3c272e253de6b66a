import type { Uuid } from '../base/random.ts';
import type { KnownSetBacks } from '../base/set-backs.ts';
import type { Leap } from '../base/steady-time.ts';
import type { Fold } from '../ledger/ledger.ts';
import { checkClusterEvent } from './stored-cluster-event.ts';

/** A topic as the ledger keeps it. */
export interface TopicRecord {
  readonly id: Uuid;
  readonly name: string;
  readonly partitions: number;
  /** What its creator asked for. One broker has one replica, but tools expect to read back what they said. */
  readonly replicationFactor: number;
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * What is durably there when the event is, so that it is lost if a later start does not find it: the folders of all partitions
 * that the ledger knows by then, and the groups' ledger; or only that.
 */
export type Made = 'all' | 'groups';

/** What the next start must know of a clock that is wrong, or was. */
export interface ClockFacts {
  readonly leap?: Leap | null;
  readonly setBacks?: KnownSetBacks | null;
}

export type ClusterEvent =
  | ({ readonly type: 'started'; readonly epoch: number; readonly made?: Made } & ClockFacts)
  | ({ readonly type: 'stopped'; readonly made?: Made } & ClockFacts)
  /** `made`: the folders of so many of its partitions are durably there; of a ledger that was written again. */
  | ({ readonly type: 'topic'; readonly made?: number } & TopicRecord)
  | { readonly type: 'topicDeleted'; readonly id: Uuid }
  | { readonly type: 'brokerSetting'; readonly name: string; readonly value: string | null }
  /** All settings of a group's own; none when empty. */
  | {
      readonly type: 'groupSettings';
      readonly group: string;
      readonly settings: Readonly<Record<string, string>>;
    }
  | { readonly type: 'producerIds'; readonly next: number };

/** What the cluster ledger's events make: topics, changed settings, the leader epoch, and which producer ids are given out. */
export class ClusterState implements Fold<ClusterEvent> {
  readonly topics = new Map<Uuid, TopicRecord>();
  /** Of how many of a topic's partitions the folders are known to be durably there. */
  readonly partitionsMade = new Map<Uuid, number>();
  /** Whether the groups' ledger is known to be durably there. */
  groupsMade = false;
  /** Partitions of all topics. */
  partitions = 0;
  readonly brokerSettings: Map<string, string>;
  readonly groupSettings = new Map<string, Readonly<Record<string, string>>>();
  /** Deleted topics of which files may be left. */
  readonly deletedTopics = new Set<Uuid>();
  /** The leader epoch; -1 before the first start. */
  epoch = -1;
  stoppedCleanly = true;
  /** Of the clock, if it was not believed at the last start or clean stop. */
  leap: Leap | null = null;
  setBacks: KnownSetBacks | null = null;
  producerIdNext = 0;
  readonly #idByMetricName = new Map<string, Uuid>();

  constructor(brokerSettings: Map<string, string>) {
    this.brokerSettings = brokerSettings;
  }

  check(event: ClusterEvent): void {
    checkClusterEvent(event, this);
  }

  apply(event: ClusterEvent): void {
    switch (event.type) {
      case 'started':
        this.epoch = event.epoch;
        this.stoppedCleanly = false;
        this.#noteClock(event);
        this.#noteMade(event.made);
        return;
      case 'stopped':
        this.stoppedCleanly = true;
        this.#noteClock(event);
        this.#noteMade(event.made);
        return;
      case 'topic': {
        const { type: _, made, ...record } = event;
        if (made !== undefined) this.partitionsMade.set(record.id, made);
        this.#count(record.id, -1);
        this.topics.set(record.id, record);
        this.#count(record.id, 1);
        this.#idByMetricName.set(metricName(record.name), record.id);
        return;
      }
      case 'topicDeleted':
        this.#count(event.id, -1);
        this.#forgetName(event.id);
        this.topics.delete(event.id);
        this.partitionsMade.delete(event.id);
        this.deletedTopics.add(event.id);
        return;
      case 'brokerSetting':
        if (event.value === null) this.brokerSettings.delete(event.name);
        else this.brokerSettings.set(event.name, event.value);
        return;
      case 'groupSettings':
        if (Object.keys(event.settings).length === 0) this.groupSettings.delete(event.group);
        else this.groupSettings.set(event.group, event.settings);
        return;
      case 'producerIds':
        this.producerIdNext = event.next;
        return;
    }
  }

  *live(): Generator<ClusterEvent> {
    const { epoch, leap, setBacks } = this;
    yield { type: 'started', epoch, leap, setBacks, ...(this.groupsMade && { made: 'groups' }) };
    if (this.stoppedCleanly) yield { type: 'stopped', leap, setBacks };
    yield { type: 'producerIds', next: this.producerIdNext };
    for (const [name, value] of this.brokerSettings) yield { type: 'brokerSetting', name, value };
    for (const [group, settings] of this.groupSettings) yield { type: 'groupSettings', group, settings };
    for (const record of this.topics.values()) {
      const made = this.partitionsMade.get(record.id);
      yield { type: 'topic', ...record, ...(made !== undefined && { made }) };
    }
    for (const id of this.deletedTopics) yield { type: 'topicDeleted', id };
  }

  /** The topic of this name, or of one that Kafka's metrics could not tell from it. */
  collidingWith(name: string): TopicRecord | null {
    const id = this.#idByMetricName.get(metricName(name));
    return id === undefined ? null : this.topics.get(id)!;
  }

  #noteMade(made: Made | undefined): void {
    if (made === undefined) return;
    this.groupsMade = true;
    if (made === 'groups') return;
    for (const { id, partitions } of this.topics.values()) this.partitionsMade.set(id, partitions);
  }

  #noteClock(event: ClockFacts): void {
    this.leap = event.leap ?? null;
    this.setBacks = event.setBacks ?? null;
  }

  #forgetName(id: Uuid): void {
    const record = this.topics.get(id);
    if (record !== undefined && this.collidingWith(record.name)?.id === id) {
      this.#idByMetricName.delete(metricName(record.name));
    }
  }

  #count(id: Uuid, sign: 1 | -1): void {
    this.partitions += sign * (this.topics.get(id)?.partitions ?? 0);
  }
}

/** Kafka's rule: names that differ only in '.' and '_' are one name to metrics. */
function metricName(name: string): string {
  return name.replaceAll('.', '_');
}
