import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readInt16, readInt32, readInt64, writeInt32, writeInt64 } from '../../src/record/big-endian.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe('big-endian integers', () => {
  test('are read as Buffer reads them, wherever they lie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 32 }), fc.nat(24), (array, anyAt) => {
        const buffer = Buffer.from(array);
        const at = anyAt % (buffer.length - 7);
        expect(readInt16(buffer, at)).toBe(buffer.readInt16BE(at));
        expect(readInt32(buffer, at)).toBe(buffer.readInt32BE(at));
        const long = Number(buffer.readBigInt64BE(at));
        const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER } = Number;
        expect(readInt64(buffer, at)).toBe(Math.min(Math.max(long, MIN_SAFE_INTEGER), MAX_SAFE_INTEGER));
      }),
    );
  });

  test('of 64 bits saturate beyond what a number holds exactly', () => {
    expect(readInt64(Buffer.from('7fffffffffffffff', 'hex'), 0)).toBe(Number.MAX_SAFE_INTEGER);
    expect(readInt64(Buffer.from('8000000000000000', 'hex'), 0)).toBe(Number.MIN_SAFE_INTEGER);
  });

  test('are written as Buffer writes them, and nothing beside them', () => {
    fc.assert(
      fc.property(int32, fc.maxSafeInteger(), fc.nat(4), (int, long, at) => {
        const ours = Buffer.alloc(20, 0xee);
        const theirs = Buffer.alloc(20, 0xee);
        writeInt32(ours, at, int);
        theirs.writeInt32BE(int, at);
        writeInt64(ours, at + 7, long);
        theirs.writeBigInt64BE(BigInt(long), at + 7);
        expect(ours).toEqual(theirs);
        expect([readInt32(ours, at), readInt64(ours, at + 7)]).toEqual([int, long]);
      }),
    );
  });

  test.each([5, 6, 7, 8, 1.5, Number.NaN])(
    'at %d of eight bytes there is none of four: refused, and nothing written',
    (at) => {
      const buffer = Buffer.alloc(8);
      expect(() => readInt32(buffer, at)).toThrow(RangeError);
      expect(() => writeInt32(buffer, at, -1)).toThrow(RangeError);
      expect(() => readInt64(buffer, at)).toThrow(RangeError);
      expect(() => writeInt64(buffer, at, -1)).toThrow(RangeError);
      expect(buffer).toEqual(Buffer.alloc(8));
      expect(() => readInt16(buffer, at + 2)).toThrow(RangeError);
    },
  );

  test('before the first byte are refused', () => {
    for (const read of [readInt16, readInt32, readInt64]) expect(() => read(Buffer.alloc(8), -1)).toThrow(RangeError);
    for (const write of [writeInt32, writeInt64]) expect(() => write(Buffer.alloc(8), -1, 1)).toThrow(RangeError);
  });

  test('that are cut in the middle are refused before a part of them is written', () => {
    const buffer = Buffer.alloc(8);
    expect(() => readInt64(buffer, 1)).toThrow(RangeError);
    expect(() => writeInt64(buffer, 1, -1)).toThrow(RangeError);
    expect(buffer).toEqual(Buffer.alloc(8));
  });
});
