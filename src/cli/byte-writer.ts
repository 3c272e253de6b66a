/** A buffer with less in it is copied when it is taken, and used again. */
const COPY_BYTES_MAX = 8 * 1024;

/** Bytes gathered for one large write, in a buffer that grows to what is needed. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  bytes(bytes: Buffer): void {
    this.#reserve(bytes.length);
    // For a few bytes a loop is faster than a copy's call.
    if (bytes.length > 24) bytes.copy(this.#buffer, this.#length);
    else for (let at = 0; at < bytes.length; at++) this.#buffer[this.#length + at] = bytes[at]!;
    this.#length += bytes.length;
  }

  text(text: string): void {
    this.#reserve(text.length * 3);
    this.#length += this.#buffer.write(text, this.#length);
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(value, this.#length);
  }

  /** What was gathered since the last call; it is the caller's. */
  take(): Buffer {
    const gathered = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    if (gathered.length <= COPY_BYTES_MAX) return Buffer.from(gathered);
    this.#buffer = Buffer.allocUnsafeSlow(this.#buffer.length);
    return gathered;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
