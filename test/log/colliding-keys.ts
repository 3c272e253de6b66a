/*
 * Keys that XXH64 takes for each other under a seed that is known, which is what that hash is not made against. After a
 * length of less than 32 it takes in eight bytes at a time, each by steps that can be undone: whatever the first eight are,
 * there are eight more that lead to the same state.
 */

const PRIME_1 = 0x9e37_79b1_85eb_ca87n;
const PRIME_2 = 0xc2b2_ae3d_27d4_eb4fn;
const PRIME_4 = 0x85eb_ca77_c2b2_ae63n;
const PRIME_5 = 0x27d4_eb2f_1656_67c5n;
const KEY_BYTES = 16;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const turned = (value: bigint, left: bigint): bigint => u64((value << left) | (value >> (64n - left)));
const mixed = (lane: bigint): bigint => u64(turned(u64(lane * PRIME_2), 31n) * PRIME_1);
const unmixed = (value: bigint): bigint => u64(turned(u64(value * INVERSE_1), 33n) * INVERSE_2);

/** By Newton: each step doubles the bits that are right. */
function inverse(odd: bigint): bigint {
  let found = odd;
  for (let step = 0; step < 6; step += 1) found = u64(found * (2n - odd * found));
  return found;
}

const INVERSE_1 = inverse(PRIME_1);
const INVERSE_2 = inverse(PRIME_2);

/** So many keys whose hash under the seed is the same. */
export function* colliding(seed: bigint, count: number): Generator<Buffer> {
  const state = u64(seed + PRIME_5 + BigInt(KEY_BYTES));
  for (let first = 0n; first < count; first += 1n) {
    const afterFirst = u64(turned(state ^ mixed(first), 27n) * PRIME_1 + PRIME_4);
    const key = Buffer.alloc(KEY_BYTES);
    key.writeBigUInt64LE(first);
    // What is taken in next is 0 with the state so far.
    key.writeBigUInt64LE(unmixed(afterFirst), 8);
    yield key;
  }
}
