import { join } from 'node:path';
import { compressions, type ForeignClient, type ProduceJob } from './foreign-client.ts';

function producer(script: string): (job: ProduceJob) => { file: string; args: string[] } {
  const file = join(import.meta.dirname, '../programs', script);
  return ({ bootstrap, topic, compression }) => ({
    file: process.execPath,
    args: [file, bootstrap, topic, compression],
  });
}

/** Both read only in groups, so they only write here. */
export const kafkajs: ForeignClient = {
  name: 'kafkajs',
  compressions: ['none', 'gzip'],
  prepare: async () => undefined,
  produce: producer('kafkajs-produce.ts'),
};

export const platformaticKafka: ForeignClient = {
  name: '@platformatic/kafka',
  compressions,
  prepare: async () => undefined,
  produce: producer('platformatic-produce.ts'),
};
