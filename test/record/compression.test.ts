import zlib from 'node:zlib';
import fc from 'fast-check';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import snappy from 'snappy';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { type Compression, compress, compressSync, decompress, decompressSync } from '../../src/record/compression.ts';
import { xxh32 } from '../../src/record/xxh32.ts';
import { faultOf } from './fault-of.ts';

const codecs = ['gzip', 'snappy', 'lz4', 'zstd'] as const satisfies Compression[];

/** Bytes that repeat, near and far, and that do not; from nothing up to several blocks of every codec. */
const anyContent: fc.Arbitrary<Buffer> = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.oneof(fc.nat(3), fc.nat(300)), fc.nat(5)), { maxLength: 12 })
  .map((pieces) => {
    const once = Buffer.concat(pieces.map(([bytes, times]) => Buffer.concat(Array<Uint8Array>(times).fill(bytes))));
    return Buffer.concat(Array<Buffer>(1 + (pieces[0]?.[2] ?? 0)).fill(once));
  });

const text = Buffer.from(Array.from({ length: 9000 }, (_, index) => `${index % 1013} times ${index % 71};`).join(''));

describe.each(codecs)('%s', (codec) => {
  test('gives back what went in, at once and off the event loop', async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, async (content) => {
        const compressed = compressSync(codec, content);
        expect(decompressSync(codec, compressed).equals(content)).toBe(true);
        expect((await decompress(codec, await compress(codec, content))).equals(content)).toBe(true);
      }),
    );
  });

  test('halves a text that repeats itself', () => {
    expect(compressSync(codec, text).length).toBeLessThan(text.length / 2);
  });

  test('does not make what is random much larger', () => {
    const random = Buffer.from(
      fc.sample(fc.uint8Array({ minLength: 70_000, maxLength: 70_000 }), { numRuns: 1, seed: 1 })[0]!,
    );
    const compressed = compressSync(codec, random);
    expect(compressed.length).toBeLessThan(random.length * 1.01);
    expect(decompressSync(codec, compressed).equals(random)).toBe(true);
  });

  test('cut at any length it is a fault', () => {
    const compressed = compressSync(codec, Buffer.from('abcabcabcabcabcabcd'.repeat(30)));
    // A xerial frame may end after any chunk; its header alone is an empty one.
    const whole = codec === 'snappy' ? [16, compressed.length] : [compressed.length];
    for (let end = 0; end < compressed.length; end++) {
      const fault = faultOf(() => decompressSync(codec, compressed.subarray(0, end)));
      expect([end, fault]).toEqual([end, whole.includes(end) ? null : 'invalidBatch']);
    }
  });

  test('changed or random bytes give a fault or some bytes, never more than allowed and never another error', () => {
    const compressed = compressSync(codec, text.subarray(0, 3000));
    const changed = fc
      .array(fc.tuple(fc.nat(compressed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 })
      .map((changes) => {
        const copy = Buffer.from(compressed);
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      });
    const headed = fc.uint8Array({ maxLength: 100 }).map((tail) => Buffer.concat([compressed.subarray(0, 16), tail]));
    fc.assert(
      fc.property(fc.oneof(changed, headed), (bytes) => {
        let size = 0;
        const fault = faultOf(() => {
          size = decompressSync(codec, bytes, { bytesMax: 5000 }).length;
        });
        expect([null, 'invalidBatch']).toContain(fault);
        expect(size).toBeLessThanOrEqual(5000);
      }),
      { numRuns: 1000 },
    );
  });

  test('a bomb ends at the cap: exactly as much is let out, not a byte more', async () => {
    const bomb = compressSync(codec, Buffer.alloc(3_000_000));
    expect(bomb.length).toBeLessThan(3_000_000 / 20);
    expect(decompressSync(codec, bomb, { bytesMax: 3_000_000 }).length).toBe(3_000_000);
    expect(() => decompressSync(codec, bomb, { bytesMax: 2_999_999 })).toThrow(/2999999/);
    await expect(decompress(codec, bomb, { bytesMax: 2_999_999 })).rejects.toThrow(/2999999/);
  });

  test('without a cap of its own a bomb ends at limits.decompressedBytesMax', () => {
    const bomb = compressSync(codec, Buffer.alloc(limits.decompressedBytesMax + 1));
    expect(faultOf(() => decompressSync(codec, bomb))).toBe('invalidBatch');
  });
});

test.each(codecs)('the event loop turns while %s decompresses much', async (codec) => {
  const compressed = compressSync(codec, Buffer.alloc(8_000_000));
  let isDone = false;
  const done = decompress(codec, compressed).finally(() => {
    isDone = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  expect((await done).length).toBe(8_000_000);
});

test.each(codecs)('what %s decompressed to holds no more memory than twice its size', async (codec) => {
  for (const size of [100_000, 5_000_000]) {
    const content = await decompress(codec, compressSync(codec, Buffer.alloc(size, 'some bytes')));
    expect(content.buffer.byteLength, `of ${size}`).toBeLessThanOrEqual(2 * size);
  }
});

/** As a client may write it: one block of snappy, or an LZ4 frame with a checksum of the content. */
const unusual = (content: Buffer): [Compression, Buffer][] => {
  const plain = compressSync('lz4', content);
  const frame = Buffer.concat([plain, Buffer.alloc(4)]);
  frame[4]! |= 0x04;
  frame[6] = (xxh32(frame, 4, 6) >>> 8) & 0xff;
  frame.writeUInt32LE(xxh32(content, 0, content.length), plain.length);
  return [
    ['snappy', snappy.compressSync(content)],
    ['lz4', frame],
  ];
};

test('the event loop turns also within a block of snappy, and while the checksum of an LZ4 frame is looked at', async () => {
  const content = Buffer.alloc(16 << 20, 'some bytes');
  for (const [codec, compressed] of unusual(content)) {
    let turns = 0;
    let isDone = false;
    const turn = (): void => {
      turns += 1;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    const decompressed = await decompress(codec, compressed);
    isDone = true;
    expect(decompressed.equals(content)).toBe(true);
    // One each MiB, and as many for the checksum.
    expect({ codec, turns }).toEqual({
      codec,
      turns: expect.toSatisfy((n: number) => n >= (codec === 'lz4' ? 30 : 15)),
    });
  }
});

test('an LZ4 frame whose content is not what its checksum says is a fault', async () => {
  const [, frame] = unusual(text)[1]!;
  expect(decompressSync('lz4', frame).equals(text)).toBe(true);
  frame[frame.length - 1]! ^= 1;
  expect(faultOf(() => decompressSync('lz4', frame))).toBe('invalidBatch');
});

describe('snappy', () => {
  const xerialMagic = '82534e4150505900';

  test('is written in xerial frames, as Java writes it, whose chunks any snappy library reads', () => {
    const compressed = compressSync('snappy', text);
    expect(compressed.toString('hex', 0, 16)).toBe(`${xerialMagic}0000000100000001`);
    const chunks: Buffer[] = [];
    for (let at = 16; at < compressed.length; ) {
      const size = compressed.readInt32BE(at);
      chunks.push(snappy.uncompressSync(compressed.subarray(at + 4, at + 4 + size), { asBuffer: true }) as Buffer);
      at += 4 + size;
    }
    expect(chunks.length).toBeGreaterThan(1);
    expect(Buffer.concat(chunks).equals(text)).toBe(true);
  });

  test('reads raw blocks too, as librdkafka and others write them', () => {
    fc.assert(
      fc.property(fc.oneof(anyContent, fc.constant(text)), (content) => {
        expect(decompressSync('snappy', snappy.compressSync(content)).equals(content)).toBe(true);
      }),
    );
  });

  test('each kind of element is read as its description says', () => {
    const elements = [
      '19', // 25 bytes come out
      '08616263', // literals abc
      'f0016465', // literals de, their size in a byte of its own
      '0505', // copy 5 from 5 back
      '2a0a00', // copy 11 from 10 back
      '0f03000000', // copy 4 from 3 back
    ];
    const content = decompressSync('snappy', Buffer.from(elements.join(''), 'hex'));
    expect(content.toString()).toBe(['abcde', 'abcde', 'abcdeabcdea', 'dead'].join(''));
  });

  test.each([
    ['a size that its bytes cannot hold', 'ffffffff0700'],
    ['a size that never ends', 'ffffffffffff'],
    ['a copy from before the start', '0804610505'],
    ['a copy from nowhere', '0800610100'],
    ['fewer bytes than announced', '050061'],
    ['more bytes than announced', '0104616263'],
    ['a chunk longer than the rest', `${xerialMagic}000000010000000100000009010061`],
    ['half of a chunk size', `${xerialMagic}00000001000000010000`],
  ])('refuses %s', (_, hex) => {
    expect(faultOf(() => decompressSync('snappy', Buffer.from(hex, 'hex')))).toBe('invalidBatch');
  });
});

describe('lz4', () => {
  test('any LZ4 library reads what is written', () => {
    fc.assert(
      fc.property(fc.oneof(anyContent, fc.constant(text)), (content) => {
        expect(decompressFrameSync(compressSync('lz4', content)).equals(content)).toBe(true);
        expect(decompressSync('lz4', compressFrameSync(content)).equals(content)).toBe(true);
      }),
    );
  });

  test('is written in independent blocks of 64 KiB without checksums, which Java requires', () => {
    expect(compressSync('lz4', text).toString('hex', 0, 7)).toBe('04224d18604082');
  });

  const frame = compressSync('lz4', Buffer.from('abcd'.repeat(10)));
  test.each([
    ['another magic', 0, 0x05],
    ['another version', 4, 0x20],
    ['a dictionary', 4, 0x61],
    ['a block size that is reserved', 5, 0x30],
    ['a wrong header checksum', 6, 0x00],
  ])('refuses %s', (_, at, byte) => {
    const bytes = Buffer.from(frame);
    bytes[at] = byte;
    expect(faultOf(() => decompressSync('lz4', bytes))).toBe('invalidBatch');
  });

  test('refuses bytes after the frame', () => {
    expect(faultOf(() => decompressSync('lz4', Buffer.concat([frame, Buffer.from([0])])))).toBe('invalidBatch');
  });

  test('takes no memory for a content size that its bytes cannot hold', () => {
    const header = Buffer.alloc(11);
    header[0] = 0x68;
    header[1] = 0x40;
    header.writeUInt32LE(100_000_000, 2);
    header[10] = (xxh32(header, 0, 10) >>> 8) & 0xff;
    const bytes = Buffer.concat([frame.subarray(0, 4), header, Buffer.alloc(4)]);
    expect(faultOf(() => decompressSync('lz4', bytes))).toBe('invalidBatch');
  });
});

describe('gzip', () => {
  test('reads members one after another, as streams write them', () => {
    const members = Buffer.concat([zlib.gzipSync('abc'), zlib.gzipSync('def')]);
    expect(decompressSync('gzip', members).toString()).toBe('abcdef');
  });
});

describe('XXH32', () => {
  // From the reference implementation.
  test.each([
    ['', 0x02cc5d05],
    ['a', 0x550d7456],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ])('of "%s"', (text, expected) => {
    expect(xxh32(Buffer.from(text), 0, text.length)).toBe(expected);
  });
});
