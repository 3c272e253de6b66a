import { OWN_CLIENT_NAME, OWN_KEY_FIRST } from '../../wire/own-apis.ts';
import { readingHandler } from '../handler.ts';
import { handlers } from './index.ts';

/** librdkafka before 2.6 takes a broker that does not list Produce from 0 for one too old for compression. */
const PRODUCE_FIRST_ADVERTISED = 0;

/** Kafka's names for what a cluster has agreed to use, each with its version: told once all that belongs to it is served. */
const FEATURES: Readonly<Record<string, number>> = {
  // Groups of the new protocol (KIP-848).
  'group.version': 1,
};
/** From here on features are told. */
const FEATURES_FROM = 3;

const features = {
  supportedFeatures: Object.entries(FEATURES).map(([name, maxVersion]) => ({ name, minVersion: 0, maxVersion })),
  finalizedFeatures: Object.entries(FEATURES).map(([name, level]) => ({
    name,
    minVersionLevel: level,
    maxVersionLevel: level,
  })),
  finalizedFeaturesEpoch: 0,
};

export const apiVersions = readingHandler('ApiVersions', [0, 4], ({ clientSoftwareName }, { version }) => ({
  apiKeys: handlers
    .filter(({ key }) => key < OWN_KEY_FIRST || clientSoftwareName === OWN_CLIENT_NAME)
    .map(({ api, key, versions: [first, last] }) => ({
      apiKey: key,
      minVersion: api === 'Produce' ? PRODUCE_FIRST_ADVERTISED : first,
      maxVersion: last,
    })),
  ...(version < FEATURES_FROM ? {} : features),
}));
