import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CachedTail, TailCache } from '../../src/log/tail-cache.ts';
import { nextOffset, stamp } from '../../src/record/batch.ts';
import { batchOf } from './support.ts';

const PAGE_BYTES = 64 * 1024;

function bytesOf(tail: CachedTail, offset: number): Buffer {
  return Buffer.concat(tail.from(offset).map(({ page, start, end }) => page.bytes!.subarray(start, end)));
}

describe('one partition', () => {
  test('has what it added from any of its offsets on, and nothing before or after', () => {
    const tail = new CachedTail(new TailCache(1 << 20));
    const added: Buffer[] = [];
    for (let i = 0; i < 10; i += 1) added.push(tail.add(Buffer.from(`batch ${i} `), 100 + i * 2, 102 + i * 2).bytes);
    expect(bytesOf(tail, 100).toString()).toBe(added.join(''));
    expect(tail.from(99)).toEqual([]);
    expect(tail.from(120)).toEqual([]);
    tail.clear();
    expect(tail.from(100)).toEqual([]);
  });

  test('has regions without a gap, each small enough to be walked', () => {
    const tail = new CachedTail(new TailCache(1 << 20));
    for (let i = 0; i < 300; i += 1) tail.add(Buffer.alloc(1000, i), i, i + 1);
    const regions = tail.from(0);
    expect(regions.length).toBeGreaterThan(3);
    expect(regions[0]!.baseOffset).toBe(0);
    expect(regions.at(-1)!.nextOffset).toBe(300);
    for (const [i, region] of regions.entries()) {
      expect(region.end - region.start).toBeLessThanOrEqual(64 * 1024);
      if (i > 0) expect(region.baseOffset).toBe(regions[i - 1]!.nextOffset);
    }
  });

  test('copies: what the caller does with its buffer later changes nothing', () => {
    const tail = new CachedTail(new TailCache(1 << 20));
    const batch = Buffer.from('original');
    tail.add(batch, 0, 1);
    batch.fill('x');
    expect(bytesOf(tail, 0).toString()).toBe('original');
  });
});

describe('the budget', () => {
  test('is kept by dropping whole pages, oldest first; one batch larger than all of it still fits', () => {
    const cache = new TailCache(8 * PAGE_BYTES);
    const tail = new CachedTail(cache);
    for (let i = 0; i < 100; i += 1) {
      tail.add(Buffer.alloc(20_000, i), i, i + 1);
      expect(cache.heldBytes).toBeLessThanOrEqual(8 * PAGE_BYTES);
      expect(bytesOf(tail, i).at(-1)).toBe(i);
    }
    expect(tail.from(0)).toEqual([]);
    tail.add(Buffer.alloc(9 * PAGE_BYTES, 'b'), 100, 101);
    expect(bytesOf(tail, 100).length).toBe(9 * PAGE_BYTES);
    expect(tail.from(99)).toEqual([]);
    tail.add(Buffer.alloc(10), 101, 102);
    expect(cache.heldBytes).toBeLessThanOrEqual(8 * PAGE_BYTES);
  });

  test.each([
    ['still being written', 0, true],
    ['not used any more', 1, false],
  ])('a page whose bytes are %s', (_, unpins, stays) => {
    const cache = new TailCache(2 * PAGE_BYTES);
    const tail = new CachedTail(cache);
    const { bytes, page } = tail.add(Buffer.from('held'), 0, 1);
    page.pins -= unpins;
    for (let i = 1; i < 50; i += 1) tail.add(Buffer.alloc(10_000, 'x'), i, i + 1).page.pins -= 1;
    expect(tail.from(0)).toEqual([]);
    expect(bytes.toString() === 'held').toBe(stays);
    expect(cache.heldBytes).toBeLessThanOrEqual(2 * PAGE_BYTES);
  });
});

test('partitions that share a cache each keep an unbroken, true end of what they added', () => {
  const anyAdds = fc.array(
    fc.record({ of: fc.nat(2), bytes: fc.integer({ min: 1, max: 30_000 }), clear: fc.nat(40) }),
    {
      minLength: 1,
      maxLength: 150,
    },
  );
  let evictions = 0;
  fc.assert(
    fc.property(anyAdds, fc.integer({ min: 1, max: 6 }), (adds, pages) => {
      const cache = new TailCache(pages * PAGE_BYTES);
      const parts = Array.from({ length: 3 }, () => ({ tail: new CachedTail(cache), added: [] as Buffer[], first: 0 }));
      for (const [i, { of, bytes, clear }] of adds.entries()) {
        const part = parts[of]!;
        if (clear === 0) {
          part.tail.clear();
          part.first = part.added.length;
        }
        const batch = Buffer.alloc(bytes, `${of} ${i} `);
        part.tail.add(batch, part.added.length, part.added.length + 1);
        part.added.push(batch);
      }
      for (const { tail, added, first } of parts) {
        let kept = added.length;
        while (kept > first && tail.from(kept - 1).length > 0) kept -= 1;
        if (kept > first) evictions += 1;
        for (let i = 0; i < kept; i += 1) expect(tail.from(i)).toEqual([]);
        if (kept === added.length) continue;
        expect(bytesOf(tail, kept).equals(Buffer.concat(added.slice(kept)))).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
  expect(evictions).toBeGreaterThan(0);
});

test('a batch may be stamped in its copy after it was added', () => {
  const tail = new CachedTail(new TailCache(1 << 20));
  const { bytes } = tail.add(batchOf({ count: 3 }), 40, 43);
  stamp(bytes, 0, 40, 9);
  expect(nextOffset(bytesOf(tail, 40), 0)).toBe(43);
});
