import type { CancelTimer, Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import { Pace } from '../base/pace.ts';
import type { Random } from '../base/random.ts';
import type { SteadyTime } from '../base/steady-time.ts';
import { type CompactionReport, compact } from '../log/compaction.ts';
import { type CompactionPlan, isDue, planOf } from '../log/compaction-plan.ts';
import { KeyMap } from '../log/key-map.ts';
import type { LogContext } from '../log/log-context.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { BrokerSettings } from './broker-settings.ts';
import { stampAgeBy } from './retention.ts';
import type { Topic } from './topic.ts';
import type { Topics } from './topics.ts';

/** How long a log that could not be compacted is left alone: what was wrong is not over in a moment. */
const RETRY_DELAY_MS = 60_000;

export interface CleanerContext {
  readonly disk: LogContext['disk'];
  readonly topics: Topics;
  readonly settings: BrokerSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onBug: (error: unknown) => void;
  readonly time: SteadyTime;
}

interface Candidate {
  readonly topic: Topic;
  readonly plan: CompactionPlan;
}

/** Compacts the logs of topics with cleanup.policy compact, one at a time, that with the largest uncompacted share first. */
export class Cleaner {
  readonly #context: CleanerContext;
  readonly #retryAtMs = new WeakMap<PartitionLog, number>();
  readonly #toldOf = new WeakMap<PartitionLog, string>();
  #cancelTimer: CancelTimer | null = null;
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(context: CleanerContext) {
    this.#context = context;
    this.#later();
  }

  /** Resolves when a pass that is under way has ended, which it does soon. */
  async close(): Promise<void> {
    this.abort();
    await this.#running;
  }

  abort(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  #later(): void {
    if (this.#closed) return;
    const { clock, settings, onBug } = this.#context;
    this.#cancelTimer = clock.after(settings.number('log.cleaner.backoff.ms'), () => {
      this.#running = this.#round()
        .catch(onBug)
        .finally(() => {
          this.#running = null;
          this.#later();
        });
    });
  }

  async #round(): Promise<void> {
    while (!this.#closed && this.#context.settings.flag('log.cleaner.enable')) {
      const { clock, time } = this.#context;
      const nowMs = time.now(clock.wallMs(), clock.monotonicMs());
      const next = await this.#dirtiest(nowMs);
      if (next === null) return;
      await this.#compact(next, nowMs);
    }
  }

  async #dirtiest(nowMs: number): Promise<Candidate | null> {
    let dirtiest: Candidate | null = null;
    for (const topic of this.#context.topics) {
      const { compaction, logAppendTime } = topic.settings;
      if (compaction === null) continue;
      const ageMs = logAppendTime ? stampAgeBy(this.#context.time, this.#context.clock) : undefined;
      for (const log of topic.partitions) {
        if (this.#closed) return null;
        if (log.stopped !== null || this.#context.clock.monotonicMs() < (this.#retryAtMs.get(log) ?? 0)) continue;
        const plan = await this.#guarded(topic, log, () => planOf(log, compaction, nowMs, ageMs));
        if (!plan || !isDue(plan, compaction)) continue;
        if (dirtiest === null || isDirtier(plan, dirtiest.plan)) dirtiest = { topic, plan };
      }
    }
    return dirtiest;
  }

  async #compact({ topic, plan }: Candidate, nowMs: number): Promise<void> {
    const { disk, clock, time, random, settings } = this.#context;
    const { log } = plan;
    const compaction = topic.settings.compaction!;
    const pace = new Pace(clock, Number(settings.value('log.cleaner.io.max.bytes.per.second')), () => {
      if (this.#closed || log.compacted.stopping) throw new Fault('brokerStopped');
      if (log.stopped !== null) throw log.stopped;
    });
    const startMs = clock.monotonicMs();
    const report = await this.#guarded(topic, log, async () => {
      const keys = await KeyMap.create(settings.number('log.cleaner.dedupe.buffer.size'), random);
      const { indexIntervalBytes } = topic.settings.log;
      const context = { disk, keys, pace, codecs: log.codecs, settings: compaction, nowMs, indexIntervalBytes };
      return compact(plan, { ...context, ageMs: stampAgeBy(time, clock) });
    });
    if (report !== null) this.#tell(topic, log, report, clock.monotonicMs() - startMs);
  }

  /** A failure in one partition never keeps the others from their turn. */
  async #guarded<T>(topic: Topic, log: PartitionLog, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      this.#retryAtMs.set(log, this.#context.clock.monotonicMs() + RETRY_DELAY_MS);
      if (!this.#closed && log.stopped === null && !log.compacted.stopping) {
        this.#context.logger.warn(
          { err, topic: topic.name, folder: log.folder },
          'a partition could not be compacted; tried again later',
        );
      }
      return null;
    }
  }

  #tell(topic: Topic, log: PartitionLog, { damaged, ...facts }: CompactionReport, durationMs: number): void {
    const { logger } = this.#context;
    const place = { topic: topic.name, folder: log.folder };
    logger.info({ ...place, ...facts, durationMs: Math.round(durationMs) }, 'a partition was compacted');
    if (facts.recordsWithoutKey > 0) {
      const { recordsWithoutKey } = facts;
      logger.warn({ ...place, recordsWithoutKey }, 'records without a key were dropped: the topic is compacted');
    }
    const { batchesUnread } = facts;
    const unread = JSON.stringify({ damaged, batchesUnread });
    // Each pass meets it again.
    if ((damaged.length === 0 && batchesUnread === 0) || this.#toldOf.get(log) === unread) return;
    this.#toldOf.set(log, unread);
    logger.warn(
      { ...place, damaged, batchesUnread },
      'what compaction could not read stays as it is, and tombstones after it stay too',
    );
  }
}

function isDirtier(one: CompactionPlan, other: CompactionPlan): boolean {
  if (one.isOverdue !== other.isOverdue) return one.isOverdue;
  return one.dirtyRatio > other.dirtyRatio;
}
