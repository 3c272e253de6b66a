import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { field, stampCrc } from '../../src/record/batch.ts';
import { handlers } from '../../src/server/handlers/index.ts';
import { OWN_KEY_FIRST } from '../../src/wire/own-apis.ts';
import { allMessages, arbitraryMessage } from '../wire/arbitrary-message.ts';
import { frameOf } from '../wire/frames.ts';
import {
  batch,
  clockThatWaits,
  fetchFrom,
  makeTopic,
  produce,
  type RawClient,
  startBroker,
  type TestBroker,
} from './support.ts';

/*
 * Whatever comes in through the door: the peer gets an error that a Kafka client knows, or the end of its connection; the
 * broker goes on, another connection does not notice, and what is stored stays as it was.
 */

let target: TestBroker;
let client: RawClient;
let healthy: RawClient;

beforeEach(async () => {
  target = await startBroker({ clock: clockThatWaits(50) });
  [client, healthy] = [await target.client(), await target.client()];
  // The clock's short waits let retention run all the time.
  await makeTopic(healthy, 'kept', 1, { 'retention.ms': '-1' });
  await produce(healthy, 'kept', batch(['one', 'two'], { timestampMs: 1_700_000_000_000 }));
});

async function stored(): Promise<string> {
  const { errorCode, highWatermark, records } = await fetchFrom(healthy, 'kept');
  return `${errorCode} ${highWatermark} ${Buffer.concat(records!).toString('hex')}`;
}

/** Runs an attack; then the other connection must be served as before, and the broker must not have stopped. */
async function unharmed(attack: () => Promise<unknown>): Promise<void> {
  const before = await stored();
  await attack();
  expect(await stored()).toBe(before);
  expect(healthy.isClosed).toBe(false);
  expect(target.broker.stopped).toBeNull();
}

describe('bytes that are no request end the connection', () => {
  const header = (hex: string) => Buffer.from(hex, 'hex');
  const garbage: Record<string, Buffer> = {
    'a web browser': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    'a TLS client': header('16030100c8010000c40303'),
    'a length of 2 GB': header('7fffffff00'),
    'a length just over the limit': header('0640000100'),
    'a length below zero': header('ffffffff00'),
    'a frame of no bytes': header('00000000'),
    'a frame of one byte': header('0000000100'),
    'a header that is cut off': header('00000007001200000000ff'),
    'a client id that is longer than the frame': header('0000000a0012000000000007' + '7fff'),
    'an API that does not exist': header('0000000a' + '270f' + '0000' + '00000007' + 'ffff'),
    'an API key below zero': header('0000000a' + 'ffff' + '0000' + '00000007' + 'ffff'),
    'an API that is not served': header('0000000a' + '0004' + '0000' + '00000007' + 'ffff'),
    'a version that is too old': header('0000000a' + '0000' + '0002' + '00000007' + 'ffff'),
    'a version to come': header('0000000a' + '0000' + '0063' + '00000007' + 'ffff'),
    'a version below zero': header('0000000a' + '0003' + 'ffff' + '00000007' + 'ffff'),
    'an array that is longer than the frame': header('0000000e' + '0003' + '0001' + '00000007' + 'ffff' + '7fffffff'),
    'an array of a negative length': header('0000000e' + '0003' + '0001' + '00000007' + 'ffff' + '80000000'),
    'a body that is cut off': header('0000000e' + '0003' + '0001' + '00000007' + 'ffff' + '00000001'),
  };

  test.each(Object.entries(garbage))('%s', async (_, bytes) => {
    await unharmed(async () => {
      client.bytes(bytes);
      await client.closed;
      expect(client.answers).toEqual([]);
    });
    expect(target.warnings).toMatchObject([{ message: 'a connection was closed on a client' }]);
    expect(JSON.stringify(target.warnings)).not.toMatch(/\bat .*\.ts/);
  });

  test('a request that is cut off by the end of its connection is forgotten', async () => {
    await unharmed(async () => {
      client.bytes(frameWithLength('Produce', 9, {}).subarray(0, 20));
      await client.end();
    });
    expect(target.warnings).toEqual([]);
  });
});

function frameWithLength(api: 'Produce' | 'ApiVersions', version: number, draft: object): Buffer {
  const frame = frameOf(api, version, 'request', draft);
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(frame.length);
  return Buffer.concat([prefix, frame]);
}

test('a client of a version of ApiVersions to come is told in version 0 what it may ask', async () => {
  await unharmed(async () => {
    client.frame(Buffer.from('0012' + '0063' + '00000007' + 'ffff' + 'abcdef', 'hex'));
    const { errorCode, apiKeys } = client.decode('ApiVersions', 0, await client.answerTo(7));
    expect([errorCode, apiKeys.length]).toEqual([35, handlers.filter(({ key }) => key < OWN_KEY_FIRST).length]);
    await client.request('Metadata', 9, { topics: [] });
  });
});

describe('batches that are not what they should be are refused, and the next one is stored', () => {
  const good = (): Buffer => Buffer.from(batch(['a', 'b', 'c']));
  const changed = (change: (bytes: Buffer) => void, sealed = true): Buffer => {
    const bytes = good();
    change(bytes);
    if (sealed) stampCrc(bytes, 0);
    return bytes;
  };
  const CORRUPT = 2;
  const INVALID = 87;
  const cases: Record<string, [Buffer, number]> = {
    'a flipped bit': [changed((bytes) => bytes.writeUInt8(bytes[70]! ^ 4, 70), false), CORRUPT],
    'an older format': [changed((bytes) => bytes.writeInt8(1, field.magic)), INVALID],
    'half a batch': [good().subarray(0, 65), INVALID],
    nothing: [Buffer.alloc(0), INVALID],
    'one byte': [Buffer.from([0]), INVALID],
    'a length of 2 GB': [changed((bytes) => bytes.writeInt32BE(0x7fffffff, field.length), false), INVALID],
    'a length below zero': [changed((bytes) => bytes.writeInt32BE(-0x80000000, field.length), false), CORRUPT],
    'two billion records': [changed((bytes) => bytes.writeInt32BE(0x7fffffff, field.recordCount)), INVALID],
    'offsets of two billion': [changed((bytes) => bytes.writeInt32BE(0x7fffffff, field.lastOffsetDelta)), INVALID],
    'a control batch': [batch(['x'], { isControl: true }), INVALID],
    'more than max.message.bytes': [batch(['x'.repeat(1_100_000)]), 10],
  };

  test.each(Object.entries(cases))('%s', async (_, [records, errorCode]) => {
    await unharmed(async () => {
      const refused = await produce(client, 'kept', records);
      expect([refused.errorCode, refused.baseOffset]).toEqual([errorCode, -1]);
      expect(refused.errorMessage).not.toMatch(/\n/);
    });
    expect(await produce(client, 'kept', good())).toMatchObject({ errorCode: 0, baseOffset: 2 });
  });
});

test('numbers at their extremes are answered', async () => {
  const SAFE = Number.MAX_SAFE_INTEGER;
  await unharmed(async () => {
    for (const offset of [SAFE, -SAFE, 0x7fffffff, -0x80000000]) {
      const fetched = await fetchFrom(client, 'kept', { offset, maxBytes: -1, partitionMaxBytes: -0x80000000 });
      expect(fetched.errorCode).toBe(1);
      const listed = await client.request('ListOffsets', 11, {
        replicaId: -1,
        topics: [{ name: 'kept', partitions: [{ partitionIndex: 0, timestamp: offset, currentLeaderEpoch: -1 }] }],
      });
      expect(listed.topics[0]!.partitions[0]!.errorCode).toBe(offset < 0 ? 35 : 0);
      const deleted = await client.request('DeleteRecords', 2, {
        topics: [{ name: 'kept', partitions: [{ partitionIndex: 0, offset }] }],
      });
      expect(deleted.topics[0]!.partitions[0]!.errorCode).toBe(1);
      const ended = await client.request('OffsetForLeaderEpoch', 4, {
        replicaId: -1,
        topics: [{ topic: 'kept', partitions: [{ partition: 0, leaderEpoch: 0x7fffffff, currentLeaderEpoch: -1 }] }],
      });
      expect(ended.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 });
    }
    const many = { name: 'many', numPartitions: 0x7fffffff, replicationFactor: 1 };
    expect((await client.request('CreateTopics', 7, { topics: [many] })).topics[0]!.errorCode).toBe(37);
  });
});

describe('names that mean something elsewhere', () => {
  const names = [
    '../x',
    '..',
    '.',
    '',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'a\0b',
    '\r\n',
    '__proto__',
    'constructor',
    'x'.repeat(250),
  ];

  test.each(names)('%j names no topic, and makes none', async (name) => {
    await unharmed(async () => {
      const legal = /^[\w.-]{1,249}$/.test(name) && !/^\.\.?$/.test(name);
      const { topics } = await client.request('Metadata', 9, { topics: [{ name }], allowAutoTopicCreation: false });
      expect(topics[0]!.errorCode).toBe(legal ? 3 : 17);
      expect((await produce(client, name, batch())).errorCode).toBe(3);
      expect((await fetchFrom(client, name)).errorCode).toBe(3);
      const configs = [{ name, configOperation: 0, value: '1' }];
      const { responses } = await client.request('IncrementalAlterConfigs', 1, {
        resources: [
          { resourceType: 2, resourceName: 'kept', configs },
          { resourceType: 4, resourceName: '', configs },
        ],
      });
      expect(responses.map(({ errorCode }) => errorCode)).toEqual([40, 40]);
    });
  });
});

test('mutated requests of every API and version never end the broker, nor change what is stored', async () => {
  const requests = allMessages.filter(({ api, version, direction }) => {
    const handler = handlers.find((each) => each.api === api);
    return direction === 'request' && handler !== undefined && version <= handler.versions[1];
  });
  const frames = fc
    .constantFrom(...requests)
    .chain(({ api, version }) =>
      arbitraryMessage(api, version, 'request').map((message) => frameOf(api, version, 'request', message)),
    );
  /** Where, as a part of the whole, and what takes the place of how much. */
  const cuts = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(4), fc.uint8Array({ maxLength: 4 })),
    {
      maxLength: 3,
    },
  );
  const mutations = fc.tuple(frames, cuts).map(([frame, changes]) =>
    changes.reduce((bytes, [place, taken, put]) => {
      // API and version stay, so that the request reaches its decoder.
      const at = 4 + Math.floor(place * Math.max(0, bytes.length - 4));
      return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + taken)]);
    }, frame),
  );
  const PROBE = 0x7f000001;
  const probe = Buffer.from('00120000' + '7f000001' + 'ffff', 'hex');
  let answered = 0;
  await unharmed(() =>
    fc.assert(
      fc.asyncProperty(mutations, async (frame) => {
        if (client.isClosed) client = await target.client();
        client.frame(frame);
        client.frame(probe);
        // Either it was answered, or the connection is at its end.
        await client.answerTo(PROBE).then(
          () => (answered += 1),
          () => {},
        );
        client.answers.length = 0;
        expect(target.broker.stopped).toBeNull();
      }),
      { numRuns: 1500 },
    ),
  );
  expect(answered).toBeGreaterThan(100);
});
