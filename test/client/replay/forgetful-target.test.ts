import { expect, test } from 'vitest';
import { text } from '../../../src/client/codecs.ts';
import { Millrace } from '../../../src/millrace.ts';
import { lastOffsetDelta, stamp } from '../../../src/record/batch.ts';
import { recordsOf } from '../../../src/record/records.ts';
import { type Answer, FakeBroker, fetched, produced, type Script, shortPauses, TOPIC } from '../fake-broker.ts';

const RECORDS = 40;

/**
 * A broker that stores whatever it is sent: it has forgotten the producer, as Apache Kafka does at a start when the producer's records are
 * older than a day by their timestamps. It hangs up on some requests, each time after it has stored the batch.
 */
class ForgetfulTarget {
  readonly stored: Buffer[] = [];
  #endNext = 0;
  #produces = 0;
  readonly #hangsUpOn: readonly number[];

  constructor(hangsUpOn: readonly number[]) {
    this.#hangsUpOn = hangsUpOn;
  }

  get values(): (string | undefined)[] {
    return this.stored.flatMap((batch) => [...recordsOf(batch)].map(({ value }) => value?.toString()));
  }

  readonly script: Script = {
    Produce: ({ topicData }): Answer<'Produce'> => {
      const batch = Buffer.from(topicData[0]!.partitionData[0]!.records![0]!);
      const baseOffset = this.#endNext;
      stamp(batch, 0, baseOffset, 1);
      this.stored.push(batch);
      this.#endNext += lastOffsetDelta(batch, 0) + 1;
      return this.#hangsUpOn.includes(++this.#produces) ? 'hang up' : produced({ baseOffset });
    },
    ListOffsets: ({ topics }) => {
      const isEarliest = topics[0]!.partitions[0]!.timestamp === -2;
      const partitions = [{ partitionIndex: 0, offset: isEarliest ? 0 : this.#endNext, leaderEpoch: 1 }];
      return { topics: [{ name: TOPIC, partitions }] };
    },
    Fetch: ({ topics }) => {
      const { fetchOffset } = topics[0]!.partitions[0]!;
      const records = this.stored.filter((batch) => Number(batch.readBigInt64BE()) >= fetchOffset);
      return fetched({ records, highWatermark: this.#endNext, lastStableOffset: this.#endNext });
    },
    DescribeConfigs: () => ({ results: [{ resourceType: 2, resourceName: TOPIC, configs: [] }] }),
  };
}

test('a target that hangs up after it has stored, and knows the producer no more, has every record once', async () => {
  const target = new ForgetfulTarget([1, 3, 4, 7]);
  await using broker = await FakeBroker.start(target.script);
  await using there = await Millrace.connect(broker.address, shortPauses);
  await using here = await Millrace.open();
  await here.admin.createTopic({ name: 'source', partitions: 1 });
  const values = Array.from({ length: RECORDS }, (_, i) => `record ${i}`);
  // Compressed batches pass as they are, so that there are many.
  for (const value of values) {
    await using producer = here.producer({ value: text, compression: 'gzip' });
    await producer.send({ topic: 'source', value });
  }
  const { records } = await here.replay({
    topic: 'source',
    target: { topic: TOPIC, client: there, partition: 'same' },
  });
  expect(records).toBe(RECORDS);
  expect(target.values).toEqual(values);
});
