import type { Socket } from 'node:net';
import net from 'node:net';
import { encodeRequest } from '../../src/wire/codec.ts';

/** Requests that each stalled reader sends, far more than are answered to one that does not read. */
const FETCHES = 20;
const BYTES_MAX = 0x7fffffff;
const RECONNECT_MS = 1000;
const ASK_AGAIN_MS = 5000;

/** Peers that do not do their part. Whoever is cut off comes back, unless all are told to leave. */
export class SlowPeers {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #leaving = false;
  /** How often one was cut off by the broker. */
  cutOff = 0;

  constructor(port: number) {
    this.#port = port;
  }

  get connected(): number {
    return [...this.#sockets].filter((socket) => socket.readyState === 'open').length;
  }

  /** Ask for all of a topic, again and again, and never read an answer. */
  stalledReaders(count: number, topic: string, partitions: number): void {
    const ask = fetchOf(topic, partitions);
    for (let i = 0; i < count; i += 1) {
      this.#keep((socket) => {
        socket.pause();
        for (let fetches = 0; fetches < FETCHES; fetches += 1) socket.write(ask);
        // One that reads nothing learns only by writing that it was cut off.
        this.#every(socket, ASK_AGAIN_MS, () => socket.write(ask));
      });
    }
  }

  /** Connect, and are never heard of again. */
  silent(count: number): void {
    for (let i = 0; i < count; i += 1) this.#keep(() => {});
  }

  /** Send a request of 64 KiB a byte at a time. */
  slowSenders(count: number, everyMs = 1000): void {
    const prefix = Buffer.alloc(4);
    prefix.writeInt32BE(64 * 1024);
    for (let i = 0; i < count; i += 1) {
      this.#keep((socket) => {
        socket.write(prefix);
        this.#every(socket, everyMs, () => socket.write(Buffer.from([0])));
      });
    }
  }

  leave(): void {
    this.#leaving = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #every(socket: Socket, delayMs: number, action: () => void): void {
    const timer = setInterval(action, delayMs);
    this.#timers.add(timer);
    socket.once('close', () => {
      clearInterval(timer);
      this.#timers.delete(timer);
    });
  }

  #keep(begin: (socket: Socket) => void): void {
    const socket = net.connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    this.#sockets.add(socket);
    socket.once('connect', () => begin(socket));
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (this.#leaving) return;
      this.cutOff += 1;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        if (!this.#leaving) this.#keep(begin);
      }, RECONNECT_MS);
      this.#timers.add(timer);
    });
  }
}

function fetchOf(topic: string, partitions: number): Buffer {
  const asked = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    fetchOffset: 0,
    partitionMaxBytes: BYTES_MAX,
  }));
  const topics = [{ topic, partitions: asked }];
  return Buffer.concat(
    encodeRequest('Fetch', 12, 1, 'stalled', { maxWaitMs: 0, minBytes: 0, maxBytes: BYTES_MAX, topics }),
  );
}
