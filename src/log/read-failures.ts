import type { Clock } from '../base/clock.ts';
import { isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Segment } from './segment.ts';

/** Who asks is told each time, and clients ask again and again. */
const TOLD_AGAIN_AFTER_MS = 60_000;

/** Tells the broker's log of files of a partition that the disk cannot read. */
export class ReadFailures {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, logger }: { clock: Clock; logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Returns what a read ended with; what the disk did, which names its file, is told once a minute. */
  noted(err: unknown, segment?: Segment): unknown {
    const nowMs = this.#clock.monotonicMs();
    const isOfDisk = isFault(err, 'diskError') || isFault(err, 'readOnlyDisk');
    if (!isOfDisk || nowMs - this.#toldAtMs < TOLD_AGAIN_AFTER_MS) return err;
    this.#toldAtMs = nowMs;
    this.#logger.error(
      { file: segment?.logPath, err },
      'stored records cannot be read: who asks for them gets KAFKA_STORAGE_ERROR until the disk reads them again',
    );
    return err;
  }
}
