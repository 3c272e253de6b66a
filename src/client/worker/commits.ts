import type { CancelTimer, Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import type { Logger } from '../../base/logger.ts';
import type { NewOffset, PartitionOutcome } from '../group-offsets.ts';
import type { AssignedPartition } from './assigned-partition.ts';

export interface CommitsParts {
  clock: Clock;
  logger: Logger;
  intervalMs: number;
  metadataBytesMax: number;
  partitions: () => Iterable<AssignedPartition<unknown, unknown>>;
  /** How it went in each partition, in the order of the offsets. */
  commit: (offsets: readonly NewOffset[]) => Promise<readonly PartitionOutcome[]>;
  onCommit: (event: { offsets: readonly NewOffset[]; durationMs: number; error: unknown }) => void;
}

/** Commits what is finished: at intervals, one commit at a time, and when asked. */
export class Commits {
  readonly #parts: CommitsParts;
  #inFlight: Promise<void> | null = null;
  #cancelTimer: CancelTimer | null = null;
  #isStopped = false;
  #metadataBytesMax: number;

  constructor(parts: CommitsParts) {
    this.#parts = parts;
    this.#metadataBytesMax = parts.metadataBytesMax;
  }

  /** Something was finished: it is committed when the interval is over. */
  touch(): void {
    if (this.#cancelTimer !== null || this.#inFlight !== null || this.#isStopped) return;
    this.#cancelTimer = this.#parts.clock.after(this.#parts.intervalMs, () => {
      this.#cancelTimer = null;
      // One that is on its way by now looks for more when it is done.
      if (this.#inFlight === null) void this.#commit(this.#parts.partitions());
    });
  }

  /** Commits now, once, after what is on its way. Never rejects: what is not committed is worked again, which onCommit and the log tell. */
  async flush(partitions: Iterable<AssignedPartition<unknown, unknown>>): Promise<void> {
    const list = [...partitions];
    while (this.#inFlight !== null) await this.#inFlight;
    await this.#commit(list);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #commit(partitions: Iterable<AssignedPartition<unknown, unknown>>): Promise<void> {
    const dirty = [...partitions].filter((partition) => partition.isDirty);
    if (dirty.length === 0) return Promise.resolve();
    this.#inFlight = this.#perform(dirty).finally(() => {
      this.#inFlight = null;
      if ([...this.#parts.partitions()].some((partition) => partition.isDirty)) this.touch();
    });
    return this.#inFlight;
  }

  async #perform(partitions: readonly AssignedPartition<unknown, unknown>[]): Promise<void> {
    const { clock, logger, commit, onCommit } = this.#parts;
    const finished = partitions.map((partition) => partition.finished);
    const offsets = partitions.map(({ topic, partition, tracker }) => ({
      topic,
      partition,
      offset: tracker.committableNext,
      metadata: tracker.metadata(this.#metadataBytesMax),
    }));
    const startMs = clock.monotonicMs();
    const faults = await commit(offsets).then(
      (outcomes): unknown[] => outcomes.map(({ fault }) => fault),
      (error: unknown): unknown[] => offsets.map(() => error),
    );
    const tooLarge = partitions.filter((_, index) => isTooLarge(faults[index]));
    const isAgain = tooLarge.length > 0 && this.#tellsLess(faults.find(isTooLarge));
    const ended = new Map<unknown, NewOffset[]>();
    for (const [index, partition] of partitions.entries()) {
      const fault = faults[index];
      if (isAgain && isTooLarge(fault)) continue;
      // What was finished of a topic that is gone is of no more use to anyone.
      if (fault === null || isGone(fault)) partition.wasCommitted(finished[index]!);
      const alike = ended.get(fault);
      if (alike === undefined) ended.set(fault, [offsets[index]!]);
      else alike.push(offsets[index]!);
    }
    for (const [error, ofError] of ended) {
      if (isGone(error)) logger.warn({ offsets: ofError, err: error }, 'offsets of a deleted topic are not committed');
      else if (error !== null) {
        logger.warn(
          { offsets: ofError, err: error },
          'cannot commit; what was finished since the last commit may be worked again',
        );
      }
      onCommit({ offsets: ofError, durationMs: clock.monotonicMs() - startMs, error });
    }
    const left = tooLarge.filter((partition) => partition.isDirty);
    if (isAgain && left.length > 0) await this.#perform(left);
  }

  /** The broker takes less metadata than was sent: from now on it gets half as much, which only means more repeats. False: there is none left. */
  #tellsLess(error: unknown): boolean {
    if (this.#metadataBytesMax === 0) return false;
    this.#metadataBytesMax = Math.floor(this.#metadataBytesMax / 2);
    const facts = { err: error, metadataBytesMax: this.#metadataBytesMax };
    this.#parts.logger.warn(facts, 'the broker keeps less of what is finished beyond the committed offsets');
    return true;
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Fault && error.kafka === 'OFFSET_METADATA_TOO_LARGE';
}

function isGone(error: unknown): boolean {
  return error instanceof Fault && error.fault === 'unknownTopic';
}
