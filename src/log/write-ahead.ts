import { entryBytes, ROUND_HEADER_BYTES } from './journal-round.ts';
import type { PartitionLog } from './partition-log.ts';

export interface GroupPart {
  readonly log: PartitionLog;
  readonly batchBytes: number;
}

/**
 * The batches of one group, of which each log holds its own back until all of them are durable in the journal: so a crash
 * leaves all or none. A log that has come to its part waits for those of the others; since groups are accepted by all their
 * logs at once, no two wait for each other.
 *
 * When it is refused, each of its logs takes back what it has accepted behind its part as well, and with that other groups: all of
 * it is refused with the same fault, which is one to retry. Taking back the part alone is not to be had: those behind it have
 * their offsets, which were told to whoever appended them and are stamped into their bytes, and a log's offsets have no gaps.
 */
export class WriteAhead {
  readonly parts: readonly GroupPart[];
  /** Logs that have come to their part. */
  #ready = 0;
  readonly #onReady: (group: WriteAhead) => void;
  readonly #stored: PromiseWithResolvers<void> = Promise.withResolvers();
  #state: 'gathering' | 'storing' | 'settled' = 'gathering';

  constructor(parts: readonly GroupPart[], onReady: (group: WriteAhead) => void) {
    this.parts = parts;
    this.#onReady = onReady;
    // Whether a part is still waited for is its log's affair.
    this.#stored.promise.catch(() => {});
  }

  /** Of its round as it would be now, with what precedes it in its logs. */
  get roundBytes(): number {
    return this.parts.reduce(
      (sum, { log, batchBytes }) => sum + entryBytes({ folder: log.folderUtf8, bytes: log.unsyncedBytes + batchBytes }),
      ROUND_HEADER_BYTES,
    );
  }

  /** For a log that has come to its part. Resolves when all is durable; rejects when it is refused, in all logs alike. */
  ready(): Promise<void> {
    this.#ready += 1;
    if (this.#ready === this.parts.length) this.#onReady(this);
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
