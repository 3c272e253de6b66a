import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { limits } from '../../src/base/limits.ts';
import { decodeRequest, decodeResponse, readRequestHeader } from '../../src/wire/codec.ts';
import { apis } from '../../src/wire/messages.generated.ts';
import { apiSchema, includes } from '../../src/wire/schema.ts';
import { allMessages, arbitraryMessage } from './arbitrary-message.ts';
import { faultOf, frameOf, messageIn } from './frames.ts';

const faultName = { request: 'malformedRequest', response: 'malformedResponse' } as const;

describe.each(allMessages)('$api $version $direction', ({ api, version, direction }) => {
  test('cut at any byte it is refused, with the fault of its direction', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction), (message) => {
        const frame = frameOf(api, version, direction, message);
        for (let length = 0; length < frame.length; length++) {
          const cut = faultOf(() => messageIn(api, version, direction, frame.subarray(0, length)));
          expect(cut.fault).toBe(faultName[direction]);
        }
      }),
      { numRuns: 2 },
    );
  });

  test('with any byte changed it is read or refused, and nothing else happens', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction), fc.nat(), fc.nat(255), (message, place, byte) => {
        const frame = frameOf(api, version, direction, message);
        frame[place % frame.length] = byte;
        try {
          messageIn(api, version, direction, frame);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }),
      { numRuns: 20 },
    );
  });
});

const flexibleMessages = allMessages.filter(({ api, version }) => includes(apiSchema(api).flexible, version));

test.each(flexibleMessages)('$api $version $direction: tags that we do not know are skipped', (which) => {
  const { api, version, direction } = which;
  const frame = frameOf(api, version, direction, {});
  // A message ends with the number of its tagged fields.
  const tagged = Buffer.concat([frame.subarray(0, -1), Buffer.from([2, 99, 3, 1, 2, 3, 100, 0])]);
  expect(frame.at(-1)).toBe(0);
  expect(messageIn(api, version, direction, tagged)).toEqual(messageIn(api, version, direction, frame));
});

test('tags that we do not know are skipped in a header and in an inner struct, where known ones follow', () => {
  const partition = { index: 3, currentLeader: { leaderId: 9, leaderEpoch: 8 } };
  const draft = { responses: [{ name: 't', partitionResponses: [partition] }] };
  const frame = frameOf('Produce', 10, 'response', draft);
  const known = Buffer.from([1, 0, 9, 0, 0, 0, 9, 0, 0, 0, 8, 0]);
  const at = frame.indexOf(known);
  expect(at).toBeGreaterThan(0);
  const header = Buffer.from([0, 0, 0, 5, 1, 50, 2, 1, 2]);
  const withUnknown = Buffer.from([2, 0x80, 0x01, 1, 0xff, ...known.subarray(1)]);
  const longer = Buffer.concat([header, frame.subarray(5, at), withUnknown, frame.subarray(at + known.length)]);
  expect(decodeResponse('Produce', 10, longer)).toEqual(decodeResponse('Produce', 10, frame));
});

test('a known tag whose content is longer or shorter than its length is refused', () => {
  const draft = {
    responses: [{ name: 't', partitionResponses: [{ currentLeader: { leaderId: 9, leaderEpoch: 8 } }] }],
  };
  const frame = frameOf('Produce', 10, 'response', draft);
  const at = frame.indexOf(Buffer.from([1, 0, 9, 0, 0, 0, 9, 0, 0, 0, 8, 0])) + 2;
  for (const length of [8, 10]) {
    frame[at] = length;
    expect(faultOf(() => decodeResponse('Produce', 10, frame)).message).toContain('currentLeader');
  }
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A Metadata request of version 1, whose body is an array of strings. */
function metadataBody(count: number, rest: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([int32(count), rest]);
}

test('a count that the rest of the frame cannot hold is refused before its array is made', () => {
  for (const count of [2, 0x7fffffff, -2, -0x80000000]) {
    const fault = faultOf(() => decodeRequest('Metadata', 1, metadataBody(count, Buffer.from([0, 0])), 0));
    expect(fault.fault).toBe('malformedRequest');
    expect(fault.message).toMatch(/a length of -|announces/);
  }
  expect(decodeRequest('Metadata', 1, metadataBody(1, Buffer.from([0, 0])), 0).topics).toHaveLength(1);
});

test('a count over the limit of an array is refused even where the frame could hold it', () => {
  const names = Buffer.alloc(2 * (limits.arrayElementsMax + 1));
  expect(faultOf(() => decodeRequest('Metadata', 1, metadataBody(names.length / 2, names), 0)).fault).toBe(
    'malformedRequest',
  );
});

test('all arrays of a frame together stay under one limit, so that a small frame cannot fill the heap', () => {
  // DeleteRecords 1: topics of an empty name and as many zero partitions as an array may have.
  const topics = 11;
  const partitions = limits.requestElementsMax / 10;
  const inner = Buffer.concat([Buffer.from([0, 0]), int32(partitions), Buffer.alloc(12 * partitions)]);
  const body = Buffer.concat([int32(topics), ...Array.from({ length: topics }, () => inner), int32(0)]);
  expect(faultOf(() => decodeRequest('DeleteRecords', 1, body, 0)).message).toContain(
    String(limits.requestElementsMax),
  );
});

test('null is refused where the version has none', () => {
  const named = Buffer.concat([int32(1), Buffer.from([0xff, 0xff])]);
  expect(faultOf(() => decodeRequest('Metadata', 1, named, 0)).message).toContain('name is null');
  expect(faultOf(() => decodeRequest('Metadata', 0, int32(-1), 0)).message).toContain('topics is null');
  expect(decodeRequest('Metadata', 1, int32(-1), 0).topics).toBeNull();
});

test('a negative length other than -1 is not taken for null', () => {
  expect(faultOf(() => readRequestHeader(Buffer.from([0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xfe]))).message).toContain('-2');
  const cursor = Buffer.from([1, 0, 0, 0, 0, 0xfe, 0]);
  expect(faultOf(() => decodeRequest('DescribeTopicPartitions', 0, cursor, 0)).message).toContain('-2');
  cursor[5] = 0xff;
  expect(decodeRequest('DescribeTopicPartitions', 0, cursor, 0).cursor).toBeNull();
});

test('a string over 32,767 bytes and a varint over 32 bits are refused', () => {
  const long = Buffer.concat([Buffer.from([0x81, 0x80, 0x02]), Buffer.alloc(0x8000), Buffer.alloc(10)]);
  expect(faultOf(() => decodeRequest('Heartbeat', 4, long, 0)).message).toContain('32768');
  const varint = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0, 0]);
  expect(faultOf(() => decodeRequest('Heartbeat', 4, varint, 0)).message).toContain('32 bits');
});

test('a header is read for an API or a version that we do not know, as far as all versions agree', () => {
  const clientId = Buffer.from([0, 2, 0x6d, 0x65]);
  const header = (key: number, version: number) =>
    Buffer.concat([Buffer.from([key >> 8, key, version >> 8, version]), int32(7), clientId]);
  for (const [apiKey, apiVersion] of [
    [999, 0],
    [apis.ApiVersions.key, 99],
  ] as const) {
    const expected = { apiKey, apiVersion, correlationId: 7, clientId: 'me', bodyStart: 12 };
    expect(readRequestHeader(header(apiKey, apiVersion))).toEqual(expected);
  }
  for (let length = 0; length < 12; length++) {
    expect(faultOf(() => readRequestHeader(header(999, 0).subarray(0, length))).fault).toBe('malformedRequest');
  }
});

test('a request of a version that we do not know is a fault of its own', () => {
  expect(faultOf(() => decodeRequest('Produce', 2, Buffer.alloc(100), 0)).fault).toBe('unsupportedVersion');
  expect(faultOf(() => decodeRequest('Produce', 14, Buffer.alloc(100), 0)).fault).toBe('unsupportedVersion');
});
