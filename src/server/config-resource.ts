import { Fault } from '../base/faults.ts';
import type { Broker } from '../broker/broker.ts';
import { isListSetting } from '../broker/broker-settings.ts';
import { checkTopicName } from '../broker/topic.ts';
import { listWords } from '../broker/topic-settings.ts';

/** Kafka's numbers for what has settings. */
export const resourceType = { topic: 2, broker: 4, group: 32 } as const;

export type ConfigResource = { kind: 'topic' | 'group'; name: string } | { kind: 'broker' };

/**
 * What a request names. A broker is named by its id, or by nothing, which means all brokers: here both are the one.
 * @throws Fault invalidRequest, invalidTopicName
 */
export function configResource(broker: Broker, type: number, name: string): ConfigResource {
  if (type === resourceType.topic) {
    checkTopicName(name);
    return { kind: 'topic', name };
  }
  if (type === resourceType.broker && (name === '' || name === String(broker.identity.nodeId)))
    return { kind: 'broker' };
  if (type === resourceType.group) {
    if (name === '') throw new Fault('invalidRequest', { detail: 'settings of a group need its name' });
    return { kind: 'group', name };
  }
  const said =
    type === resourceType.broker ? `broker ${name}; this one is ${broker.identity.nodeId}` : `resource type ${type}`;
  throw new Fault('invalidRequest', { detail: `no settings are kept for ${said}` });
}

const operation = { set: 0, delete: 1, append: 2, subtract: 3 };

/**
 * The value that a change of a setting ends in; null when it is unset.
 * @throws Fault invalidConfig, invalidRequest
 */
export function changedValue(name: string, current: string, code: number, value: string | null): string | null {
  if (code === operation.delete) return null;
  if (value === null) throw new Fault('invalidRequest', { detail: `${name} needs a value` });
  if (code === operation.set) return value;
  if (code !== operation.append && code !== operation.subtract) {
    throw new Fault('invalidRequest', { detail: `operation ${code} on ${name}` });
  }
  if (!isListSetting(name)) throw new Fault('invalidConfig', { detail: `${name} is not a list` });
  const [before, named] = [listWords(current), listWords(value)];
  return code === operation.append
    ? [...before, ...named.filter((word) => !before.includes(word))].join(',')
    : before.filter((word) => !named.includes(word)).join(',');
}
