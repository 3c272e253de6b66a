import type { PeerSocket } from './peer-socket.ts';

/** Handed to the socket at once. What is beyond waits here, so that progress shows even on one large answer. */
const PIECE_BYTES = 1024 * 1024;

/** Told of a buffer that the operating system has taken, or never will, since the connection has ended. */
export type OnTaken = (buffer: Buffer) => void;

/** Small answers that are sent together are copied into one buffer: less work than to write each from where it lies. */
const COPIED_BYTES_MAX = 4 * 1024;

/** Bytes on their way to one peer, in order. */
export class Outbox {
  readonly #socket: PeerSocket;
  readonly #onProgress: () => void;
  #queue: Buffer[] = [];
  #writing = false;
  /** Counted from the start of the connection. */
  #pushedBytes = 0;
  #takenBytes = 0;
  #marks: { readonly endBytes: number; readonly buffer: Buffer; readonly onTaken: OnTaken }[] = [];

  /** `onProgress` is called whenever a piece has been taken by the operating system. */
  constructor(socket: PeerSocket, onProgress: () => void) {
    this.#socket = socket;
    this.#onProgress = onProgress;
  }

  /** Bytes that the operating system has not taken yet. */
  get queuedBytes(): number {
    return this.#pushedBytes - this.#takenBytes;
  }

  /** Adds to what the next `write` sends; `onTaken` is told of each buffer. */
  push(buffers: readonly Buffer[], onTaken: OnTaken | null): void {
    for (const buffer of buffers) {
      this.#pushedBytes += buffer.length;
      for (let at = 0; at < buffer.length; at += PIECE_BYTES) {
        this.#queue.push(buffer.length <= PIECE_BYTES ? buffer : buffer.subarray(at, at + PIECE_BYTES));
      }
      if (onTaken !== null) this.#marks.push({ endBytes: this.#pushedBytes, buffer, onTaken });
    }
  }

  /** The connection has ended: what was not taken never will be. */
  drop(): void {
    this.#queue = [];
    this.#takenBytes = this.#pushedBytes;
    this.#tell();
  }

  #tell(): void {
    let told = 0;
    for (const { endBytes, buffer, onTaken } of this.#marks) {
      if (endBytes > this.#takenBytes) break;
      onTaken(buffer);
      told += 1;
    }
    if (told > 0) this.#marks.splice(0, told);
  }

  /** Hands the socket what was added, or, while it is busy, when it has taken what it was handed before. */
  write(): void {
    if (this.#writing || this.#queue.length === 0 || this.#socket.destroyed) return;
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count]!.length <= PIECE_BYTES)) {
      bytes += this.#queue[count++]!.length;
    }
    const piece = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count);
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count);
    this.#writing = true;
    const done = (): void => {
      this.#writing = false;
      // What was dropped meanwhile is counted already.
      this.#takenBytes = Math.min(this.#takenBytes + bytes, this.#pushedBytes);
      this.#tell();
      this.write();
      this.#onProgress();
    };
    if (count > 1 && bytes <= COPIED_BYTES_MAX) return void this.#socket.write(Buffer.concat(piece, bytes), done);
    this.#socket.cork();
    for (let i = 0; i < count - 1; i += 1) this.#socket.write(piece[i]!);
    this.#socket.write(piece[count - 1]!, done);
    this.#socket.uncork();
  }
}
