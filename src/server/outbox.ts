import type { Socket } from 'node:net';

/** Handed to the socket at once. What is beyond waits here, so that progress shows even on one large answer. */
const PIECE_BYTES = 1024 * 1024;

/** Bytes on their way to one peer, in order. */
export class Outbox {
  readonly #socket: Socket;
  readonly #onProgress: () => void;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #writing = false;

  /** `onProgress` is called whenever a piece has been taken by the operating system. */
  constructor(socket: Socket, onProgress: () => void) {
    this.#socket = socket;
    this.#onProgress = onProgress;
  }

  /** Bytes that the operating system has not taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      this.#queuedBytes += buffer.length;
      this.#queue.push(buffer);
    }
    this.#write();
  }

  #write(): void {
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
      this.#queuedBytes -= bytes;
      this.#write();
      this.#onProgress();
    };
    this.#socket.cork();
    for (let i = 0; i < count - 1; i += 1) this.#socket.write(piece[i]!);
    this.#socket.write(piece[count - 1]!, done);
    this.#socket.uncork();
  }
}
