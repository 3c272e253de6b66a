import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import type { Draft } from '../../src/wire/codec.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { FakeBroker, fetched, produced, type Script, TOPIC, TOPIC_ID } from './fake-broker.ts';

const errorCode = kafkaErrors.NOT_LEADER_OR_FOLLOWER.code;

/** Two brokers, 0 and 1, that agree on which of them leads the one partition, and a client that knows the address of the first. */
class Pair implements AsyncDisposable {
  leader = 0;
  brokers: FakeBroker[] = [];
  client!: Millrace;

  static async start(scriptOf: (pair: Pair, broker: number) => Script): Promise<Pair> {
    const pair = new Pair();
    for (const broker of [0, 1]) {
      pair.brokers.push(await FakeBroker.start({ Metadata: () => pair.#metadata(), ...scriptOf(pair, broker) }));
    }
    const backoff = { firstMs: 5, maxMs: 20 };
    pair.client = await Millrace.connect(pair.brokers[0]!.address, {
      retryBackoff: backoff,
      reconnectBackoff: backoff,
    });
    return pair;
  }

  #metadata(): Draft<Messages['Metadata']['response']> {
    const brokers = this.brokers.map(({ port }, nodeId) => ({ nodeId, host: '127.0.0.1', port }));
    const partitions = [{ partitionIndex: 0, leaderId: this.leader, replicaNodes: [0, 1], isrNodes: [0, 1] }];
    return { clusterId: 'pair', controllerId: 0, brokers, topics: [{ name: TOPIC, topicId: TOPIC_ID, partitions }] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close({ timeoutMs: 0 });
    for (const broker of this.brokers) await broker.close();
  }
}

test('a producer follows its partition to another broker', async () => {
  await using pair = await Pair.start((self, broker) => ({
    Produce: () => (self.leader === broker ? produced({ baseOffset: broker * 10 }) : produced({ errorCode })),
  }));
  const producer = pair.client.producer();
  expect(await producer.send({ topic: TOPIC, value: 1 })).toMatchObject({ offset: 0 });
  pair.leader = 1;
  expect(await producer.send({ topic: TOPIC, value: 2 })).toMatchObject({ offset: 10 });
});

test('a producer goes on with another broker when its own is gone', async () => {
  await using pair = await Pair.start((_self, broker) => ({ Produce: () => produced({ baseOffset: broker * 10 }) }));
  const producer = pair.client.producer();
  await producer.send({ topic: TOPIC, value: 1 });
  pair.leader = 1;
  await pair.brokers[0]?.close();
  expect(await producer.send({ topic: TOPIC, value: 2 })).toMatchObject({ offset: 10 });
});

test('a reader follows its partition to another broker, from where it was', async () => {
  const batchAt = (baseOffset: number): Buffer =>
    buildBatch([{ timestampMs: 1, value: Buffer.from(`${baseOffset}`) }], { baseOffset });
  await using pair = await Pair.start((self, broker) => ({
    Fetch: ({ topics }) => {
      if (self.leader !== broker) return fetched({ errorCode });
      const offset = topics[0]?.partitions[0]?.fetchOffset ?? -1;
      if (offset === 2) self.leader = 1;
      return fetched(offset === 2 && broker === 0 ? { errorCode } : { records: [batchAt(offset)] });
    },
  }));
  const values: (string | null)[] = [];
  for await (const record of pair.client.reader({
    topic: TOPIC,
    from: { offset: 0 },
    to: { offset: 4 },
    value: text,
  })) {
    values.push(record.value);
  }
  expect(values).toEqual(['0', '1', '2', '3']);
  expect(pair.brokers[1]?.count('Fetch')).toBe(2);
});
