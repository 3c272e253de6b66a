import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, crc32cByTable } from '../../src/record/crc32c.ts';

describe('CRC-32C', () => {
  test.each([
    ['', 0x00000000],
    ['313233343536373839', 0xe3069283],
    ['00'.repeat(32), 0x8a9136aa],
    ['ff'.repeat(32), 0x62a8ab43],
  ])('of %s is what RFC 3720 and the catalogue of CRCs say', (bytes, expected) => {
    expect(crc32c(Buffer.from(bytes, 'hex'))).toBe(expected);
    expect(crc32cByTable(Buffer.from(bytes, 'hex'))).toBe(expected);
  });

  test('is the same by table and by the processor, at every length and alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000, size: 'max' }), fc.nat(7), (array, skipped) => {
        const bytes = Buffer.from(array).subarray(skipped);
        expect(crc32c(bytes)).toBe(crc32cByTable(bytes));
      }),
    );
  });

  test('of a part is that of a copy of it, and goes on from that of the part before', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000, size: 'max' }), fc.nat(1000), fc.nat(1000), (array, one, other) => {
        const bytes = Buffer.from(array);
        const [start, end] = [one, other].map((at) => Math.min(at, bytes.length)).toSorted((a, b) => a - b) as [
          number,
          number,
        ];
        expect(crc32c(bytes, 0, start, end)).toBe(crc32c(Buffer.from(bytes.subarray(start, end))));
        expect(crc32c(bytes, crc32c(bytes, 0, start, end), end)).toBe(crc32c(bytes, 0, start));
      }),
    );
  });
});
