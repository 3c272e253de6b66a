import fc from 'fast-check';
import type { BatchOptions, NewRecord } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';

export const anyBytes: fc.Arbitrary<Buffer> = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

/** As often repetitive as not, so that codecs find something. */
const anyValue: fc.Arbitrary<Buffer> = fc.oneof(
  anyBytes,
  fc.tuple(anyBytes, fc.nat(400)).map(([bytes, times]) => Buffer.concat(Array<Buffer>(times).fill(bytes))),
);

/** Half the safe integers, so that the difference of any two is one. */
const anyTimestampMs = fc.oneof(
  fc.constant(-1),
  fc.integer({ min: 1_600_000_000_000, max: 1_800_000_000_000 }),
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
);

export const anyRecord: fc.Arbitrary<NewRecord> = fc.record({
  timestampMs: anyTimestampMs,
  key: fc.option(anyBytes),
  value: fc.option(anyValue),
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: fc.option(anyBytes) }), { maxLength: 4 }),
});

export const anyOptions: fc.Arbitrary<BatchOptions> = fc.record({
  compression: fc.constantFrom(...compressions),
  baseOffset: fc.nat(Number.MAX_SAFE_INTEGER - 1000),
  leaderEpoch: fc.nat(),
  producerId: fc.nat(Number.MAX_SAFE_INTEGER),
  producerEpoch: fc.nat(32767),
  baseSequence: fc.nat(),
  isTransactional: fc.boolean(),
  isControl: fc.boolean(),
});

/** Three records that differ in all that a record has. */
export const threeRecords: NewRecord[] = [
  { timestampMs: 1_700_000_000_000, key: Buffer.from('a'), value: Buffer.from('first '.repeat(20)) },
  { timestampMs: 1_700_000_000_005, key: null, value: Buffer.from('second') },
  {
    timestampMs: 1_700_000_000_002,
    key: Buffer.from('c'),
    value: null,
    headers: [{ key: 'h', value: Buffer.from('x') }],
  },
];

/** What records hold, their offsets aside, with bytes as hex: comparing buffers byte by byte is slow. */
export function contentOf(records: Iterable<NewRecord>): object[] {
  return [...records].map(({ timestampMs, key, value, headers = [] }) => ({
    timestampMs,
    key: hexOf(key),
    value: hexOf(value),
    headers: headers.map((header) => ({ key: header.key, value: hexOf(header.value) })),
  }));
}

function hexOf(bytes: Buffer | null | undefined): string | null {
  return bytes == null ? null : bytes.toString('hex');
}
