import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { complete } from '../../src/wire/codec.ts';
import type { ApiName } from '../../src/wire/messages.generated.ts';
import { allMessages, arbitraryMessage } from './arbitrary-message.ts';
import { frameOf, messageIn } from './frames.ts';

/** 35 at the start of an ApiVersions response says that the rest is version 0, whatever was asked. */
function isVersionRefusal(api: ApiName, draft: object): boolean {
  return api === 'ApiVersions' && 'errorCode' in draft && draft.errorCode === 35;
}

describe.each(allMessages)('$api $version $direction', ({ api, version, direction }) => {
  test('what is written is read back, fields of other versions with their defaults', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction, { partial: true }), (draft) => {
        fc.pre(!isVersionRefusal(api, draft));
        const read = messageIn(api, version, direction, frameOf(api, version, direction, draft));
        expect(read).toEqual(complete(api, direction, draft));
      }),
      { numRuns: 10 },
    );
  });

  test('what is read is written back to the same bytes', () => {
    fc.assert(
      fc.property(arbitraryMessage(api, version, direction), (message) => {
        fc.pre(!isVersionRefusal(api, message));
        const frame = frameOf(api, version, direction, message);
        expect(frameOf(api, version, direction, messageIn(api, version, direction, frame))).toEqual(frame);
      }),
      { numRuns: 10 },
    );
  });
});
