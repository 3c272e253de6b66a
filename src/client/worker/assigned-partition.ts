import type { PartitionOfTopic } from '../group-offsets.ts';
import { decodeFinished } from './finished-beyond.ts';
import { OffsetTracker } from './offset-tracker.ts';
import { partitionKey } from './partition-name.ts';
import type { Work } from './work.ts';

/** A partition for as long as it is this worker's. */
export class AssignedPartition<K, V> implements PartitionOfTopic {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  readonly tracker: OffsetTracker;
  /** What is in the handler's hands, or being stored elsewhere. */
  readonly inWork = new Set<Work<K, V>>();
  /** What waits for its time: a retry in place, or a record of a retry topic. */
  readonly delayed = new Set<Work<K, V>>();
  /** Takes nothing more: what is in work may end. */
  isDraining = false;
  readonly #ended = new AbortController();
  /** Not fetched, since its window is full. */
  isPaused = false;
  /** Records finished here. */
  finished = 0;
  /** Of those, how many the last successful commit tells of. */
  committed = 0;
  /** Whether there is something to commit though nothing was finished: where it began, when nothing was committed before. */
  isUncommitted: boolean;
  #whenIdle: (() => void)[] = [];

  constructor({ topic, partition }: PartitionOfTopic, start: { offset: number | null; metadata: string }) {
    this.topic = topic;
    this.partition = partition;
    this.key = partitionKey({ topic, partition });
    const { offset, metadata } = start;
    this.tracker = offset === null ? new OffsetTracker(0) : new OffsetTracker(offset, decodeFinished(offset, metadata));
    this.isUncommitted = offset === null;
  }

  /** Aborts when the partition is given up. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether a commit would say something new. Once given up, what is finished here may be below what another worker has committed. */
  get isDirty(): boolean {
    if (this.#ended.signal.aborted) return false;
    return this.finished > this.committed || (this.isUncommitted && this.tracker.positionNext > 0);
  }

  wasCommitted(finished: number): void {
    this.committed = finished;
    this.isUncommitted = false;
  }

  leave(work: Work<K, V>): void {
    this.inWork.delete(work);
    if (this.inWork.size > 0) return;
    for (const resolve of this.#whenIdle) resolve();
    this.#whenIdle = [];
  }

  /** Resolves when nothing is in work. */
  whenIdle(): Promise<void> {
    if (this.inWork.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Gives the partition up: handlers that are still at work are told by their signals. */
  end(reason: Error): void {
    this.isDraining = true;
    this.#ended.abort(reason);
    for (const work of this.inWork) work.attempt?.abort(reason);
  }
}
