import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BATCH_HEADER_BYTES, checkBatch, field } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import { checkRecords, recordsOf, recordsOfAsync } from '../../src/record/records.ts';
import { anyRecord, threeRecords } from './batches.ts';
import { faultOf } from './fault-of.ts';

/** A batch of hand-written records; hex, without the length that leads each. */
function batchOf(bodies: string[], recordCount = bodies.length): Buffer {
  const records = Buffer.concat(
    bodies.map((body) => Buffer.from(`${body.length.toString(16).padStart(2, '0')}${body}`, 'hex')),
  );
  const batch = Buffer.concat([buildBatch(threeRecords).subarray(0, BATCH_HEADER_BYTES), records]);
  batch.writeInt32BE(batch.length - 12, field.length);
  batch.writeInt32BE(recordCount, field.recordCount);
  return batch;
}

// attributes, timestamp delta, offset delta, key length, value length, number of headers; -1 is 01
const plain = ['000000010100', '000002010100', '000004010100'];

describe('recordsOf', () => {
  test('reads records as the layout says', () => {
    const read = [
      ...recordsOf(batchOf(['000000', '000802', '000704'].map((start) => `${start}026b04767604026800026901`))),
    ];
    expect(read.map((record) => [record.offset, record.timestampMs - 1_700_000_000_000])).toEqual([
      [0, 0],
      [1, 4],
      [2, -4],
    ]);
    for (const { key, value, headers } of read) {
      expect([key?.toString(), value?.toString()]).toEqual(['k', 'vv']);
      expect(headers).toEqual([
        { key: 'h', value: Buffer.alloc(0) },
        { key: 'i', value: null },
      ]);
    }
  });

  test('gives views, not copies', () => {
    const batch = buildBatch(threeRecords);
    const [first] = recordsOf(batch);
    expect(first?.value?.buffer).toBe(batch.buffer);
  });

  test('keeps the offsets that compaction left', () => {
    expect([...recordsOf(batchOf([plain[0]!, plain[2]!]))].map((record) => record.offset)).toEqual([0, 2]);
  });

  test.each([
    ['fewer than the header says', plain.slice(0, 2), 3],
    ['more than the header says', plain, 2],
    ['offsets that do not rise', [plain[0]!, plain[0]!], 2],
    ['an offset past the last', ['000006010100'], 1],
    ['an offset before the first', ['000001010100'], 1],
    ['a key past the end of its record', [`00000004${'61'}0100`], 1],
    ['a header count that its bytes cannot hold', ['000000010104'], 1],
    ['a negative header count', ['000000010101'], 1],
    ['a header without a key', ['0000000101020101'], 1],
    ['bytes after its headers', ['00000001010000'], 1],
    ['no body', [''], 1],
    ['a length past the end of the batch', [plain[0]!, '7f'.repeat(1)], 2],
  ])('refuses records with %s', (_, bodies, recordCount) => {
    expect(faultOf(() => [...recordsOf(batchOf(bodies, recordCount))])).toBe('invalidBatch');
  });

  test('a batch that is cut off is refused before any record', () => {
    const batch = buildBatch(threeRecords);
    for (let end = BATCH_HEADER_BYTES; end < batch.length; end++) {
      expect(faultOf(() => recordsOf(batch.subarray(0, end)).next())).toBe('corruptBatch');
    }
  });

  test.each(compressions)(
    'damage that hides behind a right CRC never does worse than a fault, with %s',
    (compression) => {
      const batch = buildBatch(threeRecords, { compression });
      fc.assert(
        fc.property(fc.integer({ min: BATCH_HEADER_BYTES, max: batch.length - 1 }), fc.nat(255), (at, byte) => {
          const copy = Buffer.from(batch);
          copy[at] = byte;
          const fault = faultOf(() => [...recordsOf(copy, 0, { bytesMax: 100_000 })]);
          expect([null, 'invalidBatch']).toContain(fault);
        }),
        { numRuns: 1000 },
      );
    },
  );

  test.each(compressions)(
    'holds %s to the bytes it may decompress to, at once and off the event loop',
    async (compression) => {
      const value = Buffer.alloc(50_000, 'a');
      const batch = buildBatch([{ timestampMs: 0, value }], { compression });
      expect(checkBatch(batch, 0, batch.length)).toBeNull();
      const enough = { bytesMax: 50_100 };
      expect([...recordsOf(batch, 0, enough)][0]?.value?.equals(value)).toBe(true);
      expect([...(await recordsOfAsync(batch, 0, enough))][0]?.value?.equals(value)).toBe(true);
      if (compression === 'none') return;
      expect(faultOf(() => [...recordsOf(batch, 0, { bytesMax: 49_999 })])).toBe('invalidBatch');
      await expect(recordsOfAsync(batch, 0, { bytesMax: 49_999 })).rejects.toMatchObject({ fault: 'invalidBatch' });
    },
  );
});

describe('checkRecords', () => {
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });

  test('finds nothing in what was built', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (records) => {
        expect(checkRecords(buildBatch(records), 0)).toBeNull();
      }),
    );
  });

  test('what it lets pass can be read, with the offsets that were given; what it refuses cannot', () => {
    let passed = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(anyRecord, { minLength: 1, maxLength: 3 }),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (records, changes) => {
          const bytes = Buffer.from(buildBatch(records));
          const room = bytes.length - BATCH_HEADER_BYTES;
          for (const { at, byte } of changes) bytes[BATCH_HEADER_BYTES + (at % room)] = byte;
          let offsets: number[] | null = null;
          try {
            offsets = Array.from(recordsOf(bytes), ({ offset }) => offset);
          } catch (error) {
            expect(error).toMatchObject({ fault: 'invalidBatch' });
          }
          const fault = checkRecords(bytes, 0);
          expect(fault?.fault ?? offsets).toEqual(offsets === null ? 'invalidBatch' : records.map((_, i) => i));
          if (fault === null) passed += 1;
          else refused += 1;
        },
      ),
      { numRuns: 2000 },
    );
    expect(Math.min(passed, refused)).toBeGreaterThan(50);
  });
});
