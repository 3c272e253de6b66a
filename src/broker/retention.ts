import type { CancelTimer, Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { SteadyTime } from '../base/steady-time.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { type AgeOf, retire } from '../log/retention.ts';
import type { BrokerSettings } from './broker-settings.ts';
import type { Topic } from './topic.ts';
import type { Topics } from './topics.ts';

/** Further ahead than clocks that are about right differ, and than what arrives in the course of one pass. */
const AHEAD_TOLD_MS = 60 * 60 * 1000;

export interface RetentionContext {
  readonly topics: Topics;
  readonly settings: BrokerSettings;
  readonly clock: Clock;
  readonly time: SteadyTime;
  readonly logger: Logger;
  readonly onBug: (error: unknown) => void;
}

/** Deletes, every few minutes and one partition after the other, the segments that are over their topics' limits. */
export class Retention {
  readonly #context: RetentionContext;
  readonly #toldOfFuture = new WeakSet<PartitionLog>();
  #cancelTimer: CancelTimer | null = null;
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(context: RetentionContext) {
    this.#context = context;
    this.#after('log.initial.task.delay.ms');
  }

  /** Resolves when a pass that is under way has come to its end. */
  async close(): Promise<void> {
    this.abort();
    await this.#running;
  }

  abort(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  #after(setting: 'log.initial.task.delay.ms' | 'log.retention.check.interval.ms'): void {
    if (this.#closed) return;
    this.#cancelTimer = this.#context.clock.after(this.#context.settings.number(setting), () => {
      this.#running = this.#pass()
        .catch(this.#context.onBug)
        .finally(() => {
          this.#running = null;
          this.#after('log.retention.check.interval.ms');
        });
    });
  }

  async #pass(): Promise<void> {
    const { clock, time, logger, topics } = this.#context;
    const nowMs = time.now(clock.wallMs(), clock.monotonicMs());
    if (time.aheadMs > 0) {
      logger.warn(
        { aheadMs: time.aheadMs },
        'the clock has leapt ahead; for a day, records expire as if it had not: set it right if it is wrong',
      );
    }
    for (const topic of topics) {
      for (const log of topic.partitions) {
        if (this.#closed) return;
        await this.#retire(topic, log, nowMs);
      }
    }
  }

  /** A failure in one partition never keeps the others from their turn. */
  async #retire(topic: Topic, log: PartitionLog, nowMs: number): Promise<void> {
    if (!topic.settings.deletes || log.stopped !== null) return;
    const { logger, time, clock } = this.#context;
    const { retentionMs, retentionBytes, logAppendTime } = topic.settings;
    try {
      // What others stamped is as old as they say.
      const ageMs = logAppendTime ? stampAgeBy(time, clock) : undefined;
      const limits = { retentionMs, retentionBytes };
      const { segments, bytes, futureMs, failure } = await retire(log, limits, nowMs, ageMs);
      if (segments > 0) {
        logger.info(
          { topic: topic.name, folder: log.folder, segments, bytes },
          'segments over their limits were deleted',
        );
      }
      if (futureMs !== null && futureMs > nowMs + AHEAD_TOLD_MS && !this.#toldOfFuture.has(log)) {
        this.#toldOfFuture.add(log);
        logger.warn(
          { topic: topic.name, folder: log.folder, timestampMs: futureMs },
          'a record has a time to come: its segment, and those after it, are not deleted by age before that',
        );
      }
      if (failure !== null) throw failure;
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      if (log.stopped === null)
        logger.warn({ err, topic: topic.name }, 'segments could not be deleted; tried again later');
    }
  }
}

/**
 * How old what the broker stamped is, by the time in which that is asked: since a pass began, the clock may have been set back, and a
 * record stamped.
 */
export function stampAgeBy(time: SteadyTime, clock: Clock): AgeOf {
  return (stampMs) => time.stampAgeMs(stampMs, time.now(clock.wallMs(), clock.monotonicMs()));
}
