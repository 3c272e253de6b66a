const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** What one step takes in. */
const STEP_BYTES = 1024 * 1024;

/** XXH32 with seed 0 of bytes [start, end): the checksum inside LZ4 frames, a few bytes long in most; so no library is loaded for it. */
export function xxh32(bytes: Buffer, start: number, end: number): number {
  const steps = xxh32InSteps(bytes, start, end);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** As xxh32; each step gives the bytes that went into it. */
export function* xxh32InSteps(bytes: Buffer, start: number, end: number): Generator<number, number> {
  let at = start;
  let hash = PRIME_5;
  if (end - start >= 16) {
    let lane1 = (PRIME_1 + PRIME_2) | 0;
    let lane2 = PRIME_2 | 0;
    let lane3 = 0;
    let lane4 = -PRIME_1 | 0;
    for (; at <= end - 16; at += 16) {
      if ((at - start) % STEP_BYTES === 0) yield STEP_BYTES;
      lane1 = mix(lane1, word(bytes, at));
      lane2 = mix(lane2, word(bytes, at + 4));
      lane3 = mix(lane3, word(bytes, at + 8));
      lane4 = mix(lane4, word(bytes, at + 12));
    }
    hash = rotate(lane1, 1) + rotate(lane2, 7) + rotate(lane3, 12) + rotate(lane4, 18);
  }
  hash = (hash + end - start) | 0;
  for (; at <= end - 4; at += 4) hash = Math.imul(rotate(hash + Math.imul(word(bytes, at), PRIME_3), 17), PRIME_4);
  for (; at < end; at++) hash = Math.imul(rotate(hash + Math.imul(bytes[at]!, PRIME_5), 11), PRIME_1);
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(lane: number, input: number): number {
  return Math.imul(rotate(lane + Math.imul(input, PRIME_2), 13), PRIME_1);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function word(bytes: Buffer, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
