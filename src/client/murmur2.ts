const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** MurmurHash2 with the seed of Kafka's clients, as a signed 32-bit integer: equal keys land where those clients put them. */
export function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  const wordsEnd = length & ~3;
  let hash = SEED ^ length;
  for (let at = 0; at < wordsEnd; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  const rest = length & 3;
  if (rest > 0) {
    if (rest === 3) hash ^= bytes[wordsEnd + 2]! << 16;
    if (rest >= 2) hash ^= bytes[wordsEnd + 1]! << 8;
    hash = Math.imul(hash ^ bytes[wordsEnd]!, MULTIPLIER);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}
