import { Fifo } from './fifo.ts';

/** Hands on what several put in and one takes out, and bounds the bytes that lie in between. */
export class Inbox<T> {
  readonly #bytesMax: number;
  readonly #items = new Fifo<{ item: T; bytes: number }>();
  /** Of the items that lie here, and of those announced. */
  #usedBytes = 0;
  #waitingForRoom: (() => void)[] = [];
  #waitingForItem: (() => void)[] = [];
  /** Set when nothing more comes: why, or null when all came. */
  #ended: { error: unknown } | 'all' | null = null;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  /** Resolves with how many bytes may be put in, once that is at least half of all, and counts them as put; false at the end. */
  async reserve(bytesMax: number): Promise<number | false> {
    while (this.#ended === null && this.#usedBytes * 2 > this.#bytesMax) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
    if (this.#ended !== null) return false;
    const bytes = Math.min(bytesMax, this.#bytesMax - this.#usedBytes);
    this.#usedBytes += bytes;
    return bytes;
  }

  /** Gives back what was reserved. */
  unreserve(bytes: number): void {
    this.#usedBytes -= bytes;
    wake(this.#waitingForRoom);
  }

  put(item: T, bytes: number): void {
    this.#usedBytes += bytes;
    this.#items.push({ item, bytes });
    wake(this.#waitingForItem);
  }

  /** The item that came first; null when all were taken and no more come. Its bytes count until `done`. @throws what `fail` was given. */
  async take(): Promise<{ item: T; done: () => void } | null> {
    for (;;) {
      const next = this.#items.shift();
      if (next !== undefined) return { item: next.item, done: () => this.unreserve(next.bytes) };
      if (this.#ended === 'all') return null;
      if (this.#ended !== null) throw this.#ended.error;
      await new Promise<void>((resolve) => this.#waitingForItem.push(resolve));
    }
  }

  /** No more items come; those that lie here can still be taken. */
  end(): void {
    this.#finish('all');
  }

  /** As end, and then `take` throws the error. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  /** Drops what lies here too. */
  clear(): void {
    while (this.#items.length > 0) this.#items.shift();
  }

  #finish(how: { error: unknown } | 'all'): void {
    this.#ended ??= how;
    wake(this.#waitingForRoom);
    wake(this.#waitingForItem);
  }
}

function wake(waiting: (() => void)[]): void {
  for (const resolve of waiting.splice(0)) resolve();
}
