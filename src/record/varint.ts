import { Fault } from '../base/faults.ts';
import { saturate } from './big-endian.ts';

/*
 * A zig-zag varint: the sign in the lowest bit, the rest in groups of 7 bits, lowest group first, the top bit of a byte set
 * when more follow. 0, -1, 1, -2 are the bytes 00, 01, 02, 03.
 *
 * Of a value v the rest is u = v, or -v - 1 where v is negative; so the first byte carries 6 bits of u above the sign. Working
 * on u and not on the zig-zag code 2u + sign keeps every safe integer exact without BigInt.
 */

export function varintBytes(value: number): number {
  const code = (value << 1) ^ (value >> 31);
  if (code >>> 7 === 0) return 1;
  return 1 + Math.floor((31 - Math.clz32(code)) / 7);
}

/** `value` is a safe integer. */
export function varlongBytes(value: number): number {
  if (value === (value | 0)) return varintBytes(value);
  let rest = Math.floor((value < 0 ? -value - 1 : value) / 64);
  let bytes = 1;
  for (; rest > 0; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Writes an int32; returns where it ends. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  let code = (value << 1) ^ (value >> 31);
  let end = at;
  for (; code >>> 7 !== 0; code >>>= 7) buffer[end++] = (code & 0x7f) | 0x80;
  buffer[end++] = code;
  return end;
}

/** Writes a safe integer; returns where it ends. */
export function writeVarlong(buffer: Buffer, at: number, value: number): number {
  if (value === (value | 0)) return writeVarint(buffer, at, value);
  const magnitude = value < 0 ? -value - 1 : value;
  const first = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0);
  let rest = Math.floor(magnitude / 64);
  let end = at;
  buffer[end++] = rest > 0 ? first | 0x80 : first;
  while (rest > 0) {
    const group = rest % 128;
    rest = Math.floor(rest / 128);
    buffer[end++] = rest > 0 ? group | 0x80 : group;
  }
  return end;
}

/** Reads varints and byte strings one after another, never past `end`. Where the bytes end too soon it throws Fault invalidBatch. */
export class VarintReader {
  readonly buffer: Buffer;
  at: number;
  end: number;

  constructor(buffer: Buffer, at: number, end: number) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  /** An int32. */
  varint(): number {
    const first = this.#byte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let code = first & 0x7f;
    for (let shift = 7; shift <= 28; shift += 7) {
      const byte = this.#byte();
      code |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) break;
        return (code >>> 1) ^ -(code & 1);
      }
    }
    throw new Fault('invalidBatch', { detail: `a varint before byte ${this.at} exceeds 32 bits` });
  }

  /** An int64, saturating at ±(2^53 - 1). */
  varlong(): number {
    const first = this.#byte();
    let magnitude = (first & 0x7f) >>> 1;
    let byte = first;
    for (let scale = 2 ** 6; byte >= 0x80; scale *= 128) {
      if (scale > 2 ** 62) {
        throw new Fault('invalidBatch', { detail: `a varlong before byte ${this.at} exceeds 64 bits` });
      }
      byte = this.#byte();
      magnitude += (byte & 0x7f) * scale;
    }
    return saturate((first & 1) === 1 ? -magnitude - 1 : magnitude);
  }

  /** The next `size` bytes, as a view. */
  bytes(size: number): Buffer {
    if (size > this.end - this.at) throw this.#missing(size);
    return this.buffer.subarray(this.at, (this.at += size));
  }

  /** Passes over the next `size` bytes. */
  skip(size: number): void {
    if (size > this.end - this.at) throw this.#missing(size);
    this.at += size;
  }

  #missing(size: number): Fault {
    const detail = `${size} bytes are announced at byte ${this.at}, ${this.end - this.at} remain`;
    return new Fault('invalidBatch', { detail });
  }

  #byte(): number {
    if (this.at >= this.end) {
      throw new Fault('invalidBatch', { detail: `the bytes end at ${this.end}, inside a number` });
    }
    return this.buffer[this.at++]!;
  }
}
