/** Bytes that all connections together may hold. Whoever finds it used up stops reading and is called when there is room. */
export class ByteBudget {
  readonly #bytesMax: number;
  #used = 0;
  #waiting: (() => void)[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get freeBytes(): number {
    return Math.max(0, this.#bytesMax - this.#used);
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.freeBytes === 0 || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const onRoom of waiting) onRoom();
  }

  /** Calls back once, at the next time when there is room. */
  whenFree(onRoom: () => void): void {
    this.#waiting.push(onRoom);
  }
}
