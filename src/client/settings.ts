import { Fault } from '../base/faults.ts';
import type { DescribeConfigsResourceResult } from '../wire/messages.generated.ts';

/** Whose settings: a topic's, one broker's, or those that all brokers share (`broker: 'all'`). */
export type SettingsOwner = { readonly topic: string } | { readonly broker: number | 'all' };

export type SettingValue = string | number | boolean;

export type SettingSource = 'topic' | 'broker' | 'allBrokers' | 'brokerFile' | 'default' | 'other';

export interface Setting {
  readonly name: string;
  /** Null when it is secret, or has none. */
  readonly value: string | null;
  /** Where the value was set. */
  readonly source: SettingSource;
  readonly readOnly: boolean;
  readonly secret: boolean;
}

export interface SettingChanges {
  /** Values to set. */
  set?: Readonly<Record<string, SettingValue>>;
  /** Names that return to their default. */
  unset?: readonly string[];
  /** Items to add to settings that are lists. */
  append?: Readonly<Record<string, SettingValue>>;
  /** Items to take from settings that are lists. */
  subtract?: Readonly<Record<string, SettingValue>>;
}

/** Kafka's numbers of config resource types, sources and operations. */
const TOPIC = 2;
const BROKER = 4;
const sources: Record<number, SettingSource> = {
  1: 'topic',
  2: 'broker',
  3: 'allBrokers',
  4: 'brokerFile',
  5: 'default',
};
const operation = { set: 0, unset: 1, append: 2, subtract: 3 } as const;

interface WireOwner {
  resourceType: number;
  resourceName: string;
  /** The broker that must be asked; undefined where any can be. */
  broker: number | undefined;
  /** As faults name it. */
  says: string;
}

export function wireOwner(owner: SettingsOwner): WireOwner {
  if ('topic' in owner) {
    return { resourceType: TOPIC, resourceName: owner.topic, broker: undefined, says: `topic ${owner.topic}` };
  }
  if (owner.broker === 'all') {
    return { resourceType: BROKER, resourceName: '', broker: undefined, says: 'all brokers' };
  }
  const { broker } = owner;
  return { resourceType: BROKER, resourceName: String(broker), broker, says: `broker ${broker}` };
}

export function settingOf(result: DescribeConfigsResourceResult): Setting {
  const { name, value, readOnly, configSource, isSensitive } = result;
  return { name, value, source: sources[configSource] ?? 'other', readOnly, secret: isSensitive };
}

export interface Alteration {
  name: string;
  configOperation: number;
  value: string | null;
}

/** @throws Fault invalidArgument when nothing is to be changed. */
export function alterationsOf(changes: SettingChanges): Alteration[] {
  const alterations = (['set', 'append', 'subtract'] as const).flatMap((kind) =>
    Object.entries(changes[kind] ?? {}).map(([name, value]) => ({
      name,
      configOperation: operation[kind] as number,
      value: String(value) as string | null,
    })),
  );
  for (const name of changes.unset ?? []) alterations.push({ name, configOperation: operation.unset, value: null });
  if (alterations.length > 0) return alterations;
  throw new Fault('invalidArgument', { detail: 'name at least one setting to set, unset, append to or subtract from' });
}
