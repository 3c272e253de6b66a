import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  baseOffset,
  baseSequence,
  batchBytes,
  checkBatch,
  checkProduced,
  compressionOf,
  isControl,
  isTransactional,
  leaderEpoch,
  maxTimestamp,
  producerEpoch,
  producerId,
} from '../../src/record/batch.ts';
import { BatchBuilder, buildBatch, type NewRecord } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import { recordsOf } from '../../src/record/records.ts';
import { anyOptions, anyRecord, contentOf, threeRecords } from './batches.ts';

describe('a batch that was built', () => {
  test('holds the records and what was said of them, with every codec', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), anyOptions, (records, options) => {
        const batch = buildBatch(records, options);
        expect(checkBatch(batch, 0, batch.length)).toBeNull();
        expect(batchBytes(batch, 0)).toBe(batch.length);
        expect(contentOf(recordsOf(batch))).toEqual(contentOf(records));
        expect([...recordsOf(batch)].map((record) => record.offset)).toEqual(
          records.map((_, index) => options.baseOffset! + index),
        );
        expect(maxTimestamp(batch, 0)).toBe(Math.max(...records.map((record) => record.timestampMs)));
        expect({
          compression: compressionOf(batch, 0),
          baseOffset: baseOffset(batch, 0),
          leaderEpoch: leaderEpoch(batch, 0),
          producerId: producerId(batch, 0),
          producerEpoch: producerEpoch(batch, 0),
          baseSequence: baseSequence(batch, 0),
          isTransactional: isTransactional(batch, 0),
          isControl: isControl(batch, 0),
        }).toEqual(options);
      }),
      { numRuns: 200 },
    );
  });

  test.each(compressions)(
    'is what a producer may send, and holds the same when built off the event loop, with %s',
    async (compression) => {
      const batch = buildBatch(threeRecords, { compression });
      expect(checkProduced(batch, 0, batch.length, 9)).toBeNull();
      const builder = new BatchBuilder({ compression, bytesMax: 10_000 });
      for (const record of threeRecords) builder.tryAppend(record);
      expect(contentOf(recordsOf(await builder.buildAsync()))).toEqual(contentOf(threeRecords));
    },
  );

  test('compresses harder at a higher level', () => {
    const records: NewRecord[] = Array.from({ length: 2000 }, (_, index) => ({
      timestampMs: 1_700_000_000_000,
      value: Buffer.from(`{"id":${(index * 7919) % 1000},"amount":${(index * 31337) % 9973}}`),
    }));
    for (const compression of ['gzip', 'zstd'] as const) {
      const fast = buildBatch(records, { compression, compressionLevel: 1 });
      const small = buildBatch(records, { compression, compressionLevel: 9 });
      expect(small.length).toBeLessThan(fast.length);
      expect(contentOf(recordsOf(small))).toEqual(contentOf(records));
    }
  });
});

describe('BatchBuilder', () => {
  test('refuses the record that would exceed bytesMax, and is then as before', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), fc.nat(2000), (records, bytesMax) => {
        const builder = new BatchBuilder({ bytesMax });
        const taken = records.filter((record) => {
          const { sizeBytes, count } = builder;
          const isTaken = builder.tryAppend(record);
          expect(builder.count).toBe(isTaken ? count + 1 : count);
          if (isTaken) expect(count === 0 || builder.sizeBytes <= bytesMax).toBe(true);
          else expect(builder.sizeBytes).toBe(sizeBytes);
          return isTaken;
        });
        expect(taken[0]).toBe(records[0]);
        const { sizeBytes } = builder;
        const batch = builder.build();
        expect(batch.length).toBe(sizeBytes);
        expect(contentOf(recordsOf(batch))).toEqual(contentOf(taken));
      }),
    );
  });

  test('is built once, and not without records: both are bugs of the caller', () => {
    const builder = new BatchBuilder({ bytesMax: 1000 });
    expect(() => builder.build()).toThrow('without records');
    builder.tryAppend({ timestampMs: 0 });
    builder.build();
    expect(() => builder.build()).toThrow('built once');
    expect(() => builder.tryAppend({ timestampMs: 0 })).toThrow('cannot take records');
  });
});
