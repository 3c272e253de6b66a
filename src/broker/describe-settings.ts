import type { Broker } from './broker.ts';
import { brokerSettingSpecs, type SettingSource } from './broker-settings.ts';
import { groupSettingSpecs } from './group-settings.ts';
import type { Topic } from './topic.ts';
import { type SettingSpec, type SettingType, type TopicSettingName, topicSettingSpecs } from './topic-settings.ts';

/** Kafka's numbers for where a setting's value comes from. */
const sourceCodes: Record<SettingSource, number> = {
  topic: 1,
  broker: 2,
  start: 4,
  default: 5,
  group: 8,
};

/** Kafka's numbers for types. */
const typeCodes: Record<SettingType, number> = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 };

export interface DescribedSetting {
  readonly name: string;
  readonly value: string;
  readonly readOnly: boolean;
  readonly source: number;
  readonly type: number;
  readonly documentation: string;
  /** The values that would apply one after another if those before were unset; the first is the one that does. */
  readonly synonyms: readonly { name: string; value: string; source: number }[];
}

/** All settings of a topic as they apply. */
export function topicConfigs(topic: Topic): DescribedSetting[] {
  return Object.entries<SettingSpec>(topicSettingSpecs).map(([key, spec]) => {
    const name = key as TopicSettingName;
    const { value, source } = topic.setting(name);
    const synonyms = topic.inherited(name).map((step) => ({ ...step, source: sourceCodes[step.source] }));
    if (source === 'topic') synonyms.unshift({ name, value, source: sourceCodes.topic });
    return described(name, spec, value, sourceCodes[source], synonyms);
  });
}

/** All settings of a group as they apply. */
export function groupConfigs(broker: Broker, group: string): DescribedSetting[] {
  const own = broker.groupSettings.own(group);
  return Object.entries(groupSettingSpecs).map(([name, spec]) => {
    const inherited = broker.settings.steps(spec.brokerName);
    const steps = [
      ...(Object.hasOwn(own, name) ? [{ name, value: own[name]!, source: 'group' as const }] : []),
      ...inherited,
    ];
    const synonyms = steps.map((step) => ({ ...step, source: sourceCodes[step.source] }));
    return described(name, spec, steps[0]!.value, synonyms[0]!.source, synonyms);
  });
}

/** All settings of the broker: those that may be changed, and what it was started with. */
export function brokerConfigs(broker: Broker): DescribedSetting[] {
  const changeable = Array.from(brokerSettingSpecs, ([name, spec]) => {
    const steps = broker.settings.steps(name).map((step) => ({ ...step, source: sourceCodes[step.source] }));
    return described(name, spec, steps[0]!.value, steps[0]!.source, steps);
  });
  const { nodeId } = broker.identity;
  const fixed = {
    'node.id': String(nodeId),
    'broker.id': String(nodeId),
    'process.roles': 'broker',
    ...broker.startFacts,
  };
  const facts = Object.entries(fixed).map(([name, value]) => ({
    name,
    value,
    readOnly: true,
    source: sourceCodes.start,
    type: typeCodes.string,
    documentation: 'Set when the broker is started.',
    synonyms: [{ name, value, source: sourceCodes.start }],
  }));
  return [...facts, ...changeable];
}

function described(
  name: string,
  spec: SettingSpec,
  value: string,
  source: number,
  synonyms: DescribedSetting['synonyms'],
): DescribedSetting {
  return { name, value, readOnly: false, source, type: typeCodes[spec.type], documentation: spec.says, synonyms };
}
