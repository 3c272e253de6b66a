import { decodeRequest, decodeResponse, hasVersion, readRequestHeader } from '../../../src/wire/codec.ts';
import { FrameSplitter } from '../../../src/wire/frame-splitter.ts';
import { allMessages } from '../../wire/arbitrary-message.ts';
import { frameOf } from '../../wire/frames.ts';
import { goldens } from '../../wire/goldens.ts';
import type { Family, Seed } from '../family.ts';

const frames = [
  ...goldens.map(({ api, version, direction, variant, frame }) => ({
    name: `${api} ${version} ${direction} ${variant}`,
    api,
    version,
    direction,
    bytes: Buffer.from(frame, 'base64'),
  })),
  // What Kafka does not have, or not yet.
  ...allMessages
    .filter((one) => !goldens.some(({ api, version }) => one.api === api && one.version === version))
    .map(({ api, version, direction }) => ({
      name: `${api} ${version} ${direction} of ours`,
      api,
      version,
      direction,
      bytes: frameOf(api, version, direction, {}),
    })),
];

/** Every request in every version, as Kafka's own classes write it. What the mutated header names is what it is read as. */
const requests: Seed[] = frames
  .filter(({ direction }) => direction === 'request')
  .map(({ name, api, version, bytes }) => ({
    name,
    bytes,
    read(input) {
      const header = readRequestHeader(input);
      // Whatever API the header names now: the body is read as what it was.
      if (!hasVersion(api, version)) throw new Error('a seed of no version');
      return [header, decodeRequest(api, version, input, header.bodyStart)];
    },
  }));

const responses: Seed[] = frames
  .filter(({ direction }) => direction === 'response')
  .map(({ name, api, version, bytes }) => ({ name, bytes, read: (input) => decodeResponse(api, version, input) }));

const FRAME_BYTES_MAX = 1 << 20;

/** Several frames in a row, cut into pieces of sizes that follow from the input. */
const streams: Seed[] = [1, 3, 10].map((count) => ({
  name: `${count} frames`,
  bytes: Buffer.concat(
    frames.slice(0, count * 7).flatMap(({ bytes }) => {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(bytes.length);
      return [prefix, bytes];
    }),
  ),
  read(input) {
    const splitter = new FrameSplitter(FRAME_BYTES_MAX);
    const found: Buffer[] = [];
    const expected = framesOf(input);
    let at = 0;
    for (let piece = 0; at < input.length; piece += 1) {
      const end = Math.min(input.length, at + 1 + (input[(piece * 31) % input.length]! % 97));
      found.push(...splitter.push(input.subarray(at, end)));
      at = end;
    }
    if (found.length !== expected.length || !found.every((frame, i) => frame.equals(expected[i]!))) {
      throw new Error(`${found.length} frames, where ${expected.length} were sent`);
    }
    return found;
  },
}));

/** The whole frames of a stream, up to a length that is none. */
function framesOf(stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const size = stream.readInt32BE(at);
    if (size < 0 || size > FRAME_BYTES_MAX || at + 4 + size > stream.length) break;
    found.push(stream.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return found;
}

/** A frame that is announced as larger than it is gets as much at once. */
const FIRST_ALLOCATION_BYTES = 256 * 1024 + 64;

export const frameSplitter: Family = { name: 'frames', seeds: streams, allocatedBytesMax: FIRST_ALLOCATION_BYTES };
export const requestFrames: Family = { name: 'requests', seeds: requests, allocatedBytesMax: 0 };
export const responseFrames: Family = { name: 'responses', seeds: responses, allocatedBytesMax: 0 };
