import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';

/** Which fault a frame that breaks the protocol is: the peer's request, or the broker's answer. */
export type FrameFault = 'malformedRequest' | 'malformedResponse';

/** Strings up to this length are read a character at a time, which is faster than a call into Node for the usual names. */
const SHORT_STRING_BYTES = 16;

/**
 * Reads the values of a frame one after another. Every length is checked against the bytes that remain before anything
 * is allocated. Lengths come as -1 for null from the `…Length` methods; the methods that take one say what they refuse.
 */
export class FrameReader {
  readonly #buffer: Buffer;
  readonly #fault: FrameFault;
  readonly #end: number;
  readonly #elementsMax: number;
  #position: number;
  #elements = 0;

  /** `elementsMax`: structs and strings that the arrays of the frame may have together. */
  constructor(buffer: Buffer, start: number, fault: FrameFault, elementsMax: number = limits.responseElementsMax) {
    this.#elementsMax = elementsMax;
    this.#buffer = buffer;
    this.#fault = fault;
    this.#end = buffer.length;
    this.#position = start;
  }

  get position(): number {
    return this.#position;
  }

  /** Structs and strings in arrays so far. */
  get elements(): number {
    return this.#elements;
  }

  bool(): boolean {
    return this.#buffer[this.#take(1)] !== 0;
  }

  int8(): number {
    return (this.#buffer[this.#take(1)]! << 24) >> 24;
  }

  int16(): number {
    const at = this.#take(2);
    return ((this.#buffer[at]! << 24) >> 16) | this.#buffer[at + 1]!;
  }

  uint16(): number {
    const at = this.#take(2);
    return (this.#buffer[at]! << 8) | this.#buffer[at + 1]!;
  }

  int32(): number {
    const at = this.#take(4);
    const bytes = this.#buffer;
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }

  /** Saturates at ±(2^53 - 1): Long.MAX is a legal value of several settings, and no reason to fail a frame. */
  int64(): number {
    const high = this.int32();
    const value = high * 0x1_0000_0000 + (this.int32() >>> 0);
    if (high >= -0x20_0000 && high < 0x20_0000) return Math.max(value, -Number.MAX_SAFE_INTEGER);
    return high < 0 ? -Number.MAX_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
  }

  float64(): number {
    return this.#buffer.readDoubleBE(this.#take(8));
  }

  uuid(): string {
    const at = this.#take(16);
    return this.#buffer.toString('base64url', at, at + 16);
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.#take(1)]!;
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.refuse('a varint of more than 32 bits');
  }

  length16(): number {
    return this.#checkedLength(this.int16());
  }

  length32(): number {
    return this.#checkedLength(this.int32());
  }

  compactLength(): number {
    return this.uvarint() - 1;
  }

  /** Whether a nullable struct follows. */
  presence(): boolean {
    return this.#checkedLength(this.int8()) !== -1;
  }

  /** Refuses null, and more than the 32,767 bytes that Kafka allows. */
  string(length: number, field: string): string {
    if (length < 0) this.refuse(`${field} is null`);
    if (length > 0x7fff) this.refuse(`${field} has ${length} bytes; a string has 32767 at most`);
    const at = this.#take(length);
    if (length > SHORT_STRING_BYTES) return this.#buffer.toString('utf8', at, at + length);
    let text = '';
    for (let i = at; i < at + length; i++) {
      const byte = this.#buffer[i]!;
      if (byte >= 0x80) return this.#buffer.toString('utf8', at, at + length);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  nullableString(length: number, field: string): string | null {
    return length < 0 ? null : this.string(length, field);
  }

  /** A view of the frame, not a copy. Refuses null. */
  bytes(length: number, field: string): Buffer {
    if (length < 0) this.refuse(`${field} is null`);
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  nullableBytes(length: number, field: string): Buffer | null {
    return length < 0 ? null : this.bytes(length, field);
  }

  /** One view of the frame, or none where there are no bytes. Refuses null. */
  records(length: number, field: string): readonly Buffer[] {
    const bytes = this.bytes(length, field);
    return bytes.length === 0 ? [] : [bytes];
  }

  nullableRecords(length: number, field: string): readonly Buffer[] | null {
    return length < 0 ? null : this.records(length, field);
  }

  /** How many elements follow, none of them shorter than `elementBytesMin`. Refuses null. */
  count(length: number, elementBytesMin: number, field: string): number {
    if (length < 0) this.refuse(`${field} is null`);
    if (length > limits.arrayElementsMax || length * elementBytesMin > this.#end - this.#position) {
      this.refuse(`${field} announces ${length} elements in ${this.#end - this.#position} bytes`);
    }
    return length;
  }

  /** The same for structs and strings, which take far more memory than the frame's bytes: the frame has one budget for all. */
  heapCount(length: number, elementBytesMin: number, field: string): number {
    this.count(length, elementBytesMin, field);
    this.#elements += length;
    if (this.#elements > this.#elementsMax) this.refuse(`more than ${this.#elementsMax} elements`);
    return length;
  }

  /** The end of the tagged field that follows. */
  tagEnd(): number {
    const length = this.uvarint();
    if (length > this.#end - this.#position) this.refuse(`a tagged field of ${length} bytes is cut off`);
    return this.#position + length;
  }

  /** Goes on behind a tagged field of an unknown tag. */
  skipTo(end: number): void {
    this.#position = end;
  }

  expectAt(end: number, field: string): void {
    if (this.#position !== end) this.refuse(`${field} does not end where its length says`);
  }

  /** Skips a tagged section of which no tag is known. */
  skipTags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.skipTo(this.tagEnd());
    }
  }

  refuse(detail: string): never {
    throw new Fault(this.#fault, { detail: `${detail}, at byte ${this.#position} of ${this.#end}` });
  }

  #checkedLength(length: number): number {
    if (length < -1) this.refuse(`a length of ${length}`);
    return length;
  }

  #take(size: number): number {
    const at = this.#position;
    if (size > this.#end - at) this.refuse(`${size} bytes wanted, ${this.#end - at} left`);
    this.#position = at + size;
    return at;
  }
}
