/**
 * Kafka's hash of a key, written for the tests alone: what the foreign clients are measured against must not be
 * the code under test.
 */
export function murmur2(key: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  let hash = 0x9747b28c ^ key.length;
  let at = 0;
  for (; at + 4 <= key.length; at += 4) {
    let word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
    word = Math.imul(word, multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = key.length - at;
  if (rest >= 3) hash ^= key[at + 2]! << 16;
  if (rest >= 2) hash ^= key[at + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ key[at]!, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

/** The partition in which every client with Kafka's default partitioner must put the key. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
