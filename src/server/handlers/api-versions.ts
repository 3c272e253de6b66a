import { readingHandler } from '../handler.ts';
import { handlers } from './index.ts';

/** librdkafka before 2.6 takes a broker that does not list Produce from 0 for one too old for compression. */
const PRODUCE_FIRST_ADVERTISED = 0;

export const apiVersions = readingHandler('ApiVersions', [0, 4], () => ({
  apiKeys: handlers.map(({ api, key, versions: [first, last] }) => ({
    apiKey: key,
    minVersion: api === 'Produce' ? PRODUCE_FIRST_ADVERTISED : first,
    maxVersion: last,
  })),
}));
