import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { bytes, json, text } from '../../src/client/codecs.ts';
import type { Isolation } from '../../src/client/list-offsets.ts';
import type { ReaderOptions } from '../../src/client/reader-options.ts';
import type { Millrace } from '../../src/millrace.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { newTopic } from './targets.ts';

/** Records of long ago stay. */
const keepsAll = { 'retention.ms': -1 };

export function readerSuite(client: () => Millrace): void {
  /** A topic whose records' values are their places in each partition, and whose timestamps are a second apart. */
  const fill = async (what: string, count: number, partitions = 1): Promise<string> => {
    const topic = newTopic(what);
    await client().admin.createTopic({ name: topic, partitions, settings: keepsAll });
    await append(topic, 0, count, partitions);
    return topic;
  };
  const append = async (topic: string, start: number, end: number, partitions = 1): Promise<void> => {
    await using producer = client().producer({ value: json<number>(), batchBytesMax: 1_000 });
    const records = Array.from({ length: (end - start) * partitions }, (_, index) => {
      const value = start + Math.floor(index / partitions);
      return { topic, value, partition: index % partitions, timestampMs: value * 1000 };
    });
    await producer.sendMany(records);
  };
  const values = async (options: ReaderOptions<string, number>): Promise<number[]> => {
    const found: number[] = [];
    for await (const { value } of client().reader({ value: json<number>(), ...options })) found.push(value ?? -1);
    return found;
  };
  const range = (start: number, end: number): number[] =>
    Array.from({ length: end - start }, (_, index) => start + index);

  test('reads from everywhere to everywhere', async () => {
    const topic = await fill('ranges', 100);
    expect(await values({ topic, to: 'end' })).toEqual(range(0, 100));
    expect(await values({ topic, from: 'latest', to: 'end' })).toEqual([]);
    // Inside a batch: what lies before it there is not given out.
    expect(await values({ topic, from: { offset: 33 }, to: { offset: 37 } })).toEqual(range(33, 37));
    expect(await values({ topic, from: { time: 90_500 }, to: 'end' })).toEqual(range(91, 100));
    expect(await values({ topic, from: { offset: 20 }, to: { time: 25_000 } })).toEqual(range(20, 25));
    expect(await values({ topic, from: { time: 1e12 }, to: 'end' })).toEqual([]);
    expect(await values({ topic, from: { offset: 50 }, to: { offset: 50 } })).toEqual([]);
  });

  test('reads several partitions, each in order, or those it is told', async () => {
    const topic = await fill('several', 200, 5);
    const byPartition = new Map<number, number[]>();
    for await (const record of client().reader({ topic, to: 'end', value: json<number>() })) {
      byPartition.set(record.partition, [...(byPartition.get(record.partition) ?? []), record.value ?? -1]);
    }
    expect([...byPartition.keys()].sort()).toEqual(range(0, 5));
    for (const found of byPartition.values()) expect(found).toEqual(range(0, 200));
    expect(await values({ topic, partitions: [3], to: 'end' })).toEqual(range(0, 200));
    const from = new Map([
      [1, { offset: 198 }],
      [2, { offset: 199 }],
    ]);
    expect((await values({ topic, from, to: 'end' })).sort()).toEqual([198, 199, 199]);
  });

  test('gives batches as they were stored', async () => {
    const topic = await fill('batches', 300);
    const found: number[] = [];
    let batches = 0;
    for await (const batch of client().reader({ topic, to: 'end', value: json<number>() }).batches()) {
      expect(batch).toMatchObject({ topic, partition: 0 });
      expect(batch.highWatermark).toBe(300);
      found.push(...batch.records.map((record) => record.value ?? -1));
      batches++;
    }
    expect(found).toEqual(range(0, 300));
    expect(batches).toBeGreaterThan(2);
    expect(batches).toBeLessThan(300);
  });

  test('follows the end: what is sent later is read', async () => {
    const topic = await fill('tail', 5);
    const reader = client().reader({ topic, from: 'latest', value: json<number>() });
    await reader.start();
    const found: (number | null)[] = [];
    for (let next = 5; next < 8; next++) await append(topic, next, next + 1);
    for await (const record of reader) {
      found.push(record.value);
      if (found.length === 3) break;
    }
    expect(found).toEqual([5, 6, 7]);
  });

  test('follows many partitions, of which few have news at a time', async () => {
    const topic = await fill('session', 1, 10);
    const reader = client().reader({ topic, value: json<number>(), maxWaitMs: 100 });
    let found = 0;
    for await (const record of reader) {
      found++;
      // One more round for one partition after another, so that later answers name only some of them.
      if (found >= 10 && found < 20) await append(topic, record.value! + 1, record.value! + 2);
      if (found === 20) break;
    }
    expect(found).toBe(20);
  });

  test('with little room fetched ahead, still reads everything', async () => {
    const topic = await fill('narrow', 3_000, 3);
    const found = await values({ topic, to: 'end', prefetchBytesMax: 2_000, partitionBytesMax: 1_000 });
    expect(found).toHaveLength(9_000);
  });

  test('leaving the loop closes the reader, and closing the reader leaves the loop', async () => {
    const topic = await fill('left', 10);
    const reader = client().reader({ topic, value: json<number>() });
    for await (const record of reader) if (record.offset === 3) break;
    for await (const record of reader) expect.unreachable(`read ${record.offset} from a closed reader`);

    const other = client().reader({ topic, value: json<number>() });
    let found = 0;
    for await (const _ of other) if (++found === 10) setTimeout(() => void other.close(), 20);
    expect(found).toBe(10);
  });

  test('a signal ends what waits for a record', async () => {
    const topic = await fill('aborted', 3);
    const controller = new AbortController();
    const reader = client().reader({ topic, value: json<number>(), signal: controller.signal });
    const reason = new Error('enough');
    const loop = (async () => {
      for await (const record of reader) if (record.offset === 2) setTimeout(() => controller.abort(reason), 20);
    })();
    await expect(loop).rejects.toBe(reason);
  });

  test('an offset out of range is an error, or reset', async () => {
    const topic = await fill('range', 10);
    await client().admin.trim(topic, new Map([[0, 4]]));
    const from = { offset: 2 } as const;
    await expect(values({ topic, from, to: 'end' })).rejects.toMatchObject({ fault: 'offsetOutOfRange' });
    expect(await values({ topic, from, to: 'end', onOutOfRange: 'earliest' })).toEqual(range(4, 10));
    expect(await values({ topic, from, to: 'end', onOutOfRange: 'latest' })).toEqual([]);
    expect(await values({ topic, from: { offset: 20 }, to: { offset: 10 } })).toEqual([]);
  });

  test('tells how far it is', async () => {
    const topic = await fill('progress', 20);
    const reader = client().reader({ topic, from: { offset: 5 }, value: json<number>() });
    expect(() => reader.position(0)).toThrow(/not started yet/);
    await reader.start();
    expect([reader.partitions, reader.position(0)]).toEqual([[0], 5]);
    for await (const record of reader) {
      expect(reader.position(0)).toBe(record.offset + 1);
      expect(reader.lag(0)).toBe(19 - record.offset);
      if (record.offset === 12) break;
    }
  });

  test('a value that is not of the format does not end the reading', async () => {
    const topic = newTopic('poison');
    await client().admin.createTopic({ name: topic, settings: keepsAll });
    await using producer = client().producer({ value: bytes });
    for (const value of ['1', '{', '3']) await producer.send({ topic, value: Buffer.from(value) });
    const found: string[] = [];
    for await (const record of client().reader({ topic, to: 'end', value: json() })) {
      try {
        found.push(String(record.value));
      } catch (error) {
        found.push(`${record.offset}: ${(error as Error).message}`);
      }
    }
    expect(found[1]).toContain(`topic ${topic}, partition 0, offset 1`);
    expect([found[0], found[2]]).toEqual(['1', '3']);
  });

  test('a topic or a partition that is not there is said so', async () => {
    const missing = { topic: newTopic('missing'), unknownTopicMs: 100, to: 'end' } as const;
    await expect(values(missing)).rejects.toMatchObject({ fault: 'unknownTopic' });
    const topic = await fill('present', 1);
    await expect(values({ topic, partitions: [4], to: 'end' })).rejects.toThrow(/partitions 0 to 0, not 4/);
  });

  test('a place that is none is refused with what would be one', async () => {
    const topic = await fill('places', 1);
    for (const from of [7, 'first']) {
      const reading = values({ topic, from: from as never, to: 'end' });
      await expect(reading).rejects.toMatchObject({ fault: 'invalidArgument' });
      await expect(reading).rejects.toThrow(/'earliest', 'latest'.*, not (7|"first")/);
    }
  });

  test('leaves out what was written in transactions that were aborted', async ({ skip }) => {
    const topic = newTopic('transactions');
    const { admin } = client();
    await admin.createTopic({ name: topic, settings: keepsAll });
    const transactionalId = `${topic}-writer`;
    const beginning = await admin.request('InitProducerId', { transactionalId, transactionTimeoutMs: 60_000 });
    if (beginning.errorCode === kafkaErrors.UNSUPPORTED_VERSION.code) skip('the broker serves no transactions');
    await transact(transactionalId, topic, 'kept', true);
    await transact(transactionalId, topic, 'dropped', false);
    await using producer = client().producer({ value: text });
    await producer.send({ topic, value: 'plain' });
    await transact(transactionalId, topic, 'kept too', true);
    const read = async (isolation: Isolation): Promise<(string | null)[]> => {
      const found: (string | null)[] = [];
      for await (const { value } of client().reader({ topic, to: 'end', value: text, isolation })) found.push(value);
      return found;
    };
    await expect.poll(() => read('committed')).toEqual(['kept', 'plain', 'kept too']);
    expect(await read('uncommitted')).toEqual(['kept', 'dropped', 'plain', 'kept too']);
  });

  /** Writes one record in a transaction of its own, by the bare protocol: the versions before brokers add partitions by themselves. */
  const transact = async (transactionalId: string, topic: string, value: string, commits: boolean): Promise<void> => {
    const { admin } = client();
    let identity = { producerId: -1, producerEpoch: -1 };
    // The coordinator's own topic is made on first use, and each end of a transaction takes a moment to be written.
    const untilDone = (ask: () => Promise<number>): Promise<void> => expect.poll(ask, { timeout: 30_000 }).toBe(0);
    await untilDone(async () => {
      await admin.request('FindCoordinator', { key: transactionalId, keyType: 1 }, { versionMax: 3 });
      const answer = await admin.request(
        'InitProducerId',
        { transactionalId, transactionTimeoutMs: 60_000 },
        { versionMax: 4 },
      );
      identity = answer;
      return answer.errorCode;
    });
    const { producerId, producerEpoch } = identity;
    const partitions = { v3AndBelowTopics: [{ name: topic, partitions: [0] }] };
    const transaction = { producerId, producerEpoch };
    await untilDone(async () => {
      const ids = {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
      };
      const answer = await admin.request('AddPartitionsToTxn', { ...ids, ...partitions }, { versionMax: 3 });
      return answer.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode ?? -1;
    });
    const records = [
      buildBatch([{ timestampMs: 1, value: Buffer.from(value) }], {
        ...transaction,
        baseSequence: 0,
        isTransactional: true,
      }),
    ];
    const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
    await untilDone(async () => {
      const answer = await admin.request(
        'Produce',
        { transactionalId, acks: -1, timeoutMs: 1_000, topicData },
        { versionMax: 11 },
      );
      return answer.responses[0]?.partitionResponses[0]?.errorCode ?? -1;
    });
    await untilDone(async () => {
      const answer = await admin.request(
        'EndTxn',
        { transactionalId, ...transaction, committed: commits },
        { versionMax: 4 },
      );
      return answer.errorCode;
    });
  };

  test('several takers share a reader, and each record goes to one of them', async () => {
    const topic = await fill('shared', 100);
    const reader = client().reader({ topic, to: 'end', key: text, value: json<number>() });
    const iterator = reader[Symbol.asyncIterator]();
    const found = await Promise.all(range(0, 100).map(async () => (await iterator.next()).value?.value));
    expect(found).toEqual(range(0, 100));
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
  });
}
