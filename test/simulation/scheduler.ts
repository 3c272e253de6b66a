import type { CancelTimer } from '../../src/base/clock.ts';
import type { SeededRandom } from '../seeded-random.ts';

/** A process of the simulated machine: what it has planned never happens once it is dead. */
export class Life {
  isOver = false;
}

interface Event {
  readonly dueMs: number;
  /** Of what is due at once a seeded one is first. */
  readonly rank: number;
  readonly life: Life | null;
  action: (() => void) | null;
}

/**
 * Virtual time. It stands still while anything runs, and leaps to what is due next when nothing does: so a run takes no longer
 * than its work, and the order in which things happen is the seed's.
 */
export class Scheduler {
  readonly #random: SeededRandom;
  #nowMs = 0;
  #steps = 0;
  #heap: Event[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** A number that no moment before had. */
  nextStep(): number {
    return ++this.#steps;
  }

  after(delayMs: number, action: () => void, life: Life | null = null): CancelTimer {
    const dueMs = this.#nowMs + Math.max(0, delayMs);
    const event: Event = { dueMs, rank: this.#random.below(2 ** 30), life, action };
    this.#push(event);
    return () => {
      event.action = null;
    };
  }

  sleep(delayMs: number, life: Life | null = null): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve, life));
  }

  /** Lets happen what is due, one after the other, until `isDone`. @throws Error when that takes longer than `timeMaxMs`. */
  async run(isDone: () => boolean, timeMaxMs: number): Promise<void> {
    await turn();
    while (!isDone()) {
      const event = this.#pop();
      if (event === null) throw new Error('nothing is left to happen, and the run is not at its end');
      if (event.action === null || event.life?.isOver) continue;
      this.#nowMs = event.dueMs;
      if (this.#nowMs > timeMaxMs) throw new Error(`the run is not at its end after ${timeMaxMs} ms`);
      event.action();
      await turn();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | null {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return null;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.rank < other.rank);
}

/** Resolves when all that was ready to run has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
