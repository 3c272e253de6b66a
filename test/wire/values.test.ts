import { expect, test } from 'vitest';
import { InvariantError } from '../../src/base/invariant.ts';
import {
  apiByKey,
  complete,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  hasVersion,
  readRequestHeader,
  versionsOf,
} from '../../src/wire/codec.ts';
import { faultOf, frameOf, messageIn } from './frames.ts';

/** An InitProducerId response of version 0 with this producer id: throttle time, error, id, epoch. */
function producerIdFrame(producerId: bigint): Buffer {
  const frame = Buffer.alloc(4 + 4 + 2 + 8 + 2);
  frame.writeBigInt64BE(producerId, 10);
  return frame;
}

test('int64 saturates at ±(2^53 - 1), and the ends of int64 survive being read and written', () => {
  const max = 2n ** 63n - 1n;
  const safe = BigInt(Number.MAX_SAFE_INTEGER);
  const cases = [
    [max, Number.MAX_SAFE_INTEGER],
    [-max - 1n, -Number.MAX_SAFE_INTEGER],
    [safe + 1n, Number.MAX_SAFE_INTEGER],
    [-safe - 1n, -Number.MAX_SAFE_INTEGER],
    [-safe - 2n, -Number.MAX_SAFE_INTEGER],
    [safe - 1n, Number.MAX_SAFE_INTEGER - 1],
    [-safe + 1n, -Number.MAX_SAFE_INTEGER + 1],
    [2n ** 32n, 2 ** 32],
    [-(2n ** 32n) - 1n, -(2 ** 32) - 1],
    [-1n, -1],
  ] as const;
  for (const [wide, number] of cases) {
    const { producerId } = decodeResponse('InitProducerId', 0, producerIdFrame(wide)).message;
    expect(producerId).toBe(number);
  }
  for (const end of [max, -max - 1n, 2n ** 52n + 1n, -1n]) {
    const { message } = decodeResponse('InitProducerId', 0, producerIdFrame(end));
    expect(frameOf('InitProducerId', 0, 'response', message).readBigInt64BE(10)).toBe(end);
  }
});

test('a high watermark of Long.MAX is the default of Fetch 18, and travels as its absence', () => {
  const partitions = [{ highWatermark: Number.MAX_SAFE_INTEGER }];
  const given = frameOf('Fetch', 18, 'request', { topics: [{ partitions }] });
  expect(given).toEqual(frameOf('Fetch', 18, 'request', { topics: [{ partitions: [{}] }] }));
  const read = decodeRequest('Fetch', 18, given, readRequestHeader(given).bodyStart);
  expect(read.topics[0]!.partitions[0]!.highWatermark).toBe(Number.MAX_SAFE_INTEGER);
});

test('record buffers are put into the frame by reference and come out as one view of it', () => {
  const [first, second] = [Buffer.from('one'), Buffer.from('two')];
  const partitionData = [
    { index: 1, records: [first, Buffer.alloc(0), second] },
    { index: 2, records: [second] },
  ];
  for (const version of [8, 9]) {
    const pieces = encodeRequest('Produce', version, 1, null, { topicData: [{ name: 't', partitionData }] });
    expect(pieces.filter((piece) => piece === first || piece === second)).toEqual([first, second, second]);
    expect(pieces.every((piece) => piece.length > 0)).toBe(true);
    const frame = Buffer.concat(pieces).subarray(4);
    const { topicData } = decodeRequest('Produce', version, frame, readRequestHeader(frame).bodyStart);
    const records = topicData[0]!.partitionData.map((partition) => partition.records!);
    expect(records.map(String)).toEqual(['onetwo', 'two']);
    expect(records.every(([view]) => view!.buffer === frame.buffer)).toBe(true);
  }
});

test('a frame larger than the scratch, before and after smaller ones, is whole', () => {
  const names = Array.from({ length: 200_000 }, (_, i) => `topic-${i}`);
  for (const count of [1, names.length, 2]) {
    const topics = names.slice(0, count).map((name) => ({ name }));
    const read = messageIn('Metadata', 9, 'request', frameOf('Metadata', 9, 'request', { topics }));
    expect(read).toMatchObject({ topics });
  }
});

/** Features that take this many bytes as a compact array: a count, and 6 bytes a feature besides its name. */
function featuresOfSize(bytes: number): { name: string; minVersion: number; maxVersion: number }[] {
  const count = Math.ceil(bytes / 100);
  const countBytes = count + 1 < 0x80 ? 1 : count + 1 < 0x4000 ? 2 : 3;
  const nameBytes = bytes - countBytes - 6 * count;
  return Array.from({ length: count }, (_, i) => {
    const size = Math.floor(nameBytes / count) + (i < nameBytes % count ? 1 : 0);
    return { name: 'n'.repeat(size), minVersion: 1, maxVersion: 2 };
  });
}

test('a tagged field keeps its neighbours whole where its length takes one byte more', () => {
  for (const bytes of [0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000]) {
    const finalizedFeatures = [{ name: 'last', maxVersionLevel: 3, minVersionLevel: 1 }];
    const supportedFeatures = featuresOfSize(bytes);
    const draft = { throttleTimeMs: 4, supportedFeatures, finalizedFeaturesEpoch: 7, finalizedFeatures };
    const frame = frameOf('ApiVersions', 4, 'response', draft);
    const lengthBytes = bytes < 0x80 ? 1 : bytes < 0x4000 ? 2 : bytes < 0x20_0000 ? 3 : 4;
    // Correlation id, error, no keys, throttle time, 3 tags: this one, the epoch, the finalized feature.
    expect(frame.length).toBe(4 + 2 + 1 + 4 + 1 + (1 + lengthBytes + bytes) + (2 + 8) + (2 + 1 + 10));
    const read = messageIn('ApiVersions', 4, 'response', frame);
    expect(read).toEqual(complete('ApiVersions', 'response', draft));
  }
});

test('a value that does not fit its type is a bug of the caller', () => {
  const drafts = [
    { acks: 0x8000 },
    { acks: 1.5 },
    { acks: Number.NaN },
    { timeoutMs: 2 ** 31 },
    { topicData: [{ partitionData: [{ index: -(2 ** 31) - 1 }] }] },
    { topicData: [{ topicId: 'not an id' }] },
    { topicData: [{ topicId: 'ESIzRFVmd4r_____!____g' }] },
  ];
  for (const draft of drafts) expect(() => encodeRequest('Produce', 13, 1, null, draft)).toThrow(InvariantError);
  expect(() => encodeResponse('InitProducerId', 0, 1, { producerId: 2 ** 53 })).toThrow(InvariantError);
});

test('what a caller without types hands in instead is refused, not written as something else', () => {
  const drafts = [{ topicData: 7 }, { topicData: [{ name: 7 }] }, { topicData: [{ name: null }] }, { acks: '1' }];
  for (const draft of drafts) {
    for (const version of [8, 9]) {
      expect(() => encodeRequest('Produce', version, 1, null, draft as object), JSON.stringify(draft)).toThrow();
    }
  }
});

test('a value that the version does not carry is refused, unless it is the default or may be dropped', () => {
  expect(() => encodeRequest('FindCoordinator', 3, 1, null, { coordinatorKeys: ['a'] })).toThrow('coordinatorKeys');
  expect(() => encodeRequest('FindCoordinator', 4, 1, null, { key: 'a' })).toThrow(InvariantError);
  expect(() => encodeRequest('FindCoordinator', 4, 1, null, { key: '', coordinatorKeys: ['a'] })).not.toThrow();
  expect(() => encodeResponse('Fetch', 11, 1, { nodeEndpoints: [{ nodeId: 1 }] })).toThrow('nodeEndpoints');
  const leader = (leaderId: number) => ({ responses: [{ partitions: [{ currentLeader: { leaderId } }] }] });
  expect(() => encodeResponse('Fetch', 11, 1, leader(3))).toThrow('currentLeader');
  expect(() => encodeResponse('Fetch', 11, 1, leader(-1))).not.toThrow();
  // Ignorable.
  expect(() => encodeResponse('Metadata', 0, 1, { clusterId: 'c', throttleTimeMs: 5 })).not.toThrow();
});

test('null is refused where the version has none', () => {
  expect(() => encodeRequest('Metadata', 0, 1, null, { topics: null })).toThrow('topics may not be null');
  expect(() => encodeRequest('Metadata', 1, 1, null, { topics: null })).not.toThrow();
});

test('a string over 32,767 bytes is a fault, since it may come from a user; one of that length is written', () => {
  for (const version of [3, 4]) {
    const fault = faultOf(() => encodeRequest('Heartbeat', version, 1, null, { groupId: 'é'.repeat(16384) }));
    expect(fault.fault).toBe('invalidArgument');
    expect(fault.message).toContain('groupId');
    const draft = { groupId: 'x'.repeat(32767) };
    expect(messageIn('Heartbeat', version, 'request', frameOf('Heartbeat', version, 'request', draft))).toMatchObject(
      draft,
    );
  }
});

test('an encoding that failed leaves nothing behind in the next', () => {
  const good = frameOf('Heartbeat', 4, 'request', { groupId: 'g' });
  expect(() => encodeRequest('Heartbeat', 4, 1, null, { groupId: 'a longer group', generationId: 0.5 })).toThrow();
  expect(frameOf('Heartbeat', 4, 'request', { groupId: 'g' })).toEqual(good);
});

test('the ApiVersions response has header v0 in every version; a refusal of the version is read as version 0', () => {
  const frame = frameOf('ApiVersions', 4, 'response', { errorCode: 0 });
  expect(frame.subarray(0, 6)).toEqual(Buffer.from([0, 0, 0, 5, 0, 0]));
  expect(frameOf('Metadata', 9, 'response', {})[4]).toBe(0);
  const refusal = { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 3 }] };
  const answered = frameOf('ApiVersions', 0, 'response', refusal);
  expect(decodeResponse('ApiVersions', 4, answered).message).toEqual(complete('ApiVersions', 'response', refusal));
});

test('a client id may be null, and is never compact', () => {
  for (const version of [8, 9]) {
    const frame = Buffer.concat(encodeRequest('Metadata', version, 3, null, {})).subarray(4);
    expect(readRequestHeader(frame)).toMatchObject({
      correlationId: 3,
      clientId: null,
      bodyStart: version === 9 ? 11 : 10,
    });
  }
});

test('an API is found by its key, with the versions that it has', () => {
  expect(apiByKey(0)).toBe('Produce');
  expect(apiByKey(12345)).toBeNull();
  expect(versionsOf('Produce')).toEqual([3, 13]);
  expect([2, 3, 13, 14].map((version) => hasVersion('Produce', version))).toEqual([false, true, true, false]);
});

test('a completed draft has every field, is new at every level of structs, and keeps what was given', () => {
  const records = [Buffer.from('r')];
  const draft = { acks: 1, topicData: [{ name: 't', partitionData: [{ records }] }] };
  const whole = complete('Produce', 'request', draft);
  expect(whole).toEqual({
    transactionalId: null,
    acks: 1,
    timeoutMs: 0,
    topicData: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', partitionData: [{ index: 0, records }] }],
  });
  expect(whole.topicData[0]!.partitionData[0]!.records![0]).toBe(records[0]);
  const leader = complete('Fetch', 'response', { responses: [{ partitions: [{}] }] }).responses[0]!.partitions[0]!;
  expect(leader.currentLeader).toEqual({ leaderId: -1, leaderEpoch: -1 });
  expect(
    complete('ShareFetch', 'response', { responses: [{ partitions: [{}] }] }).responses[0]!.partitions[0]!.records,
  ).toEqual([]);
});
