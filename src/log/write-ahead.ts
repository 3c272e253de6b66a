import type { PartitionLog } from './partition-log.ts';

export interface ReadyPart {
  readonly log: PartitionLog;
  readonly batch: Buffer;
  readonly nextOffset: number;
}

/**
 * The batches of one group, of which each log holds its own back from its file until all of them are durable in the journal:
 * so a crash leaves all or none. A log that has come to its part waits for those of the others; since groups are accepted by
 * all their logs at once, no two wait for each other.
 */
export class WriteAhead {
  readonly parts: ReadyPart[] = [];
  readonly #expected: number;
  readonly #onReady: (group: WriteAhead) => void;
  readonly #stored: PromiseWithResolvers<void> = Promise.withResolvers();
  #state: 'gathering' | 'storing' | 'settled' = 'gathering';

  constructor(expected: number, onReady: (group: WriteAhead) => void) {
    this.#expected = expected;
    this.#onReady = onReady;
    // Whether a part is still waited for is its log's affair.
    this.#stored.promise.catch(() => {});
  }

  /** Resolves when the whole group is durable; rejects when it is refused, in all logs alike. */
  ready(part: ReadyPart): Promise<void> {
    this.parts.push(part);
    if (this.parts.length === this.#expected) this.#onReady(this);
    return this.#stored.promise;
  }

  /** Its round is about to be written, and what becomes of that decides alone; false when it was refused before. */
  begin(): boolean {
    if (this.#state === 'settled') return false;
    this.#state = 'storing';
    return true;
  }

  /** How its round has ended: null when it is durable. */
  end(fault: unknown): void {
    this.#state = 'settled';
    if (fault === null) this.#stored.resolve();
    else this.#stored.reject(fault);
  }

  /** One of its logs cannot take its part. Does nothing once its round is written. */
  refuse(fault: unknown): void {
    if (this.#state === 'gathering') this.end(fault);
  }
}
