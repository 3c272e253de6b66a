import type { AppendGroup, AppendStage } from './append-group.ts';
import { lastIndexWhere } from './offset-index.ts';

interface Waiting {
  readonly nextOffset: number;
  readonly group: AppendGroup;
}

/** Those who wait until all before an offset has come as far as one stage, in the order of their offsets. */
export class WaitingAppends {
  readonly #stage: AppendStage;
  #waiting: Waiting[] = [];

  constructor(stage: AppendStage) {
    this.#stage = stage;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** A retry waits for less than what was appended before it. */
  add(nextOffset: number, group: AppendGroup): void {
    const last = this.#waiting.at(-1);
    // By itself: an array that grows gets room for seventeen.
    if (last === undefined) this.#waiting = [{ nextOffset, group }];
    else if (last.nextOffset <= nextOffset) this.#waiting.push({ nextOffset, group });
    else this.#insert(nextOffset, group);
  }

  #insert(nextOffset: number, group: AppendGroup): void {
    const after = lastIndexWhere(this.#waiting.length, (i) => this.#waiting[i]!.nextOffset <= nextOffset);
    this.#waiting.splice(after + 1, 0, { nextOffset, group });
  }

  /** Answers those that wait for no more than `next`. */
  reached(next: number): void {
    let count = 0;
    while (count < this.#waiting.length && this.#waiting[count]!.nextOffset <= next) {
      this.#waiting[count++]!.group.reached(this.#stage);
    }
    if (count === 0) return;
    if (count === this.#waiting.length) this.#waiting = [];
    else this.#waiting.splice(0, count);
  }

  /** Refuses those that wait for more than `next`. */
  refuseAfter(next: number, fault: unknown): void {
    const count = lastIndexWhere(this.#waiting.length, (i) => this.#waiting[i]!.nextOffset <= next) + 1;
    for (const { group } of this.#waiting.splice(count)) group.failed(fault);
  }
}
