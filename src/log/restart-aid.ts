import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { writeProducers } from './producer-snapshot.ts';
import type { ProducerState } from './producer-state.ts';
import type { Segment } from './segment.ts';

/** What may be synced past the last snapshot of the producers before the next: a start after a crash reads it again. */
const SNAPSHOT_EVERY_BYTES = 256 * 1024;
/** … and past the last index files: whoever first asks for an offset before the crash's tail has it read. */
const INDEX_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * Leaves beside the active segment, now and then, what a start after a crash needs so that it need not read what is proven: the
 * state of the producers at a place that is synced, and the index up to it. Caches both: a failure costs time alone.
 */
export class RestartAid {
  readonly #context: { readonly disk: Disk; readonly logger: Logger };
  readonly #producers: ProducerState;
  #segment: Segment | null = null;
  #snapshotAt = 0;
  #indexAt = 0;
  #leaving: Promise<void> | null = null;

  constructor(context: { disk: Disk; logger: Logger }, producers: ProducerState) {
    this.#context = context;
    this.#producers = producers;
  }

  /** A start, or a roll, has left all of it at a place. */
  isAt(segment: Segment, position: number): void {
    this.#segment = segment;
    this.#snapshotAt = this.#indexAt = position;
  }

  /**
   * To be called when all before `nextOffset` is written and about to be synced; what is returned, when it is. Null when it is not
   * time yet, or the state then is not known: a producer's earlier batches are forgotten for younger ones.
   */
  prepare(segment: Segment, position: number, nextOffset: number): (() => void) | null {
    if (segment !== this.#segment) this.isAt(segment, 0);
    if (this.#leaving !== null || position - this.#snapshotAt < SNAPSHOT_EVERY_BYTES) return null;
    const snapshot = this.#producers.snapshotBefore(nextOffset);
    if (snapshot === null) return null;
    return () => {
      this.#leaving = this.#leave(segment, snapshot, position, nextOffset)
        .catch((err) => {
          if (!(err instanceof Fault)) throw err;
          this.#context.logger.debug({ err, file: segment.producersPath }, 'a snapshot of producers was not written');
        })
        .finally(() => {
          this.#leaving = null;
        });
    };
  }

  async #leave(
    segment: Segment,
    snapshot: ReturnType<ProducerState['snapshot']>,
    position: number,
    nextOffset: number,
  ): Promise<void> {
    await writeProducers(this.#context.disk, segment, snapshot, { nextOffset, position });
    this.#snapshotAt = position;
    if (position - this.#indexAt < INDEX_EVERY_BYTES) return;
    await segment.index.writeUpTo({ position, offset: nextOffset });
    this.#indexAt = position;
  }

  /** Leaves the whole index of a segment that is over, behind what may be on its way into the same files. */
  async finish(segment: Segment): Promise<void> {
    await this.idle();
    await segment.index.write(true);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#leaving;
  }
}
