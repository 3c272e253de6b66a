import { Fault } from '../base/faults.ts';
import type { FrameFault } from './frame-reader.ts';

const PREFIX_BYTES = 4;

/**
 * A frame up to this size gets all its memory when its first part arrives. A larger one gets more as more arrives, so that
 * whoever announces 100 MB and sends nothing makes us hold nothing.
 */
const WHOLE_ALLOCATION_BYTES = 256 * 1024;
const GROWTH_FACTOR = 4;

/** Cuts a stream of bytes into frames: a length (int32, big-endian) and that many bytes. */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  readonly #fault: FrameFault;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** The frame that has begun but not ended; it may still be smaller than the frame will be. */
  #frame: Buffer | null = null;
  #frameBytes = 0;
  #frameSize = 0;

  /** `fault` is what a length out of range is called; a client's splitter gives its own. */
  constructor(frameBytesMax: number, fault: FrameFault = 'malformedRequest') {
    this.#frameBytesMax = frameBytesMax;
    this.#fault = fault;
  }

  /** Bytes of the frame that has begun but not ended. */
  get pendingBytes(): number {
    return this.#prefixBytes + this.#frameBytes;
  }

  /**
   * The frames that end in this chunk, without their lengths. One that lies in it whole is a view of it, so the caller
   * must not use the chunk again.
   * @throws Fault when a length is negative or over the limit; nothing that follows can be trusted then.
   */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let at = 0;
    for (;;) {
      if (this.#prefixBytes < PREFIX_BYTES) at = this.#takePrefix(chunk, at);
      if (this.#prefixBytes < PREFIX_BYTES) return frames;
      const left = chunk.length - at;
      if (this.#frame === null && left >= this.#frameSize) {
        frames.push(chunk.subarray(at, at + this.#frameSize));
        at += this.#frameSize;
        this.#prefixBytes = 0;
      } else {
        if (left === 0) return frames;
        const taken = Math.min(left, this.#frameSize - this.#frameBytes);
        const frame = this.#gather(chunk.subarray(at, at + taken));
        at += taken;
        if (frame !== null) frames.push(frame);
      }
    }
  }

  #takePrefix(chunk: Buffer, from: number): number {
    const end = Math.min(from + PREFIX_BYTES - this.#prefixBytes, chunk.length);
    this.#prefixBytes += chunk.copy(this.#prefix, this.#prefixBytes, from, end);
    if (this.#prefixBytes === PREFIX_BYTES) {
      this.#frameSize = this.#prefix.readInt32BE();
      if (this.#frameSize < 0 || this.#frameSize > this.#frameBytesMax) {
        const detail = `a frame of ${this.#frameSize} bytes; 0 to ${this.#frameBytesMax} are allowed`;
        throw new Fault(this.#fault, { detail });
      }
    }
    return end;
  }

  /** Returns the frame when `part` was its last. */
  #gather(part: Buffer): Buffer | null {
    const frame = this.#roomFor(this.#frameBytes + part.length);
    frame.set(part, this.#frameBytes);
    this.#frameBytes += part.length;
    const ended = this.#frameBytes === this.#frameSize;
    if (ended) this.#frameBytes = this.#prefixBytes = 0;
    this.#frame = ended ? null : frame;
    return ended ? frame : null;
  }

  #roomFor(bytes: number): Buffer {
    if (this.#frame !== null && this.#frame.length >= bytes) return this.#frame;
    const capacity = Math.min(this.#frameSize, Math.max(WHOLE_ALLOCATION_BYTES, bytes * GROWTH_FACTOR));
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#frame?.copy(larger, 0, 0, this.#frameBytes);
    return larger;
  }
}
