/** Bytes that all connections together may hold. Whoever finds it used up stops reading and is called when there is room. */
export class ByteBudget {
  readonly #bytesMax: number;
  #used = 0;
  #waiting: (() => void)[] = [];
  /** Who may go past the limit, to bring to its end what it has begun. */
  #excepted: object | null = null;

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
    if (this.freeBytes > 0) this.#wake();
  }

  /** Calls back once, at the next time when there is room. */
  whenFree(onRoom: () => void): void {
    this.#waiting.push(onRoom);
  }

  /**
   * Whether `who` may take more although all is used up: one at a time may, until it says that it is done. Else those who have
   * begun and cannot end could hold it all, and wait for each other.
   */
  except(who: object): boolean {
    this.#excepted ??= who;
    return this.#excepted === who;
  }

  done(who: object): void {
    if (this.#excepted !== who) return;
    this.#excepted = null;
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const onRoom of waiting) onRoom();
  }
}
