import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import type { Producer } from '../../src/client/producer.ts';
import type { ProducerOptions } from '../../src/client/producer-options.ts';
import { baseSequence, producerEpoch, producerId } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { type Answer, FakeBroker, produced, type Script, shortPauses, TOPIC, TOPIC_ID } from './fake-broker.ts';

interface Batch {
  values: string[];
  producerId: number;
  epoch: number;
  sequence: number;
}

function batchOf(request: Messages['Produce']['request']): Batch {
  const bytes = request.topicData[0]!.partitionData[0]!.records![0]!;
  const values = [...recordsOf(bytes)].map((record) => record.value!.toString());
  return { values, producerId: producerId(bytes, 0), epoch: producerEpoch(bytes, 0), sequence: baseSequence(bytes, 0) };
}

const { code: notLeader } = kafkaErrors.NOT_LEADER_OR_FOLLOWER;
const { code: outOfOrder } = kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER;

let broker: FakeBroker;
let client: Millrace;
/** Every batch that came, in order. */
let batches: Batch[];
/** The answers to produce requests, one after another; the last for all that follow. */
let answers: ((batch: Batch) => Answer<'Produce'>)[];
let script: Script;

const stored =
  (baseOffset = 0) =>
  (): Answer<'Produce'> =>
    produced({ baseOffset });
const fails = (errorCode: number) => (): Answer<'Produce'> => produced({ errorCode });

beforeEach(async () => {
  batches = [];
  script = {
    Produce: (request) => {
      const batch = batchOf(request);
      batches.push(batch);
      return answers[Math.min(batches.length, answers.length) - 1]!(batch);
    },
  };
  broker = await FakeBroker.start(script);
  client = await Millrace.connect(broker.address, shortPauses);
});

afterEach(async () => {
  await client.close({ timeoutMs: 0 });
  await broker.close();
});

const producer = (options: Partial<ProducerOptions<string, string>> = {}): Producer<string, string> =>
  client.producer({ value: text, lingerMs: 0, ...options });
const send = (to: Producer<string, string>, value: string) => to.send({ topic: TOPIC, value });

describe('what may pass is tried again, with the same numbers', () => {
  test.each([
    ['another broker leads', fails(notLeader)],
    ['the topic is not known yet', fails(kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION.code)],
    ['the disk is full', fails(kafkaErrors.KAFKA_STORAGE_ERROR.code)],
    ['the answer is lost', (): Answer<'Produce'> => 'hang up'],
  ])('when %s', async (_what, failure) => {
    answers = [failure, failure, stored(5)];
    expect(await send(producer(), 'a')).toMatchObject({ offset: 5 });
    const expected = { values: ['a'], producerId: 7, epoch: 0, sequence: 0 };
    expect(batches).toEqual([expected, expected, expected]);
  });

  test('when the answer does not come in time', async () => {
    answers = [() => 'silence', stored()];
    expect(await send(producer({ requestTimeoutMs: 1_500 }), 'a')).toMatchObject({ offset: 0 });
    expect(batches.map((batch) => batch.sequence)).toEqual([0, 0]);
  });

  test('when the broker says that it was stored by an earlier attempt', async () => {
    answers = [() => 'hang up', fails(kafkaErrors.DUPLICATE_SEQUENCE_NUMBER.code)];
    expect(await send(producer(), 'a')).toMatchObject({ offset: -1 });
  });
});

test('without idempotence batches have no numbers, and are tried again too', async () => {
  answers = [fails(notLeader), stored(3)];
  expect(await send(producer({ idempotent: false, acks: 1 }), 'a')).toMatchObject({ offset: 3 });
  expect(batches.map(({ producerId: id, sequence }) => [id, sequence])).toEqual([
    [-1, -1],
    [-1, -1],
  ]);
  expect(broker.count('InitProducerId')).toBe(0);
});

test('what does not pass rejects the records, and later ones go on from a raised epoch', async () => {
  answers = [stored(), fails(kafkaErrors.TOPIC_AUTHORIZATION_FAILED.code), stored(1)];
  const one = producer();
  await send(one, 'a');
  await expect(send(one, 'b')).rejects.toMatchObject({ kafka: 'TOPIC_AUTHORIZATION_FAILED' });
  expect(await send(one, 'c')).toMatchObject({ offset: 1 });
  expect(batches.map(({ epoch, sequence }) => [epoch, sequence])).toEqual([
    [0, 0],
    [0, 1],
    [1, 0],
  ]);
});

test('a broker that lost what it knew of the producer gets the same records from a raised epoch', async () => {
  answers = [stored(), fails(outOfOrder), stored(1)];
  const one = producer();
  await send(one, 'a');
  expect(await send(one, 'b')).toMatchObject({ offset: 1 });
  expect(batches.slice(1)).toEqual([
    { values: ['b'], producerId: 7, epoch: 0, sequence: 1 },
    { values: ['b'], producerId: 7, epoch: 1, sequence: 0 },
  ]);
});

test('a batch in the middle that fails for a moment is stored before those that were in flight behind it', async () => {
  const log: string[] = [];
  let next = 0;
  let failed = false;
  answers = [
    ({ values, sequence }) => {
      if (values[0] === 'b' && !failed) {
        failed = true;
        return produced({ errorCode: notLeader });
      }
      if (sequence !== next) return produced({ errorCode: outOfOrder });
      next += values.length;
      log.push(...values);
      return produced({ baseOffset: next - values.length });
    },
  ];
  const one = producer({ batchBytesMax: 1 });
  await send(one, 'a');
  const rest = await Promise.all(['b', 'c', 'd', 'e', 'f'].map((value) => send(one, value)));
  expect(log).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(rest.map((result) => result.offset)).toEqual([1, 2, 3, 4, 5]);
});

test('a record that cannot be delivered in time is rejected with the last cause, and the next one is safe', async () => {
  answers = [fails(notLeader)];
  const one = producer({ deliveryTimeoutMs: 2_000 });
  const error = await send(one, 'a').catch((cause: Error) => cause);
  expect(error).toMatchObject({ fault: 'deliveryTimedOut', cause: { kafka: 'NOT_LEADER_OR_FOLLOWER' } });
  answers = [stored(9)];
  expect(await send(one, 'b')).toMatchObject({ offset: 9 });
  expect(batches.at(-1)).toEqual({ values: ['b'], producerId: 7, epoch: 1, sequence: 0 });
});

test('a broker that cannot be reached any more: the record is rejected in time', async () => {
  answers = [stored()];
  const one = producer({ deliveryTimeoutMs: 2_000 });
  await send(one, 'a');
  await broker.close();
  const error = await send(one, 'b').catch((cause: Error) => cause);
  expect(error).toMatchObject({ fault: 'deliveryTimedOut' });
  expect((error as Error).message).toContain('ECONNREFUSED');
});

test('sends that wait for room are rejected in time, too', async () => {
  answers = [() => 'silence'];
  const one = producer({ deliveryTimeoutMs: 300, bufferBytesMax: 100 });
  const sends = ['a'.repeat(60), 'b'.repeat(60), 'c'.repeat(60)].map((value) => send(one, value));
  for (const outcome of await Promise.allSettled(sends)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { fault: 'deliveryTimedOut' } });
  }
});

test('a broker without producer ids says what to do', async () => {
  answers = [stored()];
  script.InitProducerId = () => ({ errorCode: kafkaErrors.CLUSTER_AUTHORIZATION_FAILED.code });
  await expect(send(producer(), 'a')).rejects.toThrow(/idempotent: false/);
  delete script.InitProducerId;
  expect(await send(producer(), 'a')).toMatchObject({ offset: 0 });
});

test('single records that the broker refuses have its words, the others the reason why they are not stored either', async () => {
  const errorCode = kafkaErrors.INVALID_RECORD.code;
  answers = [() => produced({ errorCode, recordErrors: [{ batchIndex: 1, batchIndexErrorMessage: 'too blue' }] })];
  const one = producer({ lingerMs: 20 });
  const outcomes = await Promise.allSettled(['a', 'b'].map((value) => send(one, value)));
  const messages = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.message : ''));
  expect(messages[0]).toContain('other records');
  expect(messages[1]).toContain('too blue');
});

test('an answer that leaves a partition out is not taken for success', async () => {
  answers = [() => ({ responses: [{ name: TOPIC, topicId: TOPIC_ID, partitionResponses: [] }] }), stored()];
  await expect(send(producer(), 'a')).rejects.toMatchObject({ fault: 'malformedResponse' });
});

test('five requests at most are in flight, and what waits is batched', async () => {
  let open = 0;
  let openMax = 0;
  const gates: (() => void)[] = [];
  script.Produce = async (request) => {
    const batch = batchOf(request);
    batches.push(batch);
    openMax = Math.max(openMax, ++open);
    if (batches.length === 1) return produced({ baseOffset: 0 });
    await new Promise<void>((resolve) => gates.push(resolve));
    open--;
    return produced({ baseOffset: 0 });
  };
  const one = producer();
  await send(one, 'first');
  const sends: Promise<unknown>[] = [];
  for (let n = 0; n < 50; n++) {
    sends.push(send(one, String(n)));
    await Promise.resolve();
  }
  const done = Promise.all(sends);
  const release = setInterval(() => gates.shift()?.(), 1);
  await done;
  clearInterval(release);
  expect(batches.length).toBeLessThan(12);
  expect(batches.slice(1).flatMap((batch) => batch.values)).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
});

test('options that contradict each other are refused', () => {
  expect(() => producer({ acks: 1, idempotent: true })).toThrow(/idempotent needs acks/);
  expect(() => producer({ inFlightMax: 6 })).toThrow(/at most 5/);
  expect(() => producer({ acks: 2 as never })).toThrow(/acks must be/);
  expect(() => producer({ compression: 'brotli' as never })).toThrow(/compression must be/);
  for (const requestTimeoutMs of [0, 30_000.5, 2 ** 31, Number.NaN]) {
    expect(() => producer({ requestTimeoutMs })).toThrow(/requestTimeoutMs must be a whole number/);
  }
});
