import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import { checkBrokerSetting } from '../../broker/broker-settings.ts';
import { checkTopicSetting } from '../../broker/topic-settings.ts';
import type { AlterConfigsAlterableConfig } from '../../wire/messages.generated.ts';
import { type ConfigResource, configResource } from '../config-resource.ts';
import { faultOf, handler } from '../handler.ts';

/** The older way: what is named becomes all of a resource's own settings. */
export const alterConfigs = handler('AlterConfigs', [0, 2], async (request, { broker }) => ({
  responses: await Promise.all(
    request.resources.map(async ({ resourceType, resourceName, configs }) => {
      const fault = await faultOf(() =>
        replace(broker, configResource(broker, resourceType, resourceName), configs, request.validateOnly),
      );
      return { errorCode: fault?.code ?? 0, errorMessage: fault?.message ?? null, resourceType, resourceName };
    }),
  ),
}));

async function replace(
  broker: Broker,
  resource: ConfigResource,
  configs: readonly AlterConfigsAlterableConfig[],
  validateOnly: boolean,
): Promise<void> {
  const check = resource.kind === 'broker' ? checkBrokerSetting : checkTopicSetting;
  for (const { name, value } of configs) {
    if (value === null) throw new Fault('invalidRequest', { detail: `${name} needs a value` });
    if (resource.kind !== 'group') check(name, value);
  }
  const settings = Object.fromEntries(configs.map(({ name, value }) => [name, value!]));
  if (resource.kind === 'topic') {
    broker.topics.get(resource.name);
    if (!validateOnly) await broker.topics.changeSettings(resource.name, () => settings);
    return;
  }
  if (resource.kind === 'group') {
    broker.groupSettings.check(settings);
    if (!validateOnly) await broker.groupSettings.change(resource.name, () => settings);
    return;
  }
  if (validateOnly) return;
  const unset = Array.from(broker.settings.changed.keys(), (name): [string, null] => [name, null]);
  await broker.changeSettings(new Map<string, string | null>([...unset, ...Object.entries(settings)]));
}
