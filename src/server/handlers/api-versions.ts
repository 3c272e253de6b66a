import { OWN_CLIENT_NAME, OWN_KEY_FIRST } from '../../wire/own-apis.ts';
import { readingHandler } from '../handler.ts';
import { handlers } from './index.ts';

/** librdkafka before 2.6 takes a broker that does not list Produce from 0 for one too old for compression. */
const PRODUCE_FIRST_ADVERTISED = 0;

export const apiVersions = readingHandler('ApiVersions', [0, 4], ({ clientSoftwareName }) => ({
  apiKeys: handlers
    .filter(({ key }) => key < OWN_KEY_FIRST || clientSoftwareName === OWN_CLIENT_NAME)
    .map(({ api, key, versions: [first, last] }) => ({
      apiKey: key,
      minVersion: api === 'Produce' ? PRODUCE_FIRST_ADVERTISED : first,
      maxVersion: last,
    })),
}));
