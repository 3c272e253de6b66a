import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VarintReader, varintBytes, varlongBytes, writeVarint, writeVarlong } from '../../src/record/varint.ts';
import { faultOf } from './fault-of.ts';

function reader(hex: string): VarintReader {
  const bytes = Buffer.from(hex, 'hex');
  return new VarintReader(bytes, 0, bytes.length);
}

// Values and bytes as Kafka's ByteUtilsTest has them.
const varints: [number, string][] = [
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [63, '7e'],
  [-64, '7f'],
  [64, '8001'],
  [-65, '8101'],
  [8191, 'fe7f'],
  [-8192, 'ff7f'],
  [8192, '808001'],
  [2147483647, 'feffffff0f'],
  [-2147483648, 'ffffffff0f'],
];

const varlongs: [number, string][] = [
  ...varints,
  [17179869183, 'feffffff7f'],
  [-17179869184, 'ffffffff7f'],
  [17179869184, '808080808001'],
  [Number.MAX_SAFE_INTEGER, 'feffffffffffff1f'],
  [Number.MIN_SAFE_INTEGER, 'fdffffffffffff1f'],
];

describe('varints', () => {
  test.each(varints)('%d is written as %s and read back', (value, hex) => {
    const buffer = Buffer.alloc(10);
    const end = writeVarint(buffer, 0, value);
    expect(buffer.toString('hex', 0, end)).toBe(hex);
    expect(varintBytes(value)).toBe(end);
    expect(reader(hex).varint()).toBe(value);
  });

  test.each(varlongs)('as a varlong, %d is written as %s and read back', (value, hex) => {
    const buffer = Buffer.alloc(10);
    const end = writeVarlong(buffer, 0, value);
    expect(buffer.toString('hex', 0, end)).toBe(hex);
    expect(varlongBytes(value)).toBe(end);
    expect(reader(hex).varlong()).toBe(value);
  });

  test('every int32 and every safe integer comes back, at the size foretold', () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), (int, long) => {
        const buffer = Buffer.alloc(20);
        const middle = writeVarint(buffer, 0, int);
        const end = writeVarlong(buffer, middle, long);
        expect([varintBytes(int), varlongBytes(long)]).toEqual([middle, end - middle]);
        const read = new VarintReader(buffer, 0, end);
        expect([read.varint(), read.varlong(), read.at]).toEqual([int, long, end]);
      }),
    );
  });

  test('int64 beyond what a number holds exactly saturates', () => {
    expect(reader('feffffffffffffffff01').varlong()).toBe(Number.MAX_SAFE_INTEGER);
    expect(reader('ffffffffffffffffff01').varlong()).toBe(Number.MIN_SAFE_INTEGER);
  });

  test.each(['', '80', 'ffffffff'])('a number that is cut off (%s) is a fault', (hex) => {
    expect(faultOf(() => reader(hex).varint())).toBe('invalidBatch');
    expect(faultOf(() => reader(hex).varlong())).toBe('invalidBatch');
  });

  test('more bits than the type has are a fault', () => {
    expect(faultOf(() => reader('ffffffff10').varint())).toBe('invalidBatch');
    expect(faultOf(() => reader('ffffffffff0f').varint())).toBe('invalidBatch');
    expect(faultOf(() => reader('ffffffffffffffffffff01').varlong())).toBe('invalidBatch');
  });
});
