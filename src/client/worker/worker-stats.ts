import type { AssignedPartition } from './assigned-partition.ts';

export interface WorkerStats {
  /** Partitions that are this worker's now. */
  readonly partitions: number;
  /** Of those, how many are not fetched since their window is full. */
  readonly paused: number;
  /** Records that are in the handler's hands, or being stored elsewhere; also those whose partition was given up. */
  readonly inWork: number;
  /** Records that were taken and wait for a place, or for another one of their key. */
  readonly waiting: number;
  /** Records that wait for their time: a retry that is not due yet. */
  readonly delayed: number;
  /** From the lowest unfinished record to the last one taken, of all partitions. */
  readonly windowRecords: number;
  readonly windowBytes: number;
  /** Records finished, of which no commit tells yet: after a crash these are worked again. */
  readonly commitLag: number;
  /** Since the start: records that were done, stored elsewhere or left out. */
  readonly finished: number;
  readonly failedAttempts: number;
  /** Attempts that were put off, in place or by way of a topic. */
  readonly retried: number;
  readonly deadLettered: number;
  /** Left out after the last attempt. */
  readonly skipped: number;
  /** Not worked, since an earlier commit says that they are finished. */
  readonly remembered: number;
  /** Attempts whose deadline passed. */
  readonly overdue: number;
  /** Attempts that ended after their partition was given up. */
  readonly abandoned: number;
  readonly commits: number;
}

/** What a worker counts. */
export class WorkerCounts {
  finished = 0;
  failedAttempts = 0;
  retried = 0;
  deadLettered = 0;
  skipped = 0;
  remembered = 0;
  overdue = 0;
  abandoned = 0;
  commits = 0;

  with(
    partitions: Iterable<AssignedPartition<unknown, unknown>>,
    { inWork, waiting }: { inWork: number; waiting: number },
  ): WorkerStats {
    const now = { partitions: 0, paused: 0, delayed: 0, windowRecords: 0, windowBytes: 0, commitLag: 0 };
    for (const partition of partitions) {
      now.partitions++;
      if (partition.isPaused) now.paused++;
      now.delayed += partition.delayed.size;
      now.windowRecords += partition.tracker.windowRecords;
      now.windowBytes += partition.tracker.windowBytes;
      now.commitLag += partition.finished - partition.committed;
    }
    return { ...now, inWork, waiting, ...this };
  }
}
