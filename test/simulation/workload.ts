import type { SeededRandom } from '../seeded-random.ts';
import type { Client } from './client.ts';
import type { Damages } from './damages.ts';
import type { Pass } from './delete-records.ts';
import type { HistoryRecorder } from './history.ts';
import type { RandomStreams } from './random-streams.ts';
import type { Scheduler } from './scheduler.ts';
import type { WallClock } from './simulated-clock.ts';
import type { TopicPlans } from './topic-plans.ts';

/** What a workload has to work with. */
export interface WorkloadContext {
  readonly scheduler: Scheduler;
  readonly wall: WallClock;
  readonly streams: RandomStreams;
  readonly history: HistoryRecorder;
  readonly topics: TopicPlans;
  readonly damages: Damages;
  /** A client that shares its connection with no other. */
  readonly connect: (name: string) => Client;
  /** A number for another client process; none is given twice. */
  readonly newProcess: () => number;
  /** Whether no operation is to be begun any more. */
  readonly isOver: () => boolean;
  /** Calls back when compaction begins to write a segment. */
  readonly onPass: (action: (pass: Pass) => void) => void;
  /** Says of something that was seen and is not in the history that it must never be. */
  readonly onViolation: (what: string) => void;
}

/** Something that clients do to a broker, over and over, whatever becomes of it, until it is over. */
export interface Workload {
  readonly name: string;
  /** Makes what it needs, while nothing disturbs it. */
  prepare?(context: WorkloadContext): Promise<void>;
  run(context: WorkloadContext): Promise<void>;
  /** When nothing disturbs any more, and before the broker is started again: what must succeed then. */
  settle?(context: WorkloadContext): Promise<void>;
  /** When it was started again, and no workload runs: what is to be read before the history is judged. */
  finish?(context: WorkloadContext): Promise<void>;
}

/** Waits for a moment, as clients do between two requests. */
export function rest(context: WorkloadContext, random: SeededRandom, msMax: number): Promise<void> {
  return context.scheduler.sleep(random.below(msMax * 10) / 10);
}
