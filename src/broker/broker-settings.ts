import { Fault } from '../base/faults.ts';
import {
  checkSetting,
  isTopicSetting,
  type SettingSpec,
  type TopicSettingName,
  topicSettingSpecs,
} from './topic-settings.ts';

/** The broker's own settings, by Kafka's names. Those that topics inherit are added from the topics' table. */
const ownSpecs = {
  'auto.create.topics.enable': {
    type: 'boolean',
    default: 'true',
    says: 'Whether a topic is made when a client asks for it.',
  },
  'connections.max.idle.ms': {
    type: 'long',
    default: '600000',
    min: -1,
    says: 'How long a connection may be idle before it is closed, which clients expect; -1: for ever.',
  },
  'default.replication.factor': {
    type: 'int',
    default: '1',
    min: 1,
    says: 'Kept for tools. One broker has one replica.',
  },
  'group.consumer.assignment.interval.ms': {
    type: 'int',
    default: '0',
    min: 0,
    says: 'How long a target of the new protocol stands before the next change of the group makes another. Kafka waits 1000.',
  },
  'group.consumer.assignors': {
    type: 'list',
    default: 'uniform,range',
    oneOf: ['uniform', 'range'],
    says: 'The assignors of the new protocol; the first is what a group has whose members name none.',
  },
  'group.consumer.heartbeat.interval.ms': {
    type: 'int',
    default: '1000',
    min: 1,
    says: 'How often members of the new protocol send a heartbeat, where the group does not say: how soon they hear of a rebalance. Kafka has 5000.',
  },
  'group.consumer.max.assignment.interval.ms': {
    type: 'int',
    default: '15000',
    min: 0,
    says: 'The longest that a target of the new protocol may be made to stand.',
  },
  'group.consumer.max.heartbeat.interval.ms': {
    type: 'int',
    default: '15000',
    min: 1,
    says: 'The longest heartbeat interval that a group of the new protocol may have.',
  },
  'group.consumer.max.session.timeout.ms': {
    type: 'int',
    default: '60000',
    min: 1,
    says: 'The longest session timeout that a group of the new protocol may have.',
  },
  'group.consumer.max.size': {
    type: 'int',
    default: '2147483647',
    min: 1,
    says: 'The most members that a group of the new protocol may have.',
  },
  'group.consumer.migration.policy': {
    type: 'string',
    default: 'bidirectional',
    oneOf: ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    says: 'Whether a group with members may go from the classic protocol to the new one, and back.',
  },
  'group.consumer.min.assignment.interval.ms': {
    type: 'int',
    default: '0',
    min: 0,
    says: 'The shortest that a target of the new protocol may be made to stand.',
  },
  'group.consumer.min.heartbeat.interval.ms': {
    type: 'int',
    default: '500',
    min: 1,
    says: 'The shortest heartbeat interval that a group of the new protocol may have. Kafka has 5000.',
  },
  'group.consumer.min.session.timeout.ms': {
    type: 'int',
    default: '45000',
    min: 1,
    says: 'The shortest session timeout that a group of the new protocol may have.',
  },
  'group.consumer.session.timeout.ms': {
    type: 'int',
    default: '45000',
    min: 1,
    says: 'How long a member of the new protocol may be silent, where the group does not say.',
  },
  'group.initial.rebalance.delay.ms': {
    type: 'int',
    default: '100',
    min: 0,
    says: 'How long the first members of an empty group wait for others. Kafka waits 3000.',
  },
  'group.max.session.timeout.ms': {
    type: 'int',
    default: '1800000',
    min: 1,
    says: 'The longest session timeout that a member may ask for.',
  },
  'group.max.size': { type: 'int', default: '2147483647', min: 1, says: 'The most members that a group may have.' },
  'group.min.session.timeout.ms': {
    type: 'int',
    default: '6000',
    min: 1,
    says: 'The shortest session timeout that a member may ask for.',
  },
  'log.cleaner.backoff.ms': {
    type: 'long',
    default: '15000',
    min: 0,
    says: 'How long to wait, when there is nothing to compact, before looking again.',
  },
  'log.cleaner.dedupe.buffer.size': {
    type: 'long',
    default: '33554432',
    min: 0,
    says: 'Memory for the keys of one pass of compaction, 27 bytes each; when it is full the next pass goes on. Kafka has 134217728.',
  },
  'log.cleaner.enable': { type: 'boolean', default: 'true', says: 'Whether compacted topics are compacted.' },
  'log.cleaner.io.max.bytes.per.second': {
    type: 'double',
    default: '1.7976931348623157E308',
    min: 1,
    says: 'Bytes that compaction may read and write in a second.',
  },
  'log.initial.task.delay.ms': {
    type: 'long',
    default: '30000',
    min: 0,
    says: 'How long after its start a broker first looks for segments that are over their limits.',
  },
  'log.retention.check.interval.ms': {
    type: 'long',
    default: '300000',
    min: 1,
    says: 'How often segments are looked for that are over their limits.',
  },
  'max.connections': {
    type: 'int',
    default: '10000',
    min: 0,
    max: 10_000,
    says: 'Connections of clients; further ones are turned away. Kafka has 2147483647.',
  },
  'num.partitions': {
    type: 'int',
    default: '1',
    min: 1,
    max: 10_000,
    says: 'Partitions of a topic that does not say.',
  },
  'offset.metadata.max.bytes': {
    type: 'int',
    default: '4096',
    min: 0,
    says: 'The longest metadata of a committed offset, in characters.',
  },
  'offsets.retention.check.interval.ms': {
    type: 'long',
    default: '600000',
    min: 1,
    says: 'How often committed offsets that have expired are looked for.',
  },
  'offsets.retention.minutes': {
    type: 'int',
    default: '10080',
    min: 1,
    says: 'How long the broker must have run since a group used an offset until that is removed.',
  },
  'producer.id.expiration.ms': {
    type: 'int',
    default: '86400000',
    min: 1,
    says: 'How long a partition remembers a silent idempotent producer.',
  },
} as const satisfies Record<string, SettingSpec>;

const inheritedSpecs = new Map<string, { topicName: TopicSettingName; spec: SettingSpec }>();
const brokerNameOf = new Map<TopicSettingName, string>();
for (const [name, spec] of Object.entries<SettingSpec>(topicSettingSpecs)) {
  if (spec.brokerName === undefined) continue;
  inheritedSpecs.set(spec.brokerName, { topicName: name as TopicSettingName, spec });
  brokerNameOf.set(name as TopicSettingName, spec.brokerName);
}

export type OwnSettingName = keyof typeof ownSpecs;
export type SettingSource = 'topic' | 'group' | 'broker' | 'start' | 'default';

export const brokerSettingSpecs: ReadonlyMap<string, SettingSpec> = new Map<string, SettingSpec>([
  ...Object.entries<SettingSpec>(ownSpecs),
  ...Array.from(inheritedSpecs, ([name, { spec }]): [string, SettingSpec] => [name, spec]),
]);

export function isBrokerSetting(name: string): boolean {
  return brokerSettingSpecs.has(name);
}

/** @throws Fault invalidConfig when there is no such setting or it cannot have this value */
export function checkBrokerSetting(name: string, value: string | null): void {
  const spec = brokerSettingSpecs.get(name);
  if (spec === undefined) throw new Fault('invalidConfig', { detail: `unknown broker setting ${name}` });
  checkSetting(name, spec, value);
}

/** The broker's settings: those given at its start, under those changed while it ran (which are kept in the ledger). */
export class BrokerSettings {
  readonly #atStart: ReadonlyMap<string, string>;
  readonly changed = new Map<string, string>();

  /** @throws Fault invalidConfig */
  constructor(atStart: Readonly<Record<string, string>>) {
    this.#atStart = new Map(Object.entries(atStart));
    for (const [name, value] of this.#atStart) checkBrokerSetting(name, value);
  }

  /** A setting's values by what overrides what: the first applies. */
  steps(name: string): { name: string; value: string; source: Exclude<SettingSource, 'topic' | 'group'> }[] {
    const changed = this.changed.get(name);
    const atStart = this.#atStart.get(name);
    return [
      ...(changed === undefined ? [] : [{ name, value: changed, source: 'broker' as const }]),
      ...(atStart === undefined ? [] : [{ name, value: atStart, source: 'start' as const }]),
      { name, value: brokerSettingSpecs.get(name)!.default, source: 'default' as const },
    ];
  }

  value(name: string): string {
    return this.changed.get(name) ?? this.#atStart.get(name) ?? brokerSettingSpecs.get(name)!.default;
  }

  number(name: OwnSettingName): number {
    return Number(this.value(name));
  }

  flag(name: OwnSettingName): boolean {
    return this.value(name).toLowerCase() === 'true';
  }

  /** What a topic that does not say has, by what overrides what: the first applies. */
  forTopic(
    name: TopicSettingName,
  ): { name: string; value: string; source: Exclude<SettingSource, 'topic' | 'group'> }[] {
    const brokerName = brokerNameOf.get(name);
    return brokerName === undefined
      ? [{ name, value: topicSettingSpecs[name].default, source: 'default' }]
      : this.steps(brokerName);
  }
}

/** Whether a setting of a topic or of the broker is a list, which words may be added to and taken from. */
export function isListSetting(name: string): boolean {
  const spec: SettingSpec | undefined = isTopicSetting(name) ? topicSettingSpecs[name] : brokerSettingSpecs.get(name);
  return spec?.type === 'list';
}
