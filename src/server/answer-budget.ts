/** The part that is kept for clients that ask for one thing at a time: one in so many. */
const RESERVE_PARTS = 4;
/** Of what is left beyond that, what one answer may hold: so that it is not passed by much. */
const SHARE_PARTS = 4;
/** Less than this is no share: who began with it would be read one batch, whatever its size, which by default may be 1 MiB. */
const SHARE_BYTES_MIN = 1024 * 1024;
/** Of the reserve, what one answer may hold. The socket of a client that reads nothing takes as much from the broker. */
const RESERVE_SHARE_BYTES = 256 * 1024;

/**
 * Bytes of answers that all connections together may hold: read from the log, and not taken yet by the client's socket.
 *
 * Those who do not read could hold all of it until they are cut off, and everybody else would be told that there is nothing
 * new. Two things are against that. Nobody gets more than a share of what is left. And a client that has sent further fetches
 * before it was answered, as only one does that would not wait for the answer to ask on, gets none of a reserve. Who asks for one
 * thing at a time has read what it was sent before, or it was so little that its socket took it.
 */
export class AnswerBudget {
  readonly #bytesMax: number;
  #used = 0;
  readonly #waiting: (() => void)[] = [];
  #isWaking = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    // Who begins may find that there is nothing for it and give its share back at once: the loop that called it goes on with that.
    if (this.#isWaking) return;
    this.#isWaking = true;
    // Whoever begins holds its share at once, so the rest need not be asked when there is none left.
    while (this.#waiting.length > 0 && this.share(true) > 0) this.#waiting.shift()!();
    this.#isWaking = false;
  }

  /** What one answer more may hold. `asksAhead`: for a client that has sent further fetches already. */
  share(asksAhead: boolean): number {
    const freeBytes = Math.max(0, this.#bytesMax - this.#used);
    const unreserved = freeBytes - Math.floor(this.#bytesMax / RESERVE_PARTS);
    const share = Math.max(0, Math.floor(unreserved / SHARE_PARTS));
    if (!asksAhead) return Math.max(share, Math.min(freeBytes, RESERVE_SHARE_BYTES));
    return share < SHARE_BYTES_MIN ? 0 : share;
  }

  /** Calls back once, when there is a share for who asks ahead, in the order in which they came. */
  whenFree(onRoom: () => void): void {
    this.#waiting.push(onRoom);
  }
}
