import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import { brokerSettingSpecs, checkBrokerSetting } from '../../broker/broker-settings.ts';
import { isGroupSetting } from '../../broker/group-settings.ts';
import { checkTopicSetting, isTopicSetting } from '../../broker/topic-settings.ts';
import type { IncrementalAlterConfigsAlterableConfig } from '../../wire/messages.generated.ts';
import { changedValue, configResource } from '../config-resource.ts';
import { duplicatesIn, faultOf, handler } from '../handler.ts';

type Change = IncrementalAlterConfigsAlterableConfig;

/** KIP-339: each named setting is set, unset, or, for a list, added to or taken from; the others stay. */
export const incrementalAlterConfigs = handler('IncrementalAlterConfigs', [0, 1], async (request, { broker }) => ({
  responses: await Promise.all(
    request.resources.map(async ({ resourceType, resourceName, configs }) => {
      const fault = await faultOf(() => {
        const resource = configResource(broker, resourceType, resourceName);
        for (const name of duplicatesIn(configs.map((config) => config.name))) {
          throw new Fault('invalidRequest', { detail: `${name} is named twice` });
        }
        if (resource.kind === 'broker') return changeBroker(broker, configs, request.validateOnly);
        const change = resource.kind === 'topic' ? changeTopic : changeGroup;
        return change(broker, resource.name, configs, request.validateOnly);
      });
      return { errorCode: fault?.code ?? 0, errorMessage: fault?.message ?? null, resourceType, resourceName };
    }),
  ),
}));

async function changeTopic(
  broker: Broker,
  name: string,
  changes: readonly Change[],
  validateOnly: boolean,
): Promise<void> {
  const topic = broker.topics.get(name);
  const apply = (own: Readonly<Record<string, string>>): Record<string, string> => {
    const settings = { ...own };
    for (const { name, configOperation, value } of changes) {
      const current = isTopicSetting(name) ? (settings[name] ?? topic.inherited(name)[0]!.value) : '';
      const changed = changedValue(name, current, configOperation, value);
      if (changed === null) delete settings[name];
      else {
        checkTopicSetting(name, changed);
        settings[name] = changed;
      }
    }
    return settings;
  };
  apply(topic.record.settings);
  if (!validateOnly) await broker.topics.changeSettings(name, apply);
}

async function changeGroup(
  broker: Broker,
  name: string,
  changes: readonly Change[],
  validateOnly: boolean,
): Promise<void> {
  const apply = (own: Readonly<Record<string, string>>): Record<string, string> => {
    const settings = { ...own };
    for (const { name, configOperation, value } of changes) {
      // None of a group's settings is a list, so what it was does not matter.
      const changed = changedValue(name, '', configOperation, value);
      if (changed === null) delete settings[name];
      else if (isGroupSetting(name)) settings[name] = changed;
      else throw new Fault('invalidConfig', { detail: `unknown group setting ${name}` });
    }
    return settings;
  };
  broker.groupSettings.check(apply(broker.groupSettings.own(name)));
  if (!validateOnly) await broker.groupSettings.change(name, apply);
}

async function changeBroker(broker: Broker, changes: readonly Change[], validateOnly: boolean): Promise<void> {
  const changed = new Map<string, string | null>();
  for (const { name, configOperation, value } of changes) {
    const current = brokerSettingSpecs.has(name) ? broker.settings.value(name) : '';
    const result = changedValue(name, current, configOperation, value);
    if (result !== null) checkBrokerSetting(name, result);
    changed.set(name, result);
  }
  if (!validateOnly) await broker.changeSettings(changed);
}
