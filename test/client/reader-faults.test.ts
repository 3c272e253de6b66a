import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import type { Reader } from '../../src/client/reader.ts';
import type { ReaderOptions } from '../../src/client/reader-options.ts';
import { type BatchOptions, buildBatch } from '../../src/record/batch-builder.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { type Answer, FakeBroker, fetched, type Script, shortPauses, TOPIC } from './fake-broker.ts';

type FetchRequest = Messages['Fetch']['request'];

let broker: FakeBroker;
let client: Millrace;
let script: Script;
let asked: FetchRequest[];
/** The answers to fetches, one after another; after the last, silence. */
let answers: ((request: FetchRequest) => Answer<'Fetch'>)[];

beforeEach(async () => {
  asked = [];
  script = {
    Fetch: (request) => {
      asked.push(request);
      return answers[asked.length - 1]?.(request) ?? 'silence';
    },
    ListOffsets: ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name: name!,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          offset: timestamp === -2 ? 0 : 1_000,
        })),
      })),
    }),
  };
  broker = await FakeBroker.start(script);
  client = await Millrace.connect(broker.address, shortPauses);
});

afterEach(async () => {
  await client.close();
  await broker.close();
});

const batch = (baseOffset: number, values: string[], options: BatchOptions = {}): Buffer =>
  buildBatch(
    values.map((value) => ({ timestampMs: 1, value: Buffer.from(value) })),
    { baseOffset, ...options },
  );
const gives =
  (...batches: Buffer[]) =>
  (): Answer<'Fetch'> =>
    fetched({ records: [Buffer.concat(batches)] });
const fails = (errorCode: number) => (): Answer<'Fetch'> => fetched({ errorCode });
const reader = (options: Partial<ReaderOptions<string, string>> = {}): Reader<string, string> =>
  client.reader({ topic: TOPIC, value: text, ...options });

/** The values of so many records, or the fault that came before. */
async function read(count: number, options: Partial<ReaderOptions<string, string>> = {}): Promise<(string | null)[]> {
  const values: (string | null)[] = [];
  for await (const record of reader(options)) {
    values.push(record.value);
    if (values.length === count) break;
  }
  return values;
}

describe('what may pass is tried again from the same offset', () => {
  test.each([
    ['another broker leads', fails(kafkaErrors.NOT_LEADER_OR_FOLLOWER.code)],
    ['the epoch is old', fails(kafkaErrors.FENCED_LEADER_EPOCH.code)],
    ['the topic has another id', fails(kafkaErrors.UNKNOWN_TOPIC_ID.code)],
    ['the connection breaks', (): Answer<'Fetch'> => 'hang up'],
    ['the whole fetch fails', (): Answer<'Fetch'> => ({ errorCode: kafkaErrors.INCONSISTENT_TOPIC_ID.code })],
  ])('when %s', async (_what, failure) => {
    answers = [gives(batch(0, ['a', 'b'])), failure, failure, gives(batch(2, ['c']))];
    expect(await read(3)).toEqual(['a', 'b', 'c']);
    const offsets = asked.flatMap((request) => request.topics.flatMap((topic) => topic.partitions[0]!.fetchOffset));
    expect(offsets.slice(0, 4)).toEqual([0, 2, 2, 2]);
  });

  test('a disk of the broker that fails is told of at once, and once, and ends the reading after retryTimeoutMs', async () => {
    const told: [facts: object, message: string][] = [];
    const warn = (...line: [object, string]): void => void told.push(line);
    const logger = { debug() {}, info() {}, warn, error: warn };
    const { address } = broker;
    await client.close();
    client = await Millrace.connect(address, { ...shortPauses, logger });
    const failure = fails(kafkaErrors.KAFKA_STORAGE_ERROR.code);
    answers = [gives(batch(0, ['a', 'b'])), failure, failure, gives(batch(2, ['c']))];
    expect(await read(3)).toEqual(['a', 'b', 'c']);
    const place = { topic: TOPIC, partition: 0 };
    expect(told.splice(0)).toMatchObject([[place, expect.stringMatching(/disk of a broker/)]]);
    asked = [];
    answers = Array.from({ length: 1000 }, () => failure);
    await expect(read(3, { retryTimeoutMs: 100 })).rejects.toMatchObject({
      fault: 'diskError',
      message: expect.stringContaining(`topic ${TOPIC}, partition 0, offset`),
    });
    expect(told).toMatchObject([[place, expect.stringMatching(/disk of a broker/)]]);
  });

  test('but not for longer than retryTimeoutMs', async () => {
    answers = Array.from({ length: 100 }, () => fails(kafkaErrors.NOT_LEADER_OR_FOLLOWER.code));
    await expect(read(1, { retryTimeoutMs: 100 })).rejects.toMatchObject({ kafka: 'NOT_LEADER_OR_FOLLOWER' });
  });
});

test('what does not pass ends the reading with the place', async () => {
  answers = [gives(batch(0, ['a'])), fails(kafkaErrors.TOPIC_AUTHORIZATION_FAILED.code)];
  await expect(read(2)).rejects.toThrow(/TOPIC_AUTHORIZATION_FAILED.*topic topic, partition 0, offset 1/);
});

test('a broker that found rot: corruptBatch with the place, at once', async () => {
  answers = [fails(kafkaErrors.CORRUPT_MESSAGE.code)];
  await expect(read(1, { from: { offset: 7 } })).rejects.toThrow(
    /damaged: topic topic, partition 0, offset 7; .*millrace\.rot=skip.*`millrace log verify`/,
  );
});

describe('a session', () => {
  test('that the broker forgot is opened again at once', async () => {
    const whole = { sessionId: 5 };
    answers = [
      () => fetched({ records: [batch(0, ['a'])] }, whole),
      () => ({ errorCode: kafkaErrors.FETCH_SESSION_ID_NOT_FOUND.code }),
      () => fetched({ records: [batch(1, ['b'])] }, whole),
      () => fetched({ records: [batch(2, ['c'])] }, whole),
    ];
    expect(await read(3)).toEqual(['a', 'b', 'c']);
    const sessions = asked.map(({ sessionId, sessionEpoch }) => [sessionId, sessionEpoch]);
    expect(sessions.slice(0, 4)).toEqual([
      [0, 0],
      [5, 1],
      [0, 0],
      [5, 1],
    ]);
  });

  test('is not opened by a reader that soon ends', async () => {
    answers = [gives(batch(0, ['a']))];
    expect(await read(5, { to: { offset: 1 } })).toEqual(['a']);
    expect(asked.map(({ sessionId, sessionEpoch }) => [sessionId, sessionEpoch])).toEqual([[0, -1]]);
  });
});

describe('what comes is looked through', () => {
  test('a batch that is cut off at the end is fetched again', async () => {
    const second = batch(2, ['c', 'd']);
    answers = [gives(batch(0, ['a', 'b']), second.subarray(0, 70)), gives(second)];
    expect(await read(4)).toEqual(['a', 'b', 'c', 'd']);
    expect(asked[1]?.topics[0]?.partitions[0]?.fetchOffset).toBe(2);
  });

  test('records below the offset asked for, and control batches, are left out', async () => {
    const control = batch(6, ['\0\0\0\0\0\0'], {
      isControl: true,
      isTransactional: true,
      producerId: 1,
      producerEpoch: 0,
    });
    answers = [gives(batch(3, ['d', 'e', 'f']), control, batch(7, ['h']))];
    expect(await read(3, { from: { offset: 4 } })).toEqual(['e', 'f', 'h']);
  });

  test('an emptied batch, as compaction leaves it, is passed', async () => {
    const emptied = buildBatch([{ timestampMs: 1, value: Buffer.from('x') }], { baseOffset: 0 }).subarray(0, 61);
    emptied.writeInt32BE(49, 8);
    emptied.writeInt32BE(4, 23);
    emptied.writeInt32BE(0, 57);
    const { stampCrc } = await import('../../src/record/batch.ts');
    stampCrc(emptied, 0);
    answers = [gives(emptied), gives(batch(5, ['f']))];
    expect(await read(1)).toEqual(['f']);
    expect(asked[1]?.topics[0]?.partitions[0]?.fetchOffset).toBe(5);
  });

  test('a flipped bit is a fault that names topic, partition and offset; what was before it is given out', async () => {
    const damaged = batch(2, ['c']);
    damaged[damaged.length - 2]! ^= 1;
    answers = [gives(batch(0, ['a', 'b']), damaged)];
    const values: unknown[] = [];
    const reading = (async () => {
      for await (const record of reader()) values.push(record.value);
    })();
    await expect(reading).rejects.toThrow(/damaged: topic topic, partition 0, offset 2: .*CRC/);
    expect(values).toEqual(['a', 'b']);
  });

  test('bytes that are no batch are a fault with the place', async () => {
    answers = [gives(Buffer.alloc(200, 7))];
    await expect(read(1)).rejects.toThrow(/topic topic, partition 0, offset 0/);
  });
});

test('a partition without a leader is waited for', async () => {
  let asks = 0;
  script.Metadata = () => {
    asks++;
    const metadata = broker.metadata();
    if (asks < 4) Object.assign(metadata.topics![0]!.partitions![0]!, { leaderId: -1 });
    return metadata;
  };
  answers = [gives(batch(0, ['a']))];
  expect(await read(1, { from: { offset: 0 } })).toEqual(['a']);
});

test('a broker that goes away for good: the reading ends with the reason', async () => {
  const goes = (): Answer<'Fetch'> => {
    void broker.close();
    return 'hang up';
  };
  answers = [gives(batch(0, ['a'])), goes];
  await expect(read(2, { retryTimeoutMs: 200 })).rejects.toMatchObject({ kafka: 'NETWORK_EXCEPTION' });
});
