import { expect, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { checkProduced } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { fetchOf, makeTopic, startBroker } from './support.ts';

test('a fetch of no partitions is answered at once, as clients that close their session expect', async () => {
  const { client } = await startBroker();
  const one = await client();
  // A wait would outlast the test.
  const wish = { maxWaitMs: limits.fetchWaitMaxMs, minBytes: 1, sessionEpoch: -1, topics: [] };
  expect((await one.request('Fetch', 12, wish)).responses).toEqual([]);
}, 30_000);

test('an answer to a request that quotes 32 KB of it still fits', async () => {
  const { client } = await startBroker();
  const one = await client();
  const configs = [{ name: 'x'.repeat(32_767), value: '1' }];
  const wish = { topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, configs }] };
  expect((await one.request('CreateTopics', 4, wish)).topics[0]!.errorCode).toBe(40);
  await makeTopic(one, 'still-served');
  expect(fetchOf('still-served').topics).toHaveLength(1);
});

test('a producer id that a number cannot hold exactly is refused, not taken for another', () => {
  const record = { timestampMs: 1, key: null, value: Buffer.from('v'), headers: [] };
  const batch = buildBatch([record], { producerId: Number.MAX_SAFE_INTEGER, producerEpoch: 0, baseSequence: 0 });
  expect(checkProduced(batch, 0, batch.length, 9)?.fault).toBe('invalidBatch');
});
