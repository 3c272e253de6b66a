import { resourceType } from '../config-resource.ts';
import { readingHandler } from '../handler.ts';

/** KIP-1142. Version 0 asked for client metrics alone, of which there are none. */
export const listConfigResources = readingHandler('ListConfigResources', [0, 1], (request, { broker, version }) => {
  if (version === 0) return { configResources: [] };
  const asked = (type: number) => request.resourceTypes.length === 0 || request.resourceTypes.includes(type);
  const named = (type: number, names: Iterable<string>) =>
    asked(type) ? Array.from(names, (resourceName) => ({ resourceName, resourceType: type })) : [];
  return {
    configResources: [
      ...named(
        resourceType.topic,
        Array.from(broker.topics, ({ name }) => name),
      ),
      ...named(resourceType.group, broker.groupSettings.groups()),
      ...named(resourceType.broker, [String(broker.identity.nodeId)]),
    ],
  };
});
