import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Random } from '../../src/base/random.ts';
import { type Checksum, loadChecksum } from '../../src/log/checksum.ts';
import { KeyMap } from '../../src/log/key-map.ts';
import { SeededRandom } from '../seeded-random.ts';
import { colliding } from './colliding-keys.ts';

/** What a map takes its two seeds from. */
const giving = (...seeds: readonly bigint[]): Random => {
  const left = [...seeds];
  return {
    below: () => 0,
    bytes: () => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(left.shift()!);
      return bytes;
    },
  };
};

/** The four words of a key's hash. */
function wordsOf(hash: Checksum, key: Buffer, seeds: readonly bigint[]): Uint32Array {
  return new Uint32Array(BigUint64Array.from(seeds, (seed) => hash(key, seed)).buffer);
}

let hash: Checksum;
beforeAll(async () => {
  hash = await loadChecksum();
});

const WORD = 2 ** 32;
const OFFSET_MAX = Number.MAX_SAFE_INTEGER - 1;
/** Of all sizes, and around the places where the high word of an offset changes. */
const anyOffset = fc.oneof(
  fc.nat({ max: 1000 }),
  fc.maxSafeNat().map((offset) => Math.min(offset, OFFSET_MAX)),
  fc
    .tuple(fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat({ max: 2 ** 21 - 1 })), fc.integer({ min: -3, max: 3 }))
    .map(([high, low]) => Math.max(0, high * WORD + low)),
  fc.constantFrom(OFFSET_MAX, OFFSET_MAX - 1),
);

test('has the newest offset of each key, whatever the keys and however large the offsets', async () => {
  const anyKey = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.nat({ max: 30 }).map((n) => Buffer.from(`k${n}`)),
  );
  const puts = fc.uniqueArray(fc.tuple(anyOffset, anyKey), { selector: ([offset]) => offset, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(puts, anyKey, fc.nat(), async (unordered, other, seed) => {
      const keys = await KeyMap.create(100 * 24, new SeededRandom(seed));
      const model = new Map<string, number>();
      for (const [offset, key] of unordered.toSorted(([a], [b]) => a - b)) {
        expect(keys.put(key, offset)).toBe(true);
        model.set(Buffer.from(key).toString('hex'), offset);
        expect(keys.get(key)).toBe(offset);
      }
      expect(keys.size).toBe(model.size);
      for (const [key, offset] of model) expect(keys.get(Buffer.from(key, 'hex'))).toBe(offset);
      expect(keys.get(other)).toBe(model.get(Buffer.from(other).toString('hex')) ?? -1);
    }),
    { numRuns: 300 },
  );
});

test('holds as many keys as nine tenths of its slots, each apart, and takes no other then', async () => {
  const slots = 50_000;
  const keys = await KeyMap.create(slots * 24, new SeededRandom(1));
  const key = (i: number): Buffer => Buffer.from(`key ${i}`);
  const offset = (i: number): number => i * 171_798_691;
  let count = 0;
  while (keys.put(key(count), offset(count))) count += 1;
  expect(count).toBe(slots * 0.9);
  expect(keys.size).toBe(count);
  const wrong = Array.from({ length: count }, (_, i) => i).filter((i) => keys.get(key(i)) !== offset(i));
  expect(wrong).toEqual([]);
  expect(keys.get(key(count))).toBe(-1);
});

describe('two keys', () => {
  test.each([0, 1, 2, 3])('of which word %i of the hash alone differs stay apart', async (differs) => {
    const seeds = [0x0123_4567_89ab_cdefn, 0xfedc_ba98_7654_3210n];
    const half = differs < 2 ? 1 : 0;
    const [a, b] = pairDifferingIn(differs, seeds, half);
    const [first, second] = [wordsOf(hash, a, seeds), wordsOf(hash, b, seeds)];
    expect([0, 1, 2, 3].filter((i) => first[i] !== second[i])).toEqual([differs]);
    const keys = await KeyMap.create(0, giving(...seeds));
    keys.put(a, 7);
    expect(keys.get(b)).toBe(-1);
    keys.put(b, 8);
    expect([keys.get(a), keys.get(b), keys.size]).toEqual([7, 8, 2]);
  });

  test('made to be taken for one under known seeds are told apart by a map that was given others', async () => {
    const [a, b] = Array.from(colliding(5n, 2)) as [Buffer, Buffer];
    const underSeeds = async (...seeds: bigint[]): Promise<number> => {
      const keys = await KeyMap.create(0, giving(...seeds));
      keys.put(a, 7);
      return keys.get(b);
    };
    expect(await underSeeds(5n, 5n)).toBe(7);
    expect(await underSeeds(5n, 6n)).toBe(-1);
    expect(await underSeeds(6n, 5n)).toBe(-1);
    expect(await underSeeds(6n, 7n)).toBe(-1);
  });
});

/** All those of which one half of the hash is the same; of the other half two have one word in common by chance. */
function pairDifferingIn(differs: number, seeds: readonly bigint[], half: number): [Buffer, Buffer] {
  const same = (1 - half) * 2 + (1 - (differs % 2));
  const found = new Map<number, Buffer>();
  for (const key of colliding(seeds[half]!, 2_000_000)) {
    const word = wordsOf(hash, key, seeds)[same]!;
    const other = found.get(word);
    if (other !== undefined) return [other, key];
    found.set(word, key);
  }
  throw new Error('no two keys have that word in common');
}
