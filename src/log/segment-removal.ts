import type { Segment } from './segment.ts';

/** Takes segments out of a log, and removes their files; what could not be removed is tried again with the next. */
export class SegmentRemoval {
  readonly #segments: Segment[];
  /** Taken out of the log, with files that are not all removed yet. */
  readonly #removing = new Set<Segment>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(segments: Segment[]) {
    this.#segments = segments;
  }

  /** Those of the log, oldest first. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /**
   * Those that lie wholly before `logStart`, oldest first. `afterEach` is awaited after each: where nothing else says durably
   * where the log starts, a power cut must not bring an older one back when a younger one is gone.
   */
  before(logStart: number, afterEach?: () => Promise<void>): Promise<void> {
    return this.exclusively(async () => {
      const keptFrom = this.#segments.findLastIndex((segment) => segment.baseOffset <= logStart);
      await this.#remove(this.#segments.splice(0, keptFrom), afterEach);
    });
  }

  /** Puts `fresh` in the place of segments that lie side by side; false, with nothing done, when they do not any more. */
  swap(old: readonly Segment[], fresh: Segment): boolean {
    const first = this.#segments.indexOf(old[0]!);
    if (first < 0 || old.some((segment, i) => this.#segments[first + i] !== segment)) return false;
    this.#segments.splice(first, old.length, fresh);
    // Refused by the disk they go with what is deleted next: else a start might find deleted records in them.
    for (const segment of old.slice(1)) this.#removing.add(segment);
    return true;
  }

  /** Removes the files of segments that are in the log no more. */
  async remove(segments: readonly Segment[]): Promise<void> {
    await this.#remove(segments);
  }

  /** Runs what changes the set of files: one at a time. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    // Its caller is told of a failure.
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #remove(segments: readonly Segment[], afterEach?: () => Promise<void>): Promise<void> {
    for (const segment of segments) this.#removing.add(segment);
    for (const segment of this.#removing) {
      await segment.remove();
      this.#removing.delete(segment);
      await afterEach?.();
    }
  }
}
