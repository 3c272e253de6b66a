/** The protocol type of consumers, whose metadata names topics. */
export const CONSUMER_PROTOCOL = 'consumer';

/**
 * The topics that a consumer's metadata subscribes to; null when the bytes are not such metadata. Every version begins with
 * what is read here, big-endian: version int16, number of topics int32, then each topic's length int16 and name in UTF-8.
 */
export function subscribedTopics(metadata: Uint8Array): string[] | null {
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  if (bytes.length < 6 || bytes.readInt16BE(0) < 0) return null;
  const topics: string[] = [];
  let at = 6;
  for (let left = bytes.readInt32BE(2); left > 0; left -= 1) {
    if (at + 2 > bytes.length) return null;
    const size = bytes.readInt16BE(at);
    const end = at + 2 + size;
    if (size < 0 || end > bytes.length) return null;
    topics.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return topics;
}
