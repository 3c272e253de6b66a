/*
 * The value of a record of the load: who sent it, its number among all that this producer sent, and filler that follows from both,
 * so that a value is right as a whole or not at all.
 *
 *   0  uint32  producer
 *   4  uint32  number, from 0
 *   8  …       filler
 */
const HEADER_BYTES = 8;
const FILLER = Buffer.from('Nothing acknowledged is ever lost. '.repeat(30));

/** A record of the load as one number: the producer above 32 bits, its number below. */
export type RecordId = number;

export function recordId(producer: number, number: number): RecordId {
  return producer * 2 ** 32 + number;
}

export function producerOf(id: RecordId): number {
  return Math.floor(id / 2 ** 32);
}

export function shown(id: RecordId | undefined): string {
  return id === undefined ? 'nothing' : `record ${id % 2 ** 32} of producer ${producerOf(id)}`;
}

export function numberedValue(producer: number, number: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + fillerBytes(number));
  bytes.writeUInt32BE(producer, 0);
  bytes.writeUInt32BE(number, 4);
  FILLER.copy(bytes, HEADER_BYTES, number % 35, (number % 35) + fillerBytes(number));
  return bytes;
}

/** Null when these are not the bytes of any record of the load. */
export function idIn(value: Buffer | null): RecordId | null {
  if (value === null || value.length < HEADER_BYTES) return null;
  const [producer, number] = [value.readUInt32BE(0), value.readUInt32BE(4)];
  return value.equals(numberedValue(producer, number)) ? recordId(producer, number) : null;
}

/** 0 to 960 bytes. */
function fillerBytes(number: number): number {
  return ((number * 7) % 17) * 60;
}
