import { AppendGroup, type AppendStage } from './append-group.ts';
import type { PartitionLog } from './partition-log.ts';

/** Logs synced at the same time. Each takes one of libuv's threads while it waits for the disk. */
const SYNCS_AT_ONCE_MAX = 4;

export interface Append {
  readonly log: PartitionLog;
  /** One whole record batch, checked. It is copied before this returns. */
  readonly batch: Buffer;
}

export interface Appended {
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** The batch is a retry of one that is stored already, at these offsets. */
  readonly duplicate: boolean;
}

/**
 * Makes what all partitions append durable. One for the whole broker, so that what arrives while the disk is busy shares
 * the next sync. It syncs in place, file by file; nothing outside this class and recovery knows that.
 */
export class Syncer {
  readonly #waiting = new Set<PartitionLog>();
  readonly #running = new Set<PartitionLog>();

  /**
   * Appends a group. Offsets are given at once, in the order of the calls; `settled` resolves when every part has come as
   * far as `until` says. A group with a part that is refused is refused whole, and leaves no trace.
   * @throws Fault invalidProducerEpoch, outOfOrderSequence, brokerStopped
   */
  append(group: readonly Append[], until: AppendStage): { parts: Appended[]; settled: Promise<void> } {
    const stored = group.map(({ log, batch }) => log.check(batch));
    const ticket = new AppendGroup(group.length, until);
    const parts = group.map(({ log, batch }, i) => log.accept(batch, stored[i] ?? null, ticket));
    return { parts, settled: ticket.settled };
  }

  /** A log has written what must be synced. */
  request(log: PartitionLog): void {
    this.#waiting.add(log);
    this.#start();
  }

  #start(): void {
    for (const log of this.#waiting) {
      if (this.#running.size >= SYNCS_AT_ONCE_MAX) return;
      if (this.#running.has(log)) continue;
      this.#waiting.delete(log);
      this.#running.add(log);
      // `sync` never rejects: its failure ends the broker, by the log's own hand.
      void log.sync().then(() => {
        this.#running.delete(log);
        this.#start();
      });
    }
  }
}
