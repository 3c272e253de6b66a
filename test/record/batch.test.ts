import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  attribute,
  BATCH_HEADER_BYTES,
  baseOffset,
  baseSequence,
  baseTimestamp,
  batchBytes,
  batchesIn,
  checkBatch,
  checkProduced,
  compressionOf,
  field,
  isControl,
  isTransactional,
  lastOffset,
  lastSequence,
  leaderEpoch,
  magic,
  maxTimestamp,
  nextOffset,
  producerEpoch,
  producerId,
  recordCount,
  stamp,
  stampCrc,
  stampLogAppendTime,
  storedCrc,
  timestampType,
} from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import { recordsOf } from '../../src/record/records.ts';
import { threeRecords } from './batches.ts';
import { faultOf } from './fault-of.ts';

/** The first byte that the CRC covers. */
const CRC_START = field.attributes;

function check(bytes: Buffer, at = 0, end = bytes.length): string | null {
  return checkBatch(bytes, at, end)?.fault ?? null;
}

/** A batch with something else in its header, under a right CRC. */
function altered(change: (batch: Buffer) => void, batch = buildBatch(threeRecords)): Buffer {
  const copy = Buffer.from(batch);
  change(copy);
  stampCrc(copy, 0);
  return copy;
}

describe('the fields of a batch', () => {
  test('are read where they were written, wherever the batch lies', () => {
    const batch = buildBatch(threeRecords, {
      compression: 'lz4',
      baseOffset: 2 ** 40,
      leaderEpoch: 7,
      producerId: 2 ** 41,
      producerEpoch: 3,
      baseSequence: 11,
      isTransactional: true,
      isControl: true,
    });
    const at = 5;
    const buffer = Buffer.concat([Buffer.alloc(at), batch, Buffer.alloc(3)]);
    expect(batchBytes(buffer, at)).toBe(batch.length);
    expect([baseOffset(buffer, at), lastOffset(buffer, at), nextOffset(buffer, at)]).toEqual([
      2 ** 40,
      2 ** 40 + 2,
      2 ** 40 + 3,
    ]);
    expect([leaderEpoch(buffer, at), magic(buffer, at), recordCount(buffer, at)]).toEqual([7, 2, 3]);
    expect([baseTimestamp(buffer, at), maxTimestamp(buffer, at)]).toEqual([1_700_000_000_000, 1_700_000_000_005]);
    expect([producerId(buffer, at), producerEpoch(buffer, at)]).toEqual([2 ** 41, 3]);
    expect([baseSequence(buffer, at), lastSequence(buffer, at)]).toEqual([11, 13]);
    expect([compressionOf(buffer, at), timestampType(buffer, at)]).toEqual(['lz4', 'CreateTime']);
    expect([isTransactional(buffer, at), isControl(buffer, at)]).toEqual([true, true]);
    expect(check(buffer, at)).toBeNull();
  });

  test('sequences begin again at 0 after 2^31 - 1', () => {
    expect(lastSequence(buildBatch(threeRecords, { baseSequence: 2 ** 31 - 3 }), 0)).toBe(2 ** 31 - 1);
    expect(lastSequence(buildBatch(threeRecords, { baseSequence: 2 ** 31 - 2 }), 0)).toBe(0);
    expect(lastSequence(buildBatch(threeRecords), 0)).toBe(-1);
  });

  test('stamping an offset and an epoch needs no new CRC', () => {
    const batch = buildBatch(threeRecords);
    const crc = storedCrc(batch, 0);
    stamp(batch, 0, 12_345_678_901, 99);
    expect([baseOffset(batch, 0), leaderEpoch(batch, 0), storedCrc(batch, 0)]).toEqual([12_345_678_901, 99, crc]);
    expect(check(batch)).toBeNull();
    expect([...recordsOf(batch)].map((record) => record.offset)).toEqual([
      12_345_678_901, 12_345_678_902, 12_345_678_903,
    ]);
  });

  test('stamping LogAppendTime gives every record that time and leaves the rest', () => {
    const batch = buildBatch(threeRecords, { compression: 'zstd', isTransactional: true });
    stampLogAppendTime(batch, 0, 1_800_000_000_000);
    expect(check(batch)).toBeNull();
    expect([timestampType(batch, 0), compressionOf(batch, 0), isTransactional(batch, 0)]).toEqual([
      'LogAppendTime',
      'zstd',
      true,
    ]);
    expect([...recordsOf(batch)].map((record) => record.timestampMs)).toEqual(Array(3).fill(1_800_000_000_000));
  });
});

describe('batchesIn', () => {
  const one = buildBatch(threeRecords);
  const two = buildBatch(threeRecords.slice(1), { compression: 'gzip' });

  test('finds each whole batch and ends quietly at a cut one, wherever it is cut', () => {
    const both = Buffer.concat([one, two]);
    for (let end = 0; end <= both.length; end++) {
      const expected = end < one.length ? [] : end < both.length ? [0] : [0, one.length];
      expect([...batchesIn(both.subarray(0, end))]).toEqual(expected);
    }
  });

  test.each([-12, 0, 48])('a length of %d, which would lead nowhere, is a fault', (length) => {
    const bytes = Buffer.concat([one, two]);
    bytes.writeInt32BE(length, one.length + field.length);
    expect(faultOf(() => [...batchesIn(bytes)])).toBe('corruptBatch');
  });

  test('another format is a fault', () => {
    const bytes = Buffer.from(one);
    bytes[field.magic] = 1;
    expect(faultOf(() => [...batchesIn(bytes)])).toBe('unsupportedMagic');
  });
});

describe('checkBatch', () => {
  test.each(compressions)('detects any changed byte under the CRC, with compression %s', (compression) => {
    const batch = buildBatch(threeRecords, { compression });
    fc.assert(
      fc.property(
        fc.integer({ min: CRC_START, max: batch.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, flip) => {
          const copy = Buffer.from(batch);
          copy[at]! ^= flip;
          expect(check(copy)).toBe('corruptBatch');
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a batch cut at any length is a fault, and so are no bytes at all', () => {
    const batch = buildBatch(threeRecords);
    for (let end = 0; end < batch.length; end++) {
      expect(check(batch.subarray(0, end))).toBe('corruptBatch');
      expect(check(batch, 0, end)).toBe('corruptBatch');
    }
  });

  test('looks no further than the batch', () => {
    expect(check(Buffer.concat([buildBatch(threeRecords), Buffer.from('junk')]))).toBeNull();
  });

  test.each([0, 1, 3, -1])('refuses format %d', (value) => {
    expect(check(altered((batch) => batch.writeInt8(value, field.magic)))).toBe('unsupportedMagic');
  });

  test.each([
    ['a length below the header', field.length, 48, 'corruptBatch'],
    ['a negative length', field.length, -1, 'corruptBatch'],
    ['a length beyond the bytes', field.length, 2 ** 31 - 1, 'corruptBatch'],
  ])('refuses %s', (_, at, value, fault) => {
    const batch = buildBatch(threeRecords);
    batch.writeInt32BE(value, at);
    expect(check(batch)).toBe(fault);
  });

  test.each([
    ['a negative base offset', field.baseOffset, -1],
    ['a negative last offset delta', field.lastOffsetDelta, -1],
    ['a negative number of records', field.recordCount, -1],
    ['more records than offsets', field.recordCount, 4],
    ['fewer offsets than records', field.lastOffsetDelta, 1],
  ])('refuses %s under a right CRC', (_, at, value) => {
    expect(check(altered((batch) => batch.writeInt32BE(value, at)))).toBe('invalidBatch');
  });

  test('refuses more records than its bytes can hold', () => {
    const lying = altered((batch) => {
      batch.writeInt32BE(1_000_000, field.recordCount);
      batch.writeInt32BE(999_999, field.lastOffsetDelta);
    });
    expect(check(lying)).toBe('invalidBatch');
  });

  test.each([5, 6, 7])('refuses compression type %d', (type) => {
    expect(check(altered((batch) => batch.writeInt16BE(type, field.attributes)))).toBe('unsupportedCompression');
  });

  test('accepts what compaction leaves: gaps, no records at all, unused attribute bits', () => {
    expect(check(altered((batch) => batch.writeInt32BE(100, field.lastOffsetDelta)))).toBeNull();
    const emptied = altered((batch) => batch.writeInt32BE(0, field.recordCount)).subarray(0, BATCH_HEADER_BYTES);
    emptied.writeInt32BE(BATCH_HEADER_BYTES - 12, field.length);
    stampCrc(emptied, 0);
    expect(check(emptied)).toBeNull();
    expect([...recordsOf(emptied)]).toEqual([]);
    expect(check(altered((batch) => batch.writeInt16BE(0x7fc0, field.attributes)))).toBeNull();
  });

  test('says what was expected and what was found', () => {
    const batch = buildBatch(threeRecords);
    expect(checkBatch(batch, 0, 70)?.message).toContain(`expected ${batch.length} bytes, found 70`);
    const stored = storedCrc(batch, 0).toString(16).padStart(8, '0');
    batch[batch.length - 1]! ^= 1;
    expect(checkBatch(batch, 0, batch.length)?.message).toContain(`expected CRC-32C ${stored} as stored, found `);
  });
});

/** Each with the error that Apache Kafka 4.3.1, when asked, answered a produce request of version 8 with; null where it stored the batch. */
const produced: [string, Buffer, string | null][] = [
  ['a plain batch', buildBatch(threeRecords), null],
  ['an idempotent batch', buildBatch(threeRecords, { producerId: 0, producerEpoch: 0, baseSequence: 0 }), null],
  ['no bytes', Buffer.alloc(0), 'INVALID_RECORD'],
  ['two batches', Buffer.concat([buildBatch(threeRecords), buildBatch(threeRecords)]), 'INVALID_RECORD'],
  ['all but the end of a batch', buildBatch(threeRecords).subarray(0, -1), 'INVALID_RECORD'],
  ['the start of a header', buildBatch(threeRecords).subarray(0, 15), 'INVALID_RECORD'],
  ['a length below the header', altered((batch) => batch.writeInt32BE(40, field.length)), 'CORRUPT_MESSAGE'],
  ['an older format', altered((batch) => batch.writeInt8(1, field.magic)), 'INVALID_RECORD'],
  ['a wrong CRC', Buffer.from(buildBatch(threeRecords)).fill(0, field.crc, field.crc + 4), 'CORRUPT_MESSAGE'],
  ['a base offset', buildBatch(threeRecords, { baseOffset: 5 }), 'INVALID_RECORD'],
  ['a gap between offsets', altered((batch) => batch.writeInt32BE(3, field.lastOffsetDelta)), 'INVALID_RECORD'],
  ['fewer records than offsets', altered((batch) => batch.writeInt32BE(2, field.recordCount)), 'INVALID_RECORD'],
  ['no records', altered((batch) => batch.writeInt32BE(0, field.recordCount)), 'INVALID_RECORD'],
  ['control records', buildBatch(threeRecords, { isControl: true }), 'INVALID_RECORD'],
  ['a producer id without sequence', buildBatch(threeRecords, { producerId: 4, producerEpoch: 0 }), 'INVALID_RECORD'],
  [
    'a highest timestamp below the first',
    altered((batch) => batch.fill(0, field.maxTimestamp, field.producerId)),
    null,
  ],
  ['unused attributes', altered((batch) => batch.writeInt16BE(0x7f80, field.attributes)), null],
  ['a leader epoch', buildBatch(threeRecords, { leaderEpoch: 77 }), null],
];

describe('checkProduced', () => {
  test.each(produced)('%s', (_, bytes, expected) => {
    expect(checkProduced(bytes, 0, bytes.length, 8)?.kafka ?? null).toBe(expected);
  });

  test('refuses bytes after the batch, which Kafka drops without a word', () => {
    const batch = Buffer.concat([buildBatch(threeRecords), Buffer.from('junk')]);
    expect(checkProduced(batch, 0, batch.length, 9)?.fault).toBe('invalidBatch');
  });

  test('refuses LogAppendTime, which is for the broker to set', () => {
    const batch = altered((copy) => copy.writeInt16BE(attribute.logAppendTime, field.attributes));
    expect(checkProduced(batch, 0, batch.length, 9)?.kafka).toBe('INVALID_TIMESTAMP');
  });

  test('takes zstd from request version 7 on, whose clients can read it', () => {
    const batch = buildBatch(threeRecords, { compression: 'zstd' });
    expect(checkProduced(batch, 0, batch.length, 6)?.kafka).toBe('UNSUPPORTED_COMPRESSION_TYPE');
    expect(checkProduced(batch, 0, batch.length, 7)).toBeNull();
  });
});
