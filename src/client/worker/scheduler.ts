import { invariant } from '../../base/invariant.ts';
import { Fifo } from '../fifo.ts';

/** Something to be worked: it waits, is in work, and may be set aside until it is to be worked again. */
export interface Task {
  /** Whose tasks are dropped together. */
  readonly partition: string;
  /** Within the partition; tasks of one lane begin in the order in which they were added. */
  readonly lane: string;
  /** How many of the lane may be under way, in work or set aside, at a time. */
  readonly laneLimit: number;
}

interface Lane<T> {
  readonly id: string;
  readonly partition: string;
  readonly limit: number;
  readonly waiting: Fifo<T>;
  /** Set aside before and to be worked again, which comes before what waits: these count as under way already. */
  readonly again: Fifo<T>;
  underWay: number;
  /** Whether it stands among those with something that waits, and among those with something to be worked again. */
  isReady: boolean;
  isReadyAgain: boolean;
}

/**
 * Decides which task is worked next: never more than `concurrency` in work, never more of a lane under way than its limit. Ready
 * lanes take turns, one task each, so that a lane with much to do does not starve the others; what is to be worked again and what
 * has not begun take turns too, so that what was begun soon ends.
 */
export class Scheduler<T extends Task> {
  readonly #concurrency: number;
  readonly #lanes = new Map<string, Lane<T>>();
  readonly #ready = new Fifo<Lane<T>>();
  readonly #readyAgain = new Fifo<Lane<T>>();
  #isTurnOfAgain = false;
  #inWork = 0;
  #waiting = 0;
  #setAside = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  get inWork(): number {
    return this.#inWork;
  }

  /** Not begun yet, or waiting for a place to go on. */
  get waiting(): number {
    return this.#waiting;
  }

  get setAside(): number {
    return this.#setAside;
  }

  add(task: T): void {
    const lane = this.#laneOf(task);
    lane.waiting.push(task);
    this.#waiting++;
    this.#offer(lane);
  }

  /** The task to be worked now; null when none is ready, or no place is free. */
  next(): T | null {
    while (this.#inWork < this.#concurrency) {
      const lane = this.#nextLane();
      if (lane === undefined) return null;
      const task = this.#take(lane);
      if (task === undefined) continue;
      this.#waiting--;
      this.#inWork++;
      this.#offer(lane);
      return task;
    }
    return null;
  }

  #nextLane(): Lane<T> | undefined {
    this.#isTurnOfAgain = !this.#isTurnOfAgain;
    const isAgain = this.#readyAgain.length > 0 && (this.#isTurnOfAgain || this.#ready.length === 0);
    const lane = (isAgain ? this.#readyAgain : this.#ready).shift();
    if (lane !== undefined) lane[isAgain ? 'isReadyAgain' : 'isReady'] = false;
    return lane;
  }

  /** Work on a task has ended for good. */
  finish(task: T): void {
    this.#inWork--;
    this.#leave(task);
  }

  /** A task leaves its place of work to others, but its lane's next ones go on waiting for it. */
  putAside(): void {
    invariant(this.#inWork > 0, 'only what is in work is set aside');
    this.#inWork--;
    this.#setAside++;
  }

  /** What was set aside is to be worked again, before the others of its lane. */
  resume(task: T): void {
    const lane = this.#laneOf(task);
    this.#setAside--;
    this.#waiting++;
    lane.again.push(task);
    this.#offer(lane);
  }

  /** What was set aside is not worked again. */
  abandon(task: T): void {
    this.#setAside--;
    this.#leave(task);
  }

  /** Forgets what waits of a partition; what is in work or set aside ends by itself. */
  drop(partition: string): void {
    for (const lane of this.#lanes.values()) {
      if (lane.partition !== partition) continue;
      this.#waiting -= lane.waiting.length + lane.again.length;
      lane.underWay -= lane.again.length;
      lane.waiting.clear();
      lane.again.clear();
      this.#forgetIfIdle(lane);
    }
  }

  #laneOf({ partition, lane: name, laneLimit }: T): Lane<T> {
    const id = `${partition}\0${name}`;
    let lane = this.#lanes.get(id);
    if (lane === undefined) {
      const queues = { waiting: new Fifo<T>(), again: new Fifo<T>() };
      lane = { id, partition, limit: laneLimit, ...queues, underWay: 0, isReady: false, isReadyAgain: false };
      this.#lanes.set(id, lane);
    }
    return lane;
  }

  #take(lane: Lane<T>): T | undefined {
    const again = lane.again.shift();
    if (again !== undefined || lane.underWay >= lane.limit) return again;
    const task = lane.waiting.shift();
    if (task !== undefined) lane.underWay++;
    return task;
  }

  #offer(lane: Lane<T>): void {
    if (lane.again.length > 0 && !lane.isReadyAgain) {
      lane.isReadyAgain = true;
      this.#readyAgain.push(lane);
    }
    if (lane.waiting.length > 0 && lane.underWay < lane.limit && !lane.isReady) {
      lane.isReady = true;
      this.#ready.push(lane);
    }
  }

  #leave(task: T): void {
    const lane = this.#laneOf(task);
    lane.underWay--;
    invariant(lane.underWay >= 0 && this.#inWork >= 0, 'a task ends once', { lane: lane.id });
    this.#offer(lane);
    this.#forgetIfIdle(lane);
  }

  #forgetIfIdle(lane: Lane<T>): void {
    if (lane.underWay === 0 && lane.waiting.length === 0 && lane.again.length === 0) this.#lanes.delete(lane.id);
  }
}
