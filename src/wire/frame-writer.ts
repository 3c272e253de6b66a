import { Fault } from '../base/faults.ts';
import { InvariantError, invariant } from '../base/invariant.ts';

const SCRATCH_BYTES = 64 * 1024;
/** Above this the scratch is given back after use. */
const SCRATCH_KEPT_BYTES = 1024 * 1024;
/** Strings up to this length are written a character at a time, which is faster than two calls into Node. */
const SHORT_STRING_CHARACTERS = 32;

/**
 * Writes one frame after another. Everything but records goes into a scratch buffer that is copied out once; record
 * buffers are never copied, they are put between the pieces of that copy.
 *
 * A value that does not fit its type is a bug of the caller (InvariantError). A string that is too long may come from a
 * user, so it is a Fault.
 */
export class FrameWriter {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #position = 0;
  /** Buffers put into the frame by reference, and where in the scratch each belongs. */
  #spliced: { at: number; buffer: Buffer }[] = [];

  /** Starts a frame, whatever became of the one before, and leaves room for its length. */
  begin(): void {
    this.#position = 4;
    this.#spliced = [];
  }

  /** The frame, with its length before it. */
  finish(): Buffer[] {
    let total = this.#position - 4;
    for (const { buffer } of this.#spliced) total += buffer.length;
    invariant(total <= 0x7fffffff, 'a frame of more than 2 GiB', { total });
    this.#scratch.writeInt32BE(total, 0);
    const own = Buffer.allocUnsafe(this.#position);
    own.set(this.#scratch.subarray(0, this.#position));
    const pieces: Buffer[] = [];
    let from = 0;
    for (const { at, buffer } of this.#spliced) {
      if (at > from) pieces.push(own.subarray(from, at));
      pieces.push(buffer);
      from = at;
    }
    if (from < own.length) pieces.push(from === 0 ? own : own.subarray(from));
    if (this.#scratch.length > SCRATCH_KEPT_BYTES) this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    this.#spliced = [];
    return pieces;
  }

  bool(value: boolean, field: string): void {
    if (typeof value !== 'boolean') this.#misfit(value, 'bool', field);
    const at = this.#reserve(1);
    this.#scratch[at] = value ? 1 : 0;
  }

  int8(value: number, field: string): void {
    if ((value << 24) >> 24 !== value) this.#misfit(value, 'int8', field);
    const at = this.#reserve(1);
    this.#scratch[at] = value;
  }

  int16(value: number, field: string): void {
    if ((value << 16) >> 16 !== value) this.#misfit(value, 'int16', field);
    this.#put16(value);
  }

  uint16(value: number, field: string): void {
    if ((value & 0xffff) !== value) this.#misfit(value, 'uint16', field);
    this.#put16(value);
  }

  int32(value: number, field: string): void {
    if ((value | 0) !== value) this.#misfit(value, 'int32', field);
    this.#put32(value);
  }

  /** The ends of the safe range stand for those of int64, so that Long.MAX survives being read and written. */
  int64(value: number, field: string): void {
    if (!Number.isSafeInteger(value)) this.#misfit(value, 'int64', field);
    if (value === Number.MAX_SAFE_INTEGER) {
      this.#put32(0x7fffffff);
      this.#put32(-1);
    } else if (value === -Number.MAX_SAFE_INTEGER) {
      this.#put32(-0x80000000);
      this.#put32(0);
    } else {
      this.#put32(Math.floor(value / 0x1_0000_0000));
      this.#put32(value | 0);
    }
  }

  float64(value: number, field: string): void {
    if (typeof value !== 'number') this.#misfit(value, 'float64', field);
    const at = this.#reserve(8);
    this.#scratch.writeDoubleBE(value, at);
  }

  uuid(value: string, field: string): void {
    const at = this.#reserve(16);
    // The decoder of base64 stops without an error at what it does not know.
    if (value.length !== 22 || this.#scratch.write(value, at, 16, 'base64url') !== 16)
      this.#misfit(value, 'uuid', field);
  }

  uvarint(value: number): void {
    let at = this.#reserve(5);
    let left = value;
    while (left > 0x7f) {
      this.#scratch[at++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    this.#scratch[at++] = left;
    this.#position = at;
  }

  string(value: string, field: string): void {
    if (this.#writeShort(value, 2, field)) return;
    const length = this.#stringBytes(value, field);
    this.#put16(length);
    this.#writeUtf8(value, length);
  }

  compactString(value: string, field: string): void {
    if (this.#writeShort(value, 1, field)) return;
    const length = this.#stringBytes(value, field);
    this.uvarint(length + 1);
    this.#writeUtf8(value, length);
  }

  bytes(value: Buffer, field: string): void {
    this.length32(value.length, field);
    this.#writeBytes(value);
  }

  compactBytes(value: Buffer, field: string): void {
    this.compactLength(value.length, field);
    this.#writeBytes(value);
  }

  records(value: readonly Buffer[], field: string): void {
    this.length32(totalBytes(value), field);
    this.#splice(value);
  }

  compactRecords(value: readonly Buffer[], field: string): void {
    this.compactLength(totalBytes(value), field);
    this.#splice(value);
  }

  /** -1 stands for null here and below. */
  length16(length: number, field: string): void {
    this.int16(length, field);
  }

  length32(length: number, field: string): void {
    this.int32(length, field);
  }

  compactLength(length: number, field: string): void {
    if ((length | 0) !== length) this.#misfit(length, 'length', field);
    this.uvarint(length + 1);
  }

  /** Starts a tagged field, whose length is known only at its end. Returns what `endTagged` wants. */
  beginTagged(tag: number): number {
    this.uvarint(tag);
    return this.#reserve(1);
  }

  endTagged(start: number): void {
    const from = start + 1;
    const length = this.#position - from;
    if (length < 0x80) {
      this.#scratch[start] = length;
      return;
    }
    // One byte was left for the length; a longer one moves the field.
    const extra = length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
    this.#reserve(extra);
    this.#scratch.copyWithin(from + extra, from, from + length);
    this.#position = start;
    this.uvarint(length);
    this.#position += length;
  }

  /** For a field that may not be null in the version at hand. */
  refuseNull(field: string): never {
    throw new InvariantError(`${field} may not be null in this version`);
  }

  /** For a field that the version at hand does not carry, with a value that would be lost. */
  refuseAbsent(field: string): never {
    throw new InvariantError(`${field} has a value, but this version does not carry it`);
  }

  /** ASCII only; `prefixBytes` is 2 for a plain string, 1 for a compact one. False: nothing was written. */
  #writeShort(value: string, prefixBytes: number, field: string): boolean {
    const length = value.length;
    if (typeof value !== 'string') this.#misfit(value, 'string', field);
    if (length > SHORT_STRING_CHARACTERS) return false;
    const start = this.#reserve(prefixBytes + length);
    const scratch = this.#scratch;
    let at = start + prefixBytes;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) {
        this.#position = start;
        return false;
      }
      scratch[at++] = code;
    }
    if (prefixBytes === 2) scratch[start] = 0;
    scratch[start + prefixBytes - 1] = prefixBytes === 2 ? length : length + 1;
    return true;
  }

  #stringBytes(value: string, field: string): number {
    const length = Buffer.byteLength(value);
    if (length > 0x7fff) {
      throw new Fault('invalidArgument', { detail: `${field} has ${length} bytes; a string has 32767 at most` });
    }
    return length;
  }

  #writeUtf8(value: string, length: number): void {
    const at = this.#reserve(length);
    this.#scratch.write(value, at, length, 'utf8');
  }

  #writeBytes(value: Buffer): void {
    const at = this.#reserve(value.length);
    this.#scratch.set(value, at);
  }

  #splice(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      if (buffer.length > 0) this.#spliced.push({ at: this.#position, buffer });
    }
  }

  #put16(value: number): void {
    const at = this.#reserve(2);
    this.#scratch[at] = value >> 8;
    this.#scratch[at + 1] = value;
  }

  #put32(value: number): void {
    const at = this.#reserve(4);
    const scratch = this.#scratch;
    scratch[at] = value >> 24;
    scratch[at + 1] = value >> 16;
    scratch[at + 2] = value >> 8;
    scratch[at + 3] = value;
  }

  /** Room for `size` bytes; returns where. Must come before the scratch is looked at: it may be replaced by a larger one. */
  #reserve(size: number): number {
    const at = this.#position;
    if (at + size > this.#scratch.length) this.#grow(at + size);
    this.#position = at + size;
    return at;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#scratch.length * 2));
    larger.set(this.#scratch.subarray(0, this.#position));
    this.#scratch = larger;
  }

  #misfit(value: unknown, type: string, field: string): never {
    throw new InvariantError(`${field} is no ${type}: ${String(value)}`);
  }
}

function totalBytes(buffers: readonly Buffer[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}
