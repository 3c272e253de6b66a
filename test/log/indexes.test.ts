import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastIndexWhere, OffsetIndex } from '../../src/log/offset-index.ts';
import { SegmentIndex } from '../../src/log/segment-index.ts';
import { TimeIndex } from '../../src/log/time-index.ts';

const BASE = 5_000_000_000;

/** Batches end to end: their last offsets, positions and largest timestamps. */
const anyBatches = fc
  .array(
    fc.record({ offsets: fc.integer({ min: 1, max: 50 }), bytes: fc.integer({ min: 61, max: 900 }), ms: fc.nat(500) }),
    {
      maxLength: 60,
    },
  )
  .map((specs) => {
    let lastOffset = BASE - 1;
    let end = 0;
    return specs.map(({ offsets, bytes, ms }) => {
      const position = end;
      lastOffset += offsets;
      end += bytes;
      return { lastOffset, position, bytes, ms };
    });
  });

test('lastIndexWhere finds where a property that holds at first stops to hold', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(40), (length, holdsFor) => {
      expect(lastIndexWhere(length, (i) => i < holdsFor)).toBe(Math.min(length, holdsFor) - 1);
    }),
  );
});

describe('the offset index', () => {
  test('has the layout of Kafka: 4 bytes of relative offset, 4 of position', () => {
    const index = new OffsetIndex(BASE);
    index.append(BASE + 258, 772);
    expect(index.toBytes().toString('hex')).toBe('0000010200000304');
  });

  test('names the last entry up to an offset, and survives its file', () => {
    fc.assert(
      fc.property(anyBatches, fc.nat(3200), (batches, after) => {
        const index = new OffsetIndex(BASE);
        for (const batch of batches) index.append(batch.lastOffset, batch.position);
        const read = OffsetIndex.parse(Buffer.from(index.toBytes()), BASE, 1 << 20)!;
        const expected = batches.findLast((batch) => batch.lastOffset <= BASE + after);
        for (const one of [index, read]) {
          expect(one.length).toBe(batches.length);
          const found = one.floor(BASE + after);
          expect(found).toEqual((expected && { offset: expected.lastOffset, position: expected.position }) || null);
        }
        read.append(BASE + 9999, 99999);
        expect(read.floor(BASE + 9999)).toEqual({ offset: BASE + 9999, position: 99999 });
      }),
    );
  });

  test.each([
    ['a part of an entry', '000000010000000a00'],
    ['an offset that does not ascend', '000000010000000a000000010000000b'],
    ['a position that does not ascend', '000000010000000a000000020000000a'],
    ['a position past the end of the log', '0000000100000400'],
    ['a negative offset', 'fffffffe0000000a'],
    ['a negative position', '00000001fffffffe'],
    ['zeros after the end', '000000010000000a0000000000000000'],
  ])('with %s is no index', (_, hex) => {
    expect(OffsetIndex.parse(Buffer.from(hex, 'hex'), BASE, 1024)).toBe(null);
  });
});

describe('the time index', () => {
  test('has the layout of Kafka: 8 bytes of timestamp, 4 of relative offset', () => {
    const index = new TimeIndex(BASE);
    index.append(258, BASE + 772);
    expect(index.toBytes().toString('hex')).toBe('000000000000010200000304');
  });

  test('leads to an offset before which every record is older', () => {
    fc.assert(
      fc.property(anyBatches, fc.nat(600), (batches, timestampMs) => {
        const index = new SegmentIndex(BASE);
        for (const { lastOffset, ms, position, bytes } of batches) index.note(lastOffset, ms, position, bytes, 500);
        index.finish();
        const read = TimeIndex.parse(Buffer.from(index.times.toBytes()), BASE)!;
        expect(read).not.toBe(null);
        const offset = read.floor(timestampMs)?.offset ?? BASE;
        for (const batch of batches) if (batch.lastOffset < offset) expect(batch.ms).toBeLessThan(timestampMs);
        const largestMs = Math.max(-1, ...batches.map(({ ms }) => ms));
        expect(new SegmentIndex(BASE, undefined, read).maxTimestampMs).toBe(largestMs);
      }),
    );
  });

  test.each([
    ['a part of an entry', '0000000000000005000000010000'],
    ['a timestamp that does not ascend', '000000000000000500000001000000000000000500000002'],
    ['an offset that does not ascend', '000000000000000500000001000000000000000600000001'],
    ['an offset before the segment', '0000000000000005fffffffe'],
    ['a timestamp beyond what a number holds', '7fffffffffffffff00000001'],
    ['zeros after the end', '000000000000000500000001000000000000000000000000'],
  ])('with %s is no index', (_, hex) => {
    expect(TimeIndex.parse(Buffer.from(hex, 'hex'), BASE)).toBe(null);
  });
});

test('an entry is made once more bytes than the interval lie since the last one', () => {
  const index = new SegmentIndex(BASE);
  for (let i = 0; i < 10; i += 1) index.note(BASE + i, 100 - i, i * 100, 100, 250);
  const entries = Array.from({ length: index.offsets.length }, (_, i) => index.offsets.entry(i).position);
  expect(entries).toEqual([300, 600, 900]);
  // The first batch is the youngest: no later one adds a time.
  expect(index.times.length).toBe(1);
  expect(index.times.entry(0)).toEqual({ timestampMs: 100, offset: BASE });
});
