import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/faults.ts';
import { Accumulator, type AccumulatorOptions } from '../../src/client/accumulator.ts';
import type { TopicMetadata } from '../../src/client/metadata.ts';
import { partitionerOf } from '../../src/client/partitioner.ts';
import type { ProducerBatch } from '../../src/client/producer-batch.ts';
import type { EncodedRecord } from '../../src/client/producer-record.ts';
import { recordsOf } from '../../src/record/records.ts';

const topicOf = (name: string, partitionCount: number, leader = (_partition: number) => 0): TopicMetadata => ({
  name,
  id: null,
  internal: false,
  partitions: Array.from({ length: partitionCount }, (_, partition) => ({
    partition,
    leader: leader(partition),
    leaderEpoch: 0,
    replicas: [],
    inSyncReplicas: [],
    offlineReplicas: [],
  })),
});

/** An accumulator without a sender: tests take batches out by hand. */
class Bench {
  readonly found = new Map<string, PromiseWithResolvers<TopicMetadata>>();
  readonly known = new Map<string, TopicMetadata>();
  readonly outcomes: string[] = [];
  readonly accumulator: Accumulator;
  fullCalls = 0;

  constructor(options: Partial<AccumulatorOptions> = {}) {
    let next = 0;
    this.accumulator = new Accumulator({
      batchBytesMax: 1_000,
      requestBytesMax: 100_000,
      bufferBytesMax: 10_000,
      deliveryTimeoutMs: 1_000,
      compression: 'none',
      compressionLevel: undefined,
      partitioner: partitionerOf('murmur2'),
      clock: systemClock,
      // One partition after another, in place of chance.
      random: { bytes: (size) => Buffer.alloc(size), below: (endNext) => next++ % endNext },
      findTopic: (name) => {
        const search = Promise.withResolvers<TopicMetadata>();
        this.found.set(name, search);
        return search.promise;
      },
      topic: (name) => this.known.get(name),
      refresh: () => {},
      onBatch: () => {},
      onFull: () => this.fullCalls++,
      ...options,
    });
  }

  async find(topic: TopicMetadata): Promise<void> {
    this.known.set(topic.name, topic);
    this.found.get(topic.name)?.resolve(topic);
    await this.found.get(topic.name)?.promise;
  }

  send(topic: string, name: string, facts: Partial<EncodedRecord> = {}): void {
    const value = Buffer.from(name);
    const record = { key: null, value, headers: [], timestampMs: 1, partition: null, bytes: 100, ...facts };
    this.accumulator.add(topic, record, {
      resolve: () => this.outcomes.push(name),
      reject: (error) => this.outcomes.push(`${name}: ${error.message}`),
    });
  }

  /** What each batch holds, in the order in which they expire. */
  batches(): string[][] {
    return [...this.accumulator.unsettled].map((batch) => {
      batch.closed = true;
      return [...recordsOf(batch.build(() => {})!)].map((record) => record.value!.toString());
    });
  }

  settle(batch: ProducerBatch): void {
    batch.resolve({ baseOffset: 0, logAppendTimeMs: -1 });
    this.accumulator.release(batch);
  }
}

describe('sends wait', () => {
  test('for their topic, in order, and not for the topics of others', async () => {
    const bench = new Bench();
    bench.send('slow', 'a');
    bench.send('quick', 'b');
    bench.send('slow', 'c');
    await bench.find(topicOf('quick', 1));
    expect(bench.batches()).toEqual([['b']]);
    await bench.find(topicOf('slow', 1));
    bench.send('slow', 'd');
    expect(bench.batches()).toContainEqual(['a', 'c', 'd']);
  });

  test('and expire as if they had not: the batches are kept in the order in which they do', async () => {
    let nowMs = 0;
    const bench = new Bench({ clock: { ...systemClock, monotonicMs: () => nowMs } });
    bench.send('slow', 'a');
    bench.send('quick', 'b');
    nowMs = 500;
    await bench.find(topicOf('quick', 2));
    bench.send('quick', 'c', { partition: 1 });
    nowMs = 900;
    await bench.find(topicOf('slow', 1));
    const expiry = [...bench.accumulator.unsettled].map(({ expiresAtMs }) => expiresAtMs);
    expect(expiry).toEqual([1000, 1000, 1500]);
    expect(bench.batches().flat().sort()).toEqual(['a', 'b', 'c']);
  });

  test('and one that meets a bug is rejected with it, alone: others neither wait for it nor lack its room', async () => {
    let calls = 0;
    const below = (): number => {
      if (calls++ === 0) throw new Error('a bug');
      return 0;
    };
    const bench = new Bench({ bufferBytesMax: 100, random: { bytes: (size) => Buffer.alloc(size), below } });
    bench.send('t', 'a');
    bench.send('t', 'b');
    await bench.find(topicOf('t', 1));
    await bench.accumulator.whenAdmitted();
    expect(bench.outcomes).toEqual(['a: a bug']);
    expect(bench.batches()).toEqual([['b']]);
  });

  test('in vain when the topic is not found; the next send looks for it again', async () => {
    const bench = new Bench();
    bench.send('t', 'a');
    bench.found.get('t')?.reject(new Fault('unknownTopic', { detail: 't' }));
    await bench.accumulator.whenAdmitted();
    expect(bench.outcomes).toEqual(['a: no such topic; create it or check the name: t']);
    bench.send('t', 'b');
    await bench.find(topicOf('t', 1));
    expect(bench.batches()).toEqual([['b']]);
  });

  test('for room, in order, and are let in as room is given back', async () => {
    const bench = new Bench({ bufferBytesMax: 250, batchBytesMax: 1 });
    bench.send('t', 'a');
    await bench.find(topicOf('t', 1));
    expect(bench.accumulator.hasRoom).toBe(true);
    bench.send('t', 'b');
    bench.send('t', 'c', { bytes: 200 });
    // It would fit, but c came first.
    bench.send('t', 'd', { bytes: 50 });
    expect(bench.batches()).toEqual([['a'], ['b']]);
    expect([bench.accumulator.hasRoom, bench.fullCalls > 0]).toEqual([false, true]);
    const room = bench.accumulator.whenRoom();
    bench.settle([...bench.accumulator.unsettled][0]!);
    expect(bench.batches()).toEqual([['b']]);
    bench.settle([...bench.accumulator.unsettled][0]!);
    expect(bench.batches()).toEqual([['c'], ['d']]);
    bench.settle([...bench.accumulator.unsettled][0]!);
    await room;
    expect(bench.outcomes).toEqual(['a', 'b', 'c']);
  });
});

describe('records without a key', () => {
  test('go on to another partition when their batch is full, and fill the batch that is open there', async () => {
    const bench = new Bench({ batchBytesMax: 145 });
    bench.send('t', 'find it');
    await bench.find(topicOf('t', 3));
    bench.send('t', 'open', { partition: 1, value: Buffer.from('x') });
    for (const name of ['a', 'b', 'c']) bench.send('t', name, { value: Buffer.from(name.repeat(30)) });
    const partitions = [...bench.accumulator.unsettled].map((batch) => [batch.partition, batch.count]);
    expect(partitions).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });

  test('go where there is a leader', async () => {
    const bench = new Bench({ batchBytesMax: 1 });
    bench.send('t', 'a');
    await bench.find(topicOf('t', 5, (partition) => (partition === 3 ? 0 : -1)));
    for (let n = 0; n < 5; n++) bench.send('t', String(n));
    expect(new Set([...bench.accumulator.unsettled].map((batch) => batch.partition))).toEqual(new Set([3]));
  });
});

test('what a partitioner of the application gives or throws concerns its record alone', async () => {
  const bench = new Bench({
    partitioner: ({ value }) => {
      if (value?.toString() === 'throws') throw new Error('not today');
      return value?.toString() === 'beyond' ? 9 : 0;
    },
  });
  bench.send('t', 'a');
  bench.send('t', 'throws');
  bench.send('t', 'beyond');
  bench.send('t', 'b');
  await bench.find(topicOf('t', 2));
  expect(bench.outcomes).toEqual([
    'throws: not today',
    'beyond: an argument is out of range: topic t has partitions 0 to 1, not 9',
  ]);
  expect(bench.batches()).toEqual([['a', 'b']]);
});
