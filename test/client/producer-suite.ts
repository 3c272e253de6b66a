import { expect, test } from 'vitest';
import { bytes, json, text } from '../../src/client/codecs.ts';
import type { ReadRecord } from '../../src/client/read-record.ts';
import type { Millrace } from '../../src/millrace.ts';
import { compressions } from '../../src/record/compression.ts';
import { newTopic } from './targets.ts';

export function producerSuite(client: () => Millrace): void {
  const create = async (
    what: string,
    partitions = 1,
    settings: Record<string, string | number> = {},
  ): Promise<string> => {
    const topic = newTopic(what);
    await client().admin.createTopic({ name: topic, partitions, settings: { 'retention.ms': -1, ...settings } });
    return topic;
  };
  const readAll = async (topic: string): Promise<ReadRecord<string, string>[]> => {
    const records: ReadRecord<string, string>[] = [];
    for await (const record of client().reader({ topic, to: 'end', key: text, value: text })) records.push(record);
    return records;
  };

  test('each record is told its place, and is there with all that was sent', async () => {
    const topic = await create('whole');
    await using producer = client().producer({ key: text, value: text });
    const headers = [
      ['trace', 'a'],
      ['trace', Buffer.from([0xff])],
      ['none', null],
    ] as const;
    const sent = await Promise.all([
      producer.send({ topic, key: 'k', value: 'v', headers, timestampMs: 1_700_000_000_000 }),
      producer.send({ topic, value: '', headers: { one: 'x' } }),
      producer.send({ topic, key: 'gone', value: null }),
    ]);
    expect(sent.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
    expect(sent[0]).toMatchObject({ topic, timestampMs: 1_700_000_000_000 });
    const records = await readAll(topic);
    expect(records.map(({ key, value }) => [key, value])).toEqual([
      ['k', 'v'],
      [null, ''],
      ['gone', null],
    ]);
    expect(records[0]?.headers).toEqual([
      { key: 'trace', value: Buffer.from('a') },
      { key: 'trace', value: Buffer.from([0xff]) },
      { key: 'none', value: null },
    ]);
    expect(records[1]?.header('one')).toBe('x');
    expect(records.map((record) => record.timestampMs)).toEqual(sent.map((result) => result.timestampMs));
  });

  test.each(compressions)('batches compressed by %s are read back', async (compression) => {
    const topic = await create(compression);
    await using producer = client().producer({ value: text, compression, batchBytesMax: 2_000 });
    const values = Array.from({ length: 300 }, (_, n) => `value number ${n}, with something to compress`);
    await producer.sendMany(values.map((value) => ({ topic, value })));
    expect((await readAll(topic)).map((record) => record.value)).toEqual(values);
  });

  test('keys go where every Kafka client puts them', async () => {
    const topic = await create('keyed', 7);
    await using producer = client().producer();
    const partitionOf = async (key: string): Promise<number> =>
      (await producer.send({ topic, key, value: 1 })).partition;
    expect(await Promise.all(['foobar', 'key-0', 'abc', '21'].map(partitionOf))).toEqual([0, 0, 4, 3]);
  });

  test('records without a key fill a batch in one partition, and all partitions in the long run', async () => {
    const topic = await create('sticky', 4);
    await using producer = client().producer({ value: bytes, batchBytesMax: 1_000 });
    const few = await producer.sendMany(Array.from({ length: 5 }, () => ({ topic, value: Buffer.alloc(10) })));
    expect(new Set(few.map((one) => one.partition)).size).toBe(1);
    const many = await producer.sendMany(Array.from({ length: 2_000 }, () => ({ topic, value: Buffer.alloc(100) })));
    expect(new Set(many.map((one) => one.partition)).size).toBe(4);
  });

  test('a partition can be named; one that is not there is refused', async () => {
    const topic = await create('named', 3);
    await using producer = client().producer();
    expect(await producer.send({ topic, key: 'foobar', value: 1, partition: 2 })).toMatchObject({ partition: 2 });
    await expect(producer.send({ topic, value: 1, partition: 3 })).rejects.toThrow(/partitions 0 to 2, not 3/);
  });

  test('acks 1 tells offsets, acks 0 does not, and both store', async () => {
    const topic = await create('acks');
    await using one = client().producer({ acks: 1, value: text });
    expect(await one.send({ topic, value: 'one' })).toMatchObject({ offset: 0 });
    await using none = client().producer({ acks: 0, value: text });
    expect(await none.send({ topic, value: 'none' })).toMatchObject({ offset: -1 });
    const reader = client().reader({ topic, value: text });
    const values: (string | null)[] = [];
    for await (const record of reader) {
      values.push(record.value);
      if (values.length === 2) break;
    }
    expect(values).toEqual(['one', 'none']);
  });

  test('on a topic that stamps records itself, the result and the record have its time', async () => {
    const topic = await create('stamped', 1, { 'message.timestamp.type': 'LogAppendTime' });
    await using producer = client().producer({ value: text });
    const { timestampMs } = await producer.send({ topic, value: 'x', timestampMs: 5 });
    expect(timestampMs).toBeGreaterThan(1_700_000_000_000);
    expect((await readAll(topic))[0]?.timestampMs).toBe(timestampMs);
  });

  test('many records through a small buffer all arrive, in the order of the sends', async () => {
    const topic = await create('small');
    await using producer = client().producer({ value: json<number>(), bufferBytesMax: 2_000, batchBytesMax: 500 });
    const sends = Array.from({ length: 2_000 }, (_, n) => producer.send({ topic, value: n }));
    const offsets = (await Promise.all(sends)).map((result) => result.offset);
    expect(offsets).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
    expect((await readAll(topic)).map((record) => Number(record.value))).toEqual(offsets);
  });

  test('a buffer that is full is sent, however long batches may linger', async () => {
    const topic = await create('full', 4);
    await using producer = client().producer({ value: bytes, bufferBytesMax: 2_000, lingerMs: 3_600_000 });
    const sends = Array.from({ length: 20 }, (_, n) =>
      producer.send({ topic, value: Buffer.alloc(200), partition: n % 4 }),
    );
    await Promise.race(sends);
  });

  test('sendMany takes from an endless source only as fast as there is room', async () => {
    const topic = await create('paced');
    await using producer = client().producer({ value: bytes, bufferBytesMax: 20_000 });
    let taken = 0;
    async function* source(): AsyncGenerator<{ topic: string; value: Buffer }> {
      for (; taken < 500; taken++) yield { topic, value: Buffer.alloc(1_000) };
    }
    const sending = producer.sendMany(source());
    await producer.send({ topic, value: Buffer.alloc(1) });
    expect(taken).toBeLessThan(100);
    expect(await sending).toHaveLength(500);
  });

  test('a batch over the limit of its topic is split, and only the record that is too large is refused', async () => {
    const topic = await create('limited', 1, { 'max.message.bytes': 2_000 });
    await using producer = client().producer({ value: bytes, batchBytesMax: 100_000, lingerMs: 50 });
    const sizes = [300, 300, 300, 300, 5_000, 300, 300, 300, 300, 300, 300];
    const sends = sizes.map((size) => producer.send({ topic, value: Buffer.alloc(size) }));
    const outcomes = await Promise.allSettled(sends);
    expect(outcomes.map((one) => one.status === 'fulfilled')).toEqual(sizes.map((size) => size === 300));
    expect(outcomes[4]).toMatchObject({ reason: { fault: 'batchTooLarge' } });
    const stored = await readAll(topic);
    expect(stored).toHaveLength(10);
    const offsets = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value.offset] : []));
    expect(offsets).toEqual(Array.from({ length: 10 }, (_, n) => n));
  });

  test('a record larger than the buffer is refused at once', async () => {
    const topic = await create('huge');
    await using producer = client().producer({ value: bytes, bufferBytesMax: 1_000 });
    await expect(producer.send({ topic, value: Buffer.alloc(2_000) })).rejects.toMatchObject({
      fault: 'invalidArgument',
    });
  });

  test('a compacted topic refuses a record without a key, with its batch', async () => {
    const topic = await create('compacted', 1, { 'cleanup.policy': 'compact' });
    await using producer = client().producer({ value: text, lingerMs: 50 });
    const sends = [producer.send({ topic, key: 'a', value: '1' }), producer.send({ topic, value: '2' })];
    const outcomes = await Promise.allSettled(sends);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { kafka: 'INVALID_RECORD' } });
    // What was refused leaves no gap behind which the producer would hang.
    expect(await producer.send({ topic, key: 'a', value: '3' })).toMatchObject({ offset: 0 });
  });

  test('a missing topic is made on demand, or is unknown', async () => {
    await using eager = client().producer();
    expect(await eager.send({ topic: newTopic('on-demand'), value: 1 })).toMatchObject({ offset: 0 });
    await using strict = client().producer({ autoCreate: false, unknownTopicMs: 100 });
    const topic = newTopic('not-there');
    await expect(strict.send({ topic, value: 1 })).rejects.toMatchObject({ fault: 'unknownTopic' });
    await client().admin.createTopic({ name: topic });
    expect(await strict.send({ topic, value: 1 })).toMatchObject({ offset: 0 });
  });

  test('a topic that is deleted and made again is sent to as before', async () => {
    const topic = await create('reborn');
    await using producer = client().producer({ value: text });
    for (const value of ['a', 'b', 'c']) await producer.send({ topic, value });
    await client().admin.deleteTopic(topic);
    await client().admin.createTopic({ name: topic });
    expect(await producer.send({ topic, value: 'd' })).toMatchObject({ offset: 0 });
    expect((await readAll(topic)).map((record) => record.value)).toEqual(['d']);
  });

  test('flush sends what lingers; close delivers what was sent and takes no more', async () => {
    const topic = await create('lingering');
    const producer = client().producer({ lingerMs: 3_600_000 });
    let delivered = 0;
    const count = (): number => delivered++;
    void producer.send({ topic, value: 1 }).then(count);
    await producer.flush();
    expect(delivered).toBe(1);
    void producer.send({ topic, value: 2 }).then(count);
    await producer.close();
    expect(delivered).toBe(2);
    await expect(producer.send({ topic, value: 3 })).rejects.toMatchObject({ fault: 'clientClosed' });
  });

  test('close with a timeout of 0 gives up what is not delivered', async () => {
    const topic = await create('given-up');
    const producer = client().producer({ lingerMs: 3_600_000 });
    const send = expect(producer.send({ topic, value: 1 })).rejects.toMatchObject({ fault: 'clientClosed' });
    await producer.close({ timeoutMs: 0 });
    await send;
  });

  test('a value that its codec cannot hold, or a header, rejects its send and no other', async () => {
    const topic = await create('codec');
    await using producer = client().producer({ value: text });
    const bad = producer.send({ topic, value: 7 as never });
    const badHeader = producer.send({ topic, value: 'y', headers: { retries: 3 as never } });
    const badName = producer.send({ topic, value: 'y', headers: [[3 as never, 'x']] });
    const good = producer.send({ topic, value: 'x', headers: null as never });
    await expect(badName).rejects.toMatchObject({ fault: 'invalidArgument' });
    await expect(bad).rejects.toMatchObject({ fault: 'invalidArgument' });
    await expect(badHeader).rejects.toMatchObject({ fault: 'invalidArgument' });
    await expect(badHeader).rejects.toThrow(/header "retries" must be text, a Buffer or null, not number/);
    expect(await good).toMatchObject({ offset: 0 });
  });

  test('a codec that makes no Buffer rejects its send', async () => {
    const codec = { encode: () => new Uint8Array(1) as Buffer, decode: String };
    await using producer = client().producer({ value: codec });
    const topic = await create('no-buffer');
    await expect(producer.send({ topic, value: 'x' })).rejects.toThrow(/encode returns must be a Buffer/);
  });
}
