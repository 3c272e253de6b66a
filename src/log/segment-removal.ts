import type { Segment } from './segment.ts';

/** Takes segments out of a log, and removes their files; what could not be removed is tried again with the next. */
export class SegmentRemoval {
  readonly #segments: Segment[];
  /** Taken out of the log, with files that are not all removed yet. */
  readonly #removing = new Set<Segment>();

  constructor(segments: Segment[]) {
    this.#segments = segments;
  }

  /**
   * Those that lie wholly before `logStart`, oldest first. `afterEach` is awaited after each: where nothing else says durably
   * where the log starts, a power cut must not bring an older one back when a younger one is gone.
   */
  async before(logStart: number, afterEach?: () => Promise<void>): Promise<void> {
    const keptFrom = this.#segments.findLastIndex((segment) => segment.baseOffset <= logStart);
    for (const segment of this.#segments.splice(0, keptFrom)) this.#removing.add(segment);
    for (const segment of this.#removing) {
      await segment.remove();
      this.#removing.delete(segment);
      await afterEach?.();
    }
  }
}
