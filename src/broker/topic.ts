import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Uuid } from '../base/random.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { BrokerSettings, SettingSource } from './broker-settings.ts';
import type { TopicRecord } from './cluster-state.ts';
import { resolveTopicSettings, type TopicSettingName, type TopicSettings } from './topic-settings.ts';

/** A topic that is served: its record, its settings as they apply, and its partitions' logs. */
export class Topic {
  readonly id: Uuid;
  readonly name: string;
  readonly partitions: PartitionLog[] = [];
  record: TopicRecord;
  settings: TopicSettings;
  readonly #brokerSettings: BrokerSettings;

  constructor(record: TopicRecord, brokerSettings: BrokerSettings) {
    this.id = record.id;
    this.name = record.name;
    this.record = record;
    this.#brokerSettings = brokerSettings;
    this.settings = this.#resolve();
  }

  /** @throws Fault unknownPartition */
  partition(index: number): PartitionLog {
    const log = this.partitions[index];
    if (log === undefined) throw new Fault('unknownPartition', { detail: `${this.name}-${index}` });
    return log;
  }

  /** A setting as it applies, and where its value comes from. */
  setting(name: TopicSettingName): { value: string; source: SettingSource } {
    const own = this.record.settings[name];
    return own === undefined ? this.inherited(name)[0]! : { value: own, source: 'topic' };
  }

  /** What would apply if the topic did not say, by what overrides what. */
  inherited(name: TopicSettingName): ReturnType<BrokerSettings['forTopic']> {
    return this.#brokerSettings.forTopic(name);
  }

  /** Takes over what changed in the record or in the broker's settings. */
  refresh(record = this.record): void {
    this.record = record;
    this.settings = this.#resolve();
    for (const log of this.partitions) log.changeSettings(this.settings.log);
  }

  #resolve(): TopicSettings {
    return resolveTopicSettings((name) => this.setting(name).value);
  }
}

export function isTopicName(name: string): boolean {
  const legal = /^[a-zA-Z0-9._-]+$/.test(name) && name !== '.' && name !== '..';
  return legal && name.length <= limits.topicNameCharactersMax;
}

/** @throws Fault invalidTopicName */
export function checkTopicName(name: string): void {
  if (!isTopicName(name)) {
    throw new Fault('invalidTopicName', { detail: JSON.stringify(name.slice(0, 260)) });
  }
}
