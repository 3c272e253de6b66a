import { expect, test } from 'vitest';
import { startBroker } from './support.ts';

test('all topics are told in every version, whether it asks by null or by an empty list', async () => {
  const { client } = await startBroker();
  const one = await client();
  await one.request('CreateTopics', 7, { topics: [{ name: 'made', numPartitions: 2, replicationFactor: 1 }] });
  for (let version = 0; version <= 13; version += 1) {
    const { topics } = await one.request('Metadata', version, { topics: version === 0 ? [] : null });
    const told = topics.map(({ errorCode, name, partitions }) => [errorCode, name, partitions.length]);
    expect([version, told]).toEqual([version, [[0, 'made', 2]]]);
  }
});
