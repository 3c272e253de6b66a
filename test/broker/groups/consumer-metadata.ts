/** A consumer's metadata (version 0): the topics it subscribes to. */
export function consumerMetadata(topics: readonly string[]): Buffer {
  return Buffer.concat([int16(0), int32(topics.length), ...topics.map(stringOf), int32(-1)]);
}

/** A consumer's metadata (version 1), with the partitions that it owns of the one topic it subscribes to. */
export function owningMetadata(topic: string, owned: readonly number[]): Buffer {
  const partitions = owned.length === 0 ? int32(0) : Buffer.concat([int32(1), partitionsOf(topic, owned)]);
  return Buffer.concat([int16(1), int32(1), stringOf(topic), int32(-1), partitions]);
}

/** What a leader gives a consumer of one topic (version 1). */
export function consumerAssignment(topic: string, partitions: readonly number[]): Buffer {
  return Buffer.concat([int16(1), int32(1), partitionsOf(topic, partitions), int32(-1)]);
}

function partitionsOf(topic: string, partitions: readonly number[]): Buffer {
  return Buffer.concat([stringOf(topic), int32(partitions.length), ...partitions.map(int32)]);
}

function stringOf(text: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
