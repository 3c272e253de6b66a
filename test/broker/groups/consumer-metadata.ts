/** A consumer's metadata (version 0): the topics it subscribes to. */
export function consumerMetadata(topics: readonly string[]): Buffer {
  const names = topics.map((topic) => Buffer.concat([int16(topic.length), Buffer.from(topic)]));
  return Buffer.concat([int16(0), int32(topics.length), ...names, int32(-1)]);
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
