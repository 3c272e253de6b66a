import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import type { Millrace } from '../../../src/millrace.ts';
import { newTopic, withEachTarget } from '../targets.ts';
import { replaySuite } from './replay-suite.ts';
import { contentOf, MemoryCheckpoint } from './replayed-topics.ts';
import { resumeSuite } from './resume-suite.ts';

/** Writes in transactions that are committed and aborted in turn, compressed and not, and replays the topic. */
async function replayTransactions(client: Millrace): Promise<void> {
  const [topic, kept, all] = [newTopic('transactions'), newTopic('kept'), newTopic('all')];
  await client.admin.createTopic({ name: topic, partitions: 2 });
  const [broker] = (await client.admin.describeCluster()).brokers;
  const kafka = new Kafka({ brokers: [`${broker!.host}:${broker!.port}`], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  for (let number = 0; number < 12; number++) {
    const transaction = await producer.transaction();
    const messages = [0, 1].map((partition) => ({
      partition,
      value: `${number % 2 === 0 ? 'kept' : 'aborted'} ${number}`,
    }));
    const compression = number % 3 === 0 ? CompressionTypes.GZIP : CompressionTypes.None;
    await transaction.send({ topic, messages, compression });
    await (number % 2 === 0 ? transaction.commit() : transaction.abort());
  }
  await producer.disconnect();
  // The end of what is committed moves when the last marker is written.
  await expect
    .poll(async () => (await client.admin.offsets(topic, 'latest', { isolation: 'committed' })).get(1)?.offset)
    .toBe(24);
  const checkpoint = new MemoryCheckpoint();
  const target = { topic: kept, create: true };
  expect((await client.replay({ topic, target, checkpoint })).records).toBe(12);
  expect((await client.replay({ topic, target, checkpoint })).records).toBe(12);
  const isKept = ({ valueBytes }: { valueBytes: Buffer | null }): boolean =>
    valueBytes?.toString().startsWith('kept') ?? false;
  expect(await contentOf(client, kept, () => true)).toEqual(await contentOf(client, topic, isKept));
  await client.replay({ topic, isolation: 'uncommitted', target: { topic: all, create: true } });
  expect((await contentOf(client, all)).counts).toEqual([12, 12]);
}

withEachTarget('replays', (client, target) => {
  describe('in one go', () => replaySuite(client));
  describe('interrupted', () => resumeSuite(client));
  // Millrace serves no transactions to make such records with.
  test.skipIf(target.name !== 'Apache Kafka')('records of aborted transactions stay behind, markers too', () =>
    replayTransactions(client()),
  );
});
