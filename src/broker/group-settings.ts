import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { BrokerSettings } from './broker-settings.ts';
import type { ClusterEvent, ClusterState } from './cluster-state.ts';
import { checkSetting, type SettingSpec } from './topic-settings.ts';

/** The settings that a group of the new protocol may have of its own; each has the broker's of that name for its default. */
export const groupSettingSpecs = {
  'consumer.assignment.interval.ms': {
    type: 'int',
    default: '0',
    min: 0,
    brokerName: 'group.consumer.assignment.interval.ms',
    says: 'How long a target stands before the next change of the group makes another.',
  },
  'consumer.heartbeat.interval.ms': {
    type: 'int',
    default: '5000',
    min: 1,
    brokerName: 'group.consumer.heartbeat.interval.ms',
    says: 'How often its members send a heartbeat.',
  },
  'consumer.session.timeout.ms': {
    type: 'int',
    default: '45000',
    min: 1,
    brokerName: 'group.consumer.session.timeout.ms',
    says: 'How long a member may be silent before it is removed.',
  },
} as const satisfies Record<string, SettingSpec & { brokerName: string }>;

export type GroupSettingName = keyof typeof groupSettingSpecs;

/** The broker's settings within which a group's must lie. */
const bounds = {
  'consumer.assignment.interval.ms': [
    'group.consumer.min.assignment.interval.ms',
    'group.consumer.max.assignment.interval.ms',
  ],
  'consumer.heartbeat.interval.ms': [
    'group.consumer.min.heartbeat.interval.ms',
    'group.consumer.max.heartbeat.interval.ms',
  ],
  'consumer.session.timeout.ms': ['group.consumer.min.session.timeout.ms', 'group.consumer.max.session.timeout.ms'],
} as const satisfies Record<GroupSettingName, readonly [string, string]>;

export function isGroupSetting(name: string): name is GroupSettingName {
  return Object.hasOwn(groupSettingSpecs, name);
}

/** Settings of groups, over the broker's. A group need not exist to have some. */
export class GroupSettings {
  readonly #state: ClusterState;
  readonly #ledger: Ledger<ClusterEvent>;
  readonly #broker: BrokerSettings;

  constructor(state: ClusterState, ledger: Ledger<ClusterEvent>, broker: BrokerSettings) {
    this.#state = state;
    this.#ledger = ledger;
    this.#broker = broker;
  }

  /** The groups that have settings of their own. */
  groups(): Iterable<string> {
    return this.#state.groupSettings.keys();
  }

  own(group: string): Readonly<Record<string, string>> {
    return this.#state.groupSettings.get(group) ?? {};
  }

  /** What applies, as a number; within the broker's bounds, also where these have changed since. */
  number(group: string, name: GroupSettingName): number {
    const own = this.#state.groupSettings.get(group)?.[name];
    if (own === undefined) return this.#broker.number(groupSettingSpecs[name].brokerName);
    const [min, max] = bounds[name];
    return Math.min(Math.max(Number(own), this.#broker.number(min)), this.#broker.number(max));
  }

  /** @throws Fault invalidConfig, for a value that cannot be or contradicts another */
  check(settings: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(settings)) {
      if (!isGroupSetting(name)) throw new Fault('invalidConfig', { detail: `unknown group setting ${name}` });
      checkSetting(name, groupSettingSpecs[name], value);
      const [min, max] = bounds[name].map((bound) => this.#broker.number(bound)) as [number, number];
      checkSetting(name, { ...groupSettingSpecs[name], min, max }, value);
    }
    const value = (name: GroupSettingName) => settings[name] ?? this.#broker.value(groupSettingSpecs[name].brokerName);
    if (Number(value('consumer.session.timeout.ms')) <= Number(value('consumer.heartbeat.interval.ms'))) {
      throw new Fault('invalidConfig', {
        detail: 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms',
      });
    }
  }

  /** Sets a group's own settings anew. @throws Fault invalidConfig, policyViolation when too many groups have settings */
  async change(
    group: string,
    change: (own: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.#ledger.change(() => {
      const settings = change(this.own(group));
      this.check(settings);
      const { groupSettings } = this.#state;
      if (!groupSettings.has(group) && groupSettings.size >= limits.groupsWithSettingsMax) {
        throw new Fault('policyViolation', { detail: `${limits.groupsWithSettingsMax} groups have settings already` });
      }
      return { events: [{ type: 'groupSettings', group, settings }], result: undefined };
    });
  }
}
