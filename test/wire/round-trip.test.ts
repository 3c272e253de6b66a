import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  complete,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
} from '../../src/wire/codec.ts';
import type { ApiName } from '../../src/wire/messages.generated.ts';
import { allMessages, arbitraryMessage, type Direction } from './arbitrary-message.ts';

function encode(api: ApiName, version: number, direction: Direction, draft: object): Buffer {
  const pieces =
    direction === 'request' ? encodeRequest(api, version, 5, 'me', draft) : encodeResponse(api, version, 5, draft);
  return Buffer.concat(pieces).subarray(4);
}

function decode(api: ApiName, version: number, direction: Direction, frame: Buffer): object {
  if (direction === 'response') return decodeResponse(api, version, frame).message;
  return decodeRequest(api, version, frame, readRequestHeader(frame).bodyStart);
}

/** 35 at the start of an ApiVersions response says that the rest is version 0, whatever was asked. */
function isVersionRefusal(api: ApiName, draft: object): boolean {
  return api === 'ApiVersions' && 'errorCode' in draft && draft.errorCode === 35;
}

describe.each(allMessages)('$api $version $direction', ({ api, version, direction }) => {
  test('what is written is read back, fields of other versions with their defaults', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction, { partial: true }), (draft) => {
        fc.pre(!isVersionRefusal(api, draft));
        const read = decode(api, version, direction, encode(api, version, direction, draft));
        expect(read).toEqual(complete(api, direction, draft));
      }),
      { numRuns: 10 },
    );
  });

  test('what is read is written back to the same bytes', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction), (message) => {
        fc.pre(!isVersionRefusal(api, message));
        const frame = encode(api, version, direction, message);
        expect(encode(api, version, direction, decode(api, version, direction, frame))).toEqual(frame);
      }),
      { numRuns: 10 },
    );
  });
});
