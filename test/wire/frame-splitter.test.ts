import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameSplitter } from '../../src/wire/frame-splitter.ts';
import { faultOf } from './frames.ts';

const LIMIT = 4 * 1024 * 1024;

function streamOf(frames: readonly Buffer[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(frame.length);
      return [prefix, frame];
    }),
  );
}

describe('frames come out the same wherever the stream is cut', () => {
  const stream = streamOf([Buffer.from('first'), Buffer.alloc(0), Buffer.from('x'), Buffer.from('the last one')]);
  const whole = new FrameSplitter(LIMIT).push(stream);

  test('at every two points', () => {
    expect(whole.map(String)).toEqual(['first', '', 'x', 'the last one']);
    for (let a = 0; a <= stream.length; a++) {
      for (let b = a; b <= stream.length; b++) {
        const splitter = new FrameSplitter(LIMIT);
        const parts = [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)];
        expect(parts.flatMap((part) => splitter.push(part))).toEqual(whole);
        expect(splitter.pendingBytes).toBe(0);
      }
    }
  });

  test('into chunks of any sizes, with frames past the size that is allocated at once', () => {
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(3_000_000)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1 }), (frameSizes, chunkSizes) => {
        const frames = frameSizes.map((size, i) => Buffer.alloc(size, `${i} of these bytes`));
        const bytes = streamOf(frames);
        const splitter = new FrameSplitter(LIMIT);
        const found: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = chunkSizes[i % chunkSizes.length]! * (bytes.length > 100_000 ? 50 : 1);
          found.push(...splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(found.length).toBe(frames.length);
        for (const [i, frame] of found.entries()) expect(frame.equals(frames[i]!)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });
});

test('a frame is given out with its last byte, not with the next chunk', () => {
  const splitter = new FrameSplitter(LIMIT);
  expect(splitter.push(Buffer.from([0, 0, 0]))).toEqual([]);
  expect(splitter.push(Buffer.from([0]))).toEqual([Buffer.alloc(0)]);
  expect(splitter.push(Buffer.from([0, 0, 0, 1]))).toEqual([]);
  expect(splitter.push(Buffer.from([7]))).toEqual([Buffer.from([7])]);
});

test('a frame that lies in one chunk is a view of it', () => {
  const stream = streamOf([Buffer.from('abc'), Buffer.from('def')]);
  const frames = new FrameSplitter(LIMIT).push(stream);
  expect(frames.every((frame) => frame.buffer === stream.buffer)).toBe(true);
});

test('pendingBytes counts what has come of a frame, its length included', () => {
  const splitter = new FrameSplitter(LIMIT);
  const stream = streamOf([Buffer.from('abcdef')]);
  expect(splitter.pendingBytes).toBe(0);
  splitter.push(stream.subarray(0, 3));
  expect(splitter.pendingBytes).toBe(3);
  splitter.push(stream.subarray(3, 6));
  expect(splitter.pendingBytes).toBe(6);
  splitter.push(stream.subarray(6));
  expect(splitter.pendingBytes).toBe(0);
});

test('a length that is negative or over the limit is refused at its fourth byte', () => {
  const splitter = new FrameSplitter(LIMIT);
  splitter.push(Buffer.from('GET'));
  expect(faultOf(() => splitter.push(Buffer.from(' '))).fault).toBe('malformedRequest');
  expect(faultOf(() => new FrameSplitter(LIMIT).push(Buffer.from([0xff, 0xff, 0xff, 0xff]))).fault).toBe(
    'malformedRequest',
  );
  const over = Buffer.alloc(4);
  over.writeInt32BE(LIMIT + 1);
  expect(faultOf(() => new FrameSplitter(LIMIT, 'malformedResponse').push(over)).fault).toBe('malformedResponse');
  over.writeInt32BE(LIMIT);
  expect(new FrameSplitter(LIMIT).push(over)).toEqual([]);
});

test('who announces much and sends little makes us hold little', () => {
  const announced = Buffer.alloc(5);
  announced.writeInt32BE(100_000_000);
  const before = process.memoryUsage().arrayBuffers;
  const splitters = Array.from({ length: 100 }, () => {
    const splitter = new FrameSplitter(100_000_000);
    splitter.push(announced);
    return splitter;
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 300 * 1024);
  expect(splitters.every(({ pendingBytes }) => pendingBytes === 5)).toBe(true);
});
