import { field, stampCrc } from '../../../src/record/batch.ts';
import { writeInt64 } from '../../../src/record/big-endian.ts';
import { batch } from '../support.ts';
import { garbage } from './garbage.ts';
import { CLOSED, type Scenario, type Side } from './scenario.ts';

/** One version for each way in which produce requests differ to the broker. */
const SOME = [3, 7, 9, 13];
const STRANGE_ID = 'Zm9vYmFyZm9vYmFyZm9vYg';

interface Sent {
  readonly index?: number;
  readonly records: Buffer | null;
  readonly acks?: number;
  readonly transactionalId?: string;
}

interface Target {
  readonly name: string;
  readonly id: string;
}

async function send(side: Side, version: number, { name, id }: Target, sent: Sent): Promise<unknown> {
  const { index = 0, records, acks = -1, transactionalId = null } = sent;
  const partitionData = [{ index, records: records === null ? null : [records] }];
  const answer = await side.ask('Produce', version, {
    acks,
    timeoutMs: 5000,
    transactionalId,
    topicData: [version < 13 ? { name, partitionData } : { topicId: id, partitionData }],
  });
  if (answer === null) return CLOSED;
  return answer.responses[0]!.partitionResponses.map(({ index, errorCode, baseOffset, logStartOffset }) => ({
    index,
    errorCode,
    baseOffset,
    // Of a refusal Kafka tells it in some cases, which no client looks at.
    logStartOffset: errorCode === 0 ? logStartOffset : undefined,
  }));
}

/** A batch of which some bytes are other than they should be; `sealed` when the CRC covers the change. */
function changed(change: (bytes: Buffer) => void, sealed = true, values = ['a', 'b', 'c']): Buffer {
  const bytes = Buffer.from(batch(values));
  change(bytes);
  if (sealed) stampCrc(bytes, 0);
  return bytes;
}

const nowMs = Date.now();
const MINUTE_MS = 60_000;

/** What one batch on a topic of default settings is answered with. */
const single: Record<string, Sent> = {
  'a good batch': { records: batch() },
  'acks=1': { records: batch(), acks: 1 },
  'acks=2': { records: batch(), acks: 2 },
  'acks=-2': { records: batch(), acks: -2 },
  'no records': { records: Buffer.alloc(0) },
  'a partition that is not there': { records: batch(), index: 7 },
  'a partition below zero': { records: batch(), index: -1 },
  'a wrong CRC': { records: changed((bytes) => bytes.writeUInt8(0x55, bytes.length - 2), false) },
  'magic 0': { records: changed((bytes) => bytes.writeInt8(0, field.magic)) },
  'magic 1': { records: changed((bytes) => bytes.writeInt8(1, field.magic)) },
  'magic 3': { records: changed((bytes) => bytes.writeInt8(3, field.magic)) },
  'half a batch': { records: batch(['a', 'b', 'c']).subarray(0, 70) },
  'half a header': { records: batch(['a', 'b', 'c']).subarray(0, 30) },
  'a length of 0': { records: changed((bytes) => bytes.writeInt32BE(0, field.length), false) },
  'a length below zero': { records: changed((bytes) => bytes.writeInt32BE(-5, field.length), false) },
  'two batches': { records: Buffer.concat([batch(['a']), batch(['b'])]) },
  'a control batch': { records: batch(['x'], { isControl: true, key: Buffer.from([0, 0, 0, 1]) }) },
  'a transactional batch without a transaction': {
    records: batch(['x'], { isTransactional: true, producerId: 5, producerEpoch: 0, baseSequence: 0 }),
  },
  'a base offset': { records: changed((bytes) => writeInt64(bytes, field.baseOffset, 9), false) },
  'more offsets than records': { records: changed((bytes) => bytes.writeInt32BE(5, field.lastOffsetDelta)) },
  'fewer offsets than records': { records: changed((bytes) => bytes.writeInt32BE(1, field.lastOffsetDelta)) },
  'no record in a batch': { records: changed((bytes) => bytes.writeInt32BE(0, field.recordCount)) },
  'a producer without a sequence': { records: batch(['x'], { producerId: 5, producerEpoch: 0, baseSequence: -1 }) },
  'a producer id below -1': { records: changed((bytes) => writeInt64(bytes, field.producerId, -5)) },
  'compression 5': { records: changed((bytes) => bytes.writeInt16BE(5, field.attributes)) },
  'gzip of nonsense': { records: changed((bytes) => bytes.writeInt16BE(1, field.attributes)) },
  'a time below zero': { records: batch(['x'], { timestampMs: -2 }) },
  'no time': { records: batch(['x'], { timestampMs: -1 }) },
  'a time of long ago': { records: batch(['x'], { timestampMs: 1000 }) },
  'a time 30 minutes ahead': { records: batch(['x'], { timestampMs: nowMs + 30 * MINUTE_MS }) },
  'a time 2 hours ahead': { records: batch(['x'], { timestampMs: nowMs + 120 * MINUTE_MS }) },
  'LogAppendTime by the producer': { records: changed((bytes) => bytes.writeInt16BE(8, field.attributes)) },
  'a batch over max.message.bytes': { records: batch(['x'.repeat(1_100_000)]) },
  'a new producer that starts at sequence 5': {
    records: batch(['x'], { producerId: 4000, producerEpoch: 0, baseSequence: 5 }),
  },
  'a transactional id': { records: batch(), transactionalId: 'tx' },
};

const OFFSET_DELTAS = 'readers would give the records other offsets than were answered';
const COMPRESSED = 'records are not decompressed on the way in';
const OVERLONG = 'INVALID_RECORD instead of an unknown error';

/** Where we answer otherwise than Kafka, on purpose. */
const different: Record<string, string> = {
  'records of ones': OVERLONG,
  'a length that does not end': OVERLONG,
  'an offset delta of 1': OFFSET_DELTAS,
  'an offset delta below zero': OFFSET_DELTAS,
  'the same offset twice': OFFSET_DELTAS,
  'gzip of text': COMPRESSED,
  'zstd of text': COMPRESSED,
  'text as lz4': COMPRESSED,
  'text as snappy': COMPRESSED,
  'magic 3': 'the client would send it again for ever: INVALID_RECORD instead of the retriable CORRUPT_MESSAGE',
  'a transactional batch without a transaction': 'transactions are not served',
  'a transactional id': 'transactions are not served',
  'compression 5': 'an error of its own instead of an unknown one',
  'gzip of nonsense': COMPRESSED,
  'LogAppendTime by the producer': 'refused instead of overwritten',
};

const singles: Scenario[] = Object.entries(single).map(([says, sent]) => ({
  api: 'Produce',
  says,
  versions: SOME,
  ...(different[says] === undefined ? {} : { differs: different[says] }),
  run: async (side, { topic, version }) => {
    const id = await side.topic(topic);
    const first = await send(side, version, { name: topic, id }, sent);
    // What was refused must not have taken an offset.
    return [first, await send(side, version, { name: topic, id }, { records: batch() })];
  },
}));

/** One idempotent producer's batches, one after another. */
function sequence(says: string, batches: readonly [epoch: number, sequence: number, count: number][]): Scenario {
  return {
    api: 'Produce',
    says,
    versions: [9],
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const answers: unknown[] = [];
      for (const [producerEpoch, baseSequence, count] of batches) {
        const values = Array.from({ length: count }, (_, i) => `v${i}`);
        const records = batch(values, { producerId: 5000, producerEpoch, baseSequence });
        answers.push(await send(side, version, { name: topic, id }, { records }));
      }
      return answers;
    },
  };
}

const SEQUENCE_LAST = 0x7fffffff;

const sequences: Scenario[] = [
  sequence('sequences in order', [
    [0, 0, 2],
    [0, 2, 1],
    [0, 3, 1],
  ]),
  sequence('a gap', [
    [0, 0, 2],
    [0, 3, 1],
    [0, 2, 1],
  ]),
  sequence('a retry', [
    [0, 0, 2],
    [0, 2, 1],
    [0, 0, 2],
    [0, 2, 1],
  ]),
  sequence('a retry of another size', [
    [0, 0, 2],
    [0, 0, 1],
    [0, 1, 1],
  ]),
  sequence('a retry older than the five last', [
    [0, 0, 1],
    [0, 1, 1],
    [0, 2, 1],
    [0, 3, 1],
    [0, 4, 1],
    [0, 5, 1],
    [0, 0, 1],
    [0, 1, 1],
  ]),
  sequence('a lower epoch', [
    [3, 0, 1],
    [2, 0, 1],
    [3, 1, 1],
  ]),
  sequence('a higher epoch from 0', [
    [0, 0, 1],
    [1, 0, 1],
    [0, 1, 1],
  ]),
  sequence('a higher epoch not from 0', [
    [0, 0, 1],
    [1, 7, 1],
  ]),
  sequence('an epoch below zero', [
    [-1, 0, 1],
    [-1, 1, 1],
  ]),
  sequence('the wrap of sequences', [
    [0, SEQUENCE_LAST - 1, 1],
    [0, SEQUENCE_LAST, 1],
    [0, 0, 1],
  ]),
  sequence('a batch across the wrap', [
    [0, SEQUENCE_LAST - 1, 1],
    [0, SEQUENCE_LAST, 3],
    [0, 2, 1],
  ]),
];

const others: Scenario[] = [
  {
    api: 'Produce',
    says: 'a batch of a producer id below -1, twice',
    versions: [9],
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const records = changed((bytes) => writeInt64(bytes, field.producerId, -5));
      const target = { name: topic, id };
      return [await send(side, version, target, { records }), await send(side, version, target, { records })];
    },
  },
  {
    api: 'Produce',
    says: 'stores, by name or id',
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const target = { name: topic, id };
      return [
        await send(side, version, target, { records: batch(['a', 'b']) }),
        await send(side, version, target, { records: batch(['c']), acks: 1 }),
        await send(side, version, { name: 'no-such', id: STRANGE_ID }, { records: batch() }),
        await send(side, version, { name: 'a b/..', id: 'AAAAAAAAAAAAAAAAAAAAAA' }, { records: batch() }),
        await send(side, version, { name: '', id: STRANGE_ID }, { records: batch() }),
      ];
    },
  },
  {
    api: 'Produce',
    says: 'no topics at all',
    versions: SOME,
    run: async (side, { version }) =>
      (await side.ask('Produce', version, { acks: -1, timeoutMs: 100 }))?.responses ?? CLOSED,
  },
  {
    api: 'Produce',
    says: 'a compacted topic and records with and without keys',
    versions: [9],
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic, 1, { 'cleanup.policy': 'compact' });
      const target = { name: topic, id };
      return [
        await send(side, version, target, { records: batch(['a']) }),
        await send(side, version, target, { records: batch(['a'], { key: Buffer.from('k') }) }),
        await send(side, version, target, { records: batch(['a', 'b'], { compression: 'gzip' }) }),
      ];
    },
  },
  {
    api: 'Produce',
    says: 'limits of the topic: size, time before, time after',
    versions: [9],
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic, 1, {
        'max.message.bytes': '200',
        'message.timestamp.before.max.ms': '1000000',
        'message.timestamp.after.max.ms': '1000000',
      });
      const target = { name: topic, id };
      const answers: unknown[] = [];
      for (const records of [
        batch(['x'.repeat(200)]),
        batch(['x'.repeat(1000)], { compression: 'gzip' }),
        batch(['x'], { timestampMs: nowMs - 2_000_000 }),
        batch(['x'], { timestampMs: nowMs + 2_000_000 }),
        batch(['x'], { timestampMs: -1 }),
        batch(['x'], { timestampMs: nowMs }),
      ]) {
        answers.push(await send(side, version, target, { records }));
      }
      return answers;
    },
  },
  {
    api: 'Produce',
    says: 'LogAppendTime of the topic',
    versions: SOME,
    run: async (side, { topic, version }) => {
      const topicId = await side.topic(topic, 1, { 'message.timestamp.type': 'LogAppendTime' });
      const partitionData = [{ index: 0, records: [batch(['a'], { timestampMs: 5 })] }];
      const answer = await side.ask('Produce', version, {
        acks: -1,
        timeoutMs: 5000,
        topicData: [version < 13 ? { name: topic, partitionData } : { topicId, partitionData }],
      });
      const { errorCode, logAppendTimeMs } = answer!.responses[0]!.partitionResponses[0]!;
      return { errorCode, isNow: logAppendTimeMs >= nowMs };
    },
  },
  {
    api: 'Produce',
    says: 'zstd by version',
    versions: [3, 6, 7, 13],
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      return send(side, version, { name: topic, id }, { records: batch(['a'], { compression: 'zstd' }) });
    },
  },
  {
    api: 'Produce',
    says: 'acks=0: no answer; a refusal ends the connection',
    versions: SOME,
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const ask = (name: string, topicId: string) => {
        const partitionData = [{ index: 0, records: [batch()] }];
        return {
          acks: 0,
          timeoutMs: 1,
          topicData: [version < 13 ? { name, partitionData } : { topicId, partitionData }],
        };
      };
      const client = await side.client();
      client.post('Produce', version, ask(topic, id));
      const next = await client.request('ApiVersions', 0, {});
      client.post('Produce', version, ask('no-such', STRANGE_ID));
      await client.closed;
      return { answered: next.errorCode };
    },
  },
];

const garbled: Scenario[] = Object.entries(garbage).map(([says, records]) => ({
  api: 'Produce',
  says,
  versions: [9],
  ...(different[says] === undefined ? {} : { differs: different[says] }),
  run: async (side, { topic, version }) => {
    const id = await side.topic(topic);
    const target = { name: topic, id };
    return [await send(side, version, target, { records }), await send(side, version, target, { records: batch() })];
  },
}));

export const produceScenarios: readonly Scenario[] = [...singles, ...garbled, ...sequences, ...others];
