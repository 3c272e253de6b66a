import type { Broker } from '../../broker/broker.ts';
import { brokerConfigs, type DescribedSetting, groupConfigs, topicConfigs } from '../../broker/describe-settings.ts';
import { type ConfigResource, configResource } from '../config-resource.ts';
import { readingHandler, readOr } from '../handler.ts';

export const describeConfigs = readingHandler('DescribeConfigs', [1, 4], async (request, { broker }) => ({
  results: await Promise.all(
    request.resources.map(({ resourceType, resourceName, configurationKeys }) =>
      readOr(
        broker,
        () => {
          const resource = configResource(broker, resourceType, resourceName);
          const all = allOf(broker, resource);
          const keys = configurationKeys ?? [];
          const asked = all.filter(({ name }) => keys.length === 0 || keys.includes(name));
          const configs = asked.map(({ name, value, readOnly, source, type, documentation, synonyms }) => ({
            name,
            value,
            readOnly,
            configSource: source,
            isSensitive: false,
            synonyms: request.includeSynonyms ? synonyms : [],
            configType: type,
            documentation: request.includeDocumentation ? documentation : null,
          }));
          return { errorCode: 0, errorMessage: null as string | null, resourceType, resourceName, configs };
        },
        (fault) => ({ errorCode: fault.code, errorMessage: fault.message, resourceType, resourceName, configs: [] }),
      ),
    ),
  ),
}));

function allOf(broker: Broker, resource: ConfigResource): DescribedSetting[] {
  if (resource.kind === 'broker') return brokerConfigs(broker);
  return resource.kind === 'topic'
    ? topicConfigs(broker.topics.get(resource.name))
    : groupConfigs(broker, resource.name);
}
