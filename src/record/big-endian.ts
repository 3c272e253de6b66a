/*
 * Big-endian integers at a place of a buffer. Buffer's own methods also check what their arguments are, each time: they take twice
 * as long for 32 bits, three times for 64, and there are dozens of them in an append. Here a value that has more bits loses those
 * above.
 */

/** @throws RangeError beyond the buffer */
export function readInt32(buffer: Buffer, at: number): number {
  const last = buffer[at + 3];
  const first = buffer[at];
  if (first === undefined || last === undefined) throw beyond(buffer, at, 4);
  return (first << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | last;
}

/** @throws RangeError beyond the buffer */
export function readInt16(buffer: Buffer, at: number): number {
  const first = buffer[at];
  const last = buffer[at + 1];
  if (first === undefined || last === undefined) throw beyond(buffer, at, 2);
  return ((first << 24) >> 16) | last;
}

/** `value` is an integer, signed or not. @throws RangeError beyond the buffer */
export function writeInt32(buffer: Buffer, at: number, value: number): void {
  if (buffer[at] === undefined || buffer[at + 3] === undefined) throw beyond(buffer, at, 4);
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

/**
 * An int64 as a number, saturating at ±(2^53 - 1): Kafka's own offsets, timestamps and ids stay below, and what a peer sends
 * above is still ordered rightly. @throws RangeError beyond the buffer
 */
export function readInt64(buffer: Buffer, at: number): number {
  return saturate(readInt32(buffer, at) * 2 ** 32 + (readInt32(buffer, at + 4) >>> 0));
}

/** `value` is a safe integer. @throws RangeError beyond the buffer */
export function writeInt64(buffer: Buffer, at: number, value: number): void {
  // The end first: of one that the buffer's end would cut off nothing is written.
  writeInt32(buffer, at + 4, value);
  writeInt32(buffer, at, Math.floor(value / 2 ** 32));
}

export function saturate(value: number): number {
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER;
  return value;
}

function beyond(buffer: Buffer, at: number, bytes: number): RangeError {
  return new RangeError(`${bytes} bytes at ${at} of a buffer of ${buffer.length}`);
}
