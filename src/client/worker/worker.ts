import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import type { Admin } from '../admin.ts';
import type { Consumer } from '../consumer.ts';
import type { ConsumerOptions, GroupOffset } from '../consumer-options.ts';
import type { PartitionOfTopic } from '../group-offsets.ts';
import type { Producer } from '../producer.ts';
import type { ReadBatch, ReadRecord } from '../read-record.ts';
import { within } from '../timing.ts';
import { AssignedPartition } from './assigned-partition.ts';
import { attempt, type Outcome } from './attempt.ts';
import { Commits } from './commits.ts';
import { FailedRecords } from './failed-records.ts';
import { type Failure, readRetry } from './failure-headers.ts';
import type { FailedEvent, WorkerHooks } from './hooks.ts';
import { partitionKey, partitionText } from './partition-name.ts';
import { retryDelayMs } from './retry-policy.ts';
import { Scheduler } from './scheduler.ts';
import { type Work, workOf } from './work.ts';
import { type Handler, type WorkerOptions, type WorkerSettings, workerSettings } from './worker-options.ts';
import { WorkerCounts, type WorkerStats } from './worker-stats.ts';

export interface WorkerParts<K, V> {
  clock: Clock;
  random: Random;
  logger: Logger;
  admin: Admin;
  /** The worker closes what these make. */
  consumer: (options: ConsumerOptions<K, V>) => Consumer<K, V>;
  producer: () => Producer<Buffer, Buffer>;
  /** Called when the worker was closed. */
  onClose: () => void;
}

/** What a record counts for in the window beyond its own bytes, roughly. */
const RECORD_OVERHEAD_BYTES = 200;
const LAST_COMMIT_MS = 10_000;

/**
 * Works the records of topics as a member of a group: many at a time, each until it is done. It begins when it is made; `done`
 * tells when and why it ended.
 */
export class Worker<K = string, V = unknown> implements AsyncDisposable {
  /**
   * Resolves when the worker was closed, rejects with why it stopped by itself: recordFailed, or what the consumer ended with. Left
   * alone, such an end is an unhandled rejection, which ends a process: a worker does not stop unnoticed.
   */
  readonly done: Promise<void>;
  readonly #settings: WorkerSettings<K, V>;
  readonly #handler: Handler<K, V>;
  readonly #parts: WorkerParts<K, V>;
  readonly #scheduler: Scheduler<Work<K, V>>;
  readonly #assigned = new Map<string, AssignedPartition<K, V>>();
  readonly #producer: Producer<Buffer, Buffer>;
  readonly #failed: FailedRecords;
  readonly #retryTopics: ReadonlySet<string>;
  readonly #commits: Commits;
  readonly #counts = new WorkerCounts();
  readonly #hooksThatThrew = new Set<keyof WorkerHooks<K, V>>();
  #consumer: Consumer<K, V> | null = null;
  #fault: { error: unknown } | null = null;
  #closing: Promise<void> | null = null;
  #whenStarted: () => void = () => {};
  readonly #started = new Promise<void>((resolve) => {
    this.#whenStarted = resolve;
  });

  /** Use the client's `worker`. @throws Fault invalidArgument. */
  constructor(
    topics: string | readonly string[],
    options: WorkerOptions<K, V>,
    handler: Handler<K, V>,
    parts: WorkerParts<K, V>,
  ) {
    const settings = workerSettings(topics, options);
    const { clock, logger } = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#parts = parts;
    this.#scheduler = new Scheduler(settings.concurrency);
    this.#producer = parts.producer();
    this.#failed = new FailedRecords(settings, { ...parts, producer: this.#producer });
    this.#retryTopics = new Set([...this.#failed.retryTopics.values()].flat());
    this.#commits = new Commits({
      clock,
      logger,
      intervalMs: settings.commitIntervalMs,
      metadataBytesMax: settings.commitMetadataBytesMax,
      partitions: () => this.#assigned.values(),
      commit: (offsets) => this.#consumer!.commitEach(offsets),
      onCommit: (event) => {
        if (event.error === null) this.#counts.commits++;
        this.#tell('onCommit', event);
      },
    });
    this.done = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#settings;
    const onAbort = (): void => void this.close();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      await this.#failed.makeRetryTopics();
      if (this.#closing === null) await this.#consume();
    } catch (error) {
      this.#fail(error);
    }
    await this.close();
    signal?.removeEventListener('abort', onAbort);
    if (this.#fault !== null) throw this.#fault.error;
  }

  async #consume(): Promise<void> {
    const { consumer, topics, from, key, value } = this.#settings;
    this.#consumer = this.#parts.consumer({
      ...consumer,
      topics: [...topics, ...this.#retryTopics],
      from,
      key,
      value,
      autoCommit: false,
      onAssigned: (partitions) => this.#assign(partitions),
      onRevoked: (partitions) => this.#revoke(partitions),
      onLost: (partitions) => this.#lose(partitions),
    });
    await this.#consumer.start();
    this.#whenStarted();
    for await (const batch of this.#consumer.batches()) this.#take(batch);
  }

  /** Resolves when partitions were assigned for the first time, also when there were none for this member; or when it was closed. */
  started(): Promise<void> {
    return this.#started;
  }

  // What comes in

  async #assign(partitions: readonly GroupOffset[]): Promise<void> {
    // A drain that was not waited for any longer may still be going on.
    this.#lose(partitions);
    if (this.#settings.from !== 'earliest') await this.#beginRetryTopics(partitions);
    for (const committed of partitions) {
      const partition = new AssignedPartition<K, V>(committed, committed);
      // A worker that is being closed begins nothing new.
      partition.isDraining = this.#closing !== null;
      this.#assigned.set(partition.key, partition);
    }
  }

  /** Whatever `from` says of the worker's topics: a record to be tried again is never left out. */
  async #beginRetryTopics(partitions: readonly GroupOffset[]): Promise<void> {
    for (const { topic, partition, offset } of partitions) {
      if (offset !== null || !this.#retryTopics.has(topic)) continue;
      const found = await this.#parts.admin.offsets(topic, 'earliest', { partitions: [partition] });
      this.#consumer?.seek({ topic, partition }, found.get(partition)?.offset ?? 0);
    }
  }

  #take(batch: ReadBatch<K, V>): void {
    const partition = this.#assigned.get(partitionKey(batch));
    if (partition === undefined || partition.isDraining) return;
    const first = batch.records[0]!.offset;
    const current = first >= partition.tracker.positionNext ? partition : this.#restart(partition, first);
    for (const record of batch.records) this.#takeRecord(current, record);
    this.#limitWindow(current);
    this.#commits.touch();
    this.#pump();
  }

  /** The topic was cut back or made again, and reading went back: what was known of its offsets is of no use any more. */
  #restart(partition: AssignedPartition<K, V>, offset: number): AssignedPartition<K, V> {
    this.#parts.logger.warn({ ...where(partition), offset }, 'the partition is read again from a lower offset');
    this.#giveUp(partition, new Fault('workTakenAway', { detail: `${partitionText(partition)} was cut back` }));
    const again = new AssignedPartition<K, V>(partition, { offset, metadata: '' });
    again.isPaused = partition.isPaused;
    this.#assigned.set(again.key, again);
    return again;
  }

  #takeRecord(assigned: AssignedPartition<K, V>, read: ReadRecord<K, V>): void {
    const { clock } = this.#parts;
    const tracked = assigned.tracker.add(read.offset, bytesOf(read));
    if (tracked === null) {
      this.#counts.remembered++;
      return;
    }
    const retry = this.#retryTopics.has(read.topic) ? readRetry(read.headers, this.#settings.consumer.group) : null;
    const work = workOf({ assigned, tracked, read, retry, settings: this.#settings, takenAtMs: clock.monotonicMs() });
    const waitMs = retry === null ? 0 : retry.retryAtMs - clock.wallMs();
    if (waitMs > 0) this.#delay(work, waitMs, () => this.#scheduler.add(work));
    else this.#scheduler.add(work);
  }

  #delay(work: Work<K, V>, delayMs: number, go: () => void): void {
    const { assigned } = work;
    assigned.delayed.add(work);
    work.cancelTimer = this.#parts.clock.after(delayMs, () => {
      work.cancelTimer = null;
      assigned.delayed.delete(work);
      go();
      this.#pump();
    });
  }

  /** A slow record must not let what is finished beyond it, or waits for it, grow without bound. */
  #limitWindow(partition: AssignedPartition<K, V>): void {
    const { tracker } = partition;
    if (partition.isDraining) return;
    const { windowRecordsMax, windowBytesMax } = this.#settings;
    const bytesMax = windowBytesMax / this.#assigned.size;
    if (!partition.isPaused && (tracker.windowRecords >= windowRecordsMax || tracker.windowBytes >= bytesMax)) {
      partition.isPaused = true;
      this.#consumer?.pause([where(partition)]);
    } else if (
      partition.isPaused &&
      tracker.windowRecords * 2 <= windowRecordsMax &&
      tracker.windowBytes * 2 <= bytesMax
    ) {
      partition.isPaused = false;
      this.#consumer?.resume([where(partition)]);
    }
  }

  // Work

  #pump(): void {
    for (let work = this.#scheduler.next(); work !== null; work = this.#scheduler.next()) void this.#work(work);
  }

  async #work(work: Work<K, V>): Promise<void> {
    const { assigned } = work;
    const { clock } = this.#parts;
    assigned.inWork.add(work);
    work.attempts++;
    const { record, trace, attempts } = work;
    this.#tell('onStart', { record, attempt: attempts, trace, waitedMs: clock.monotonicMs() - work.takenAtMs });
    try {
      const outcome = await attempt(
        work,
        this.#handler,
        this.#settings.deadlineMs,
        clock,
        () => this.#counts.overdue++,
      );
      await this.#settle(work, outcome);
    } catch (error) {
      this.#scheduler.finish(work);
      this.#fail(error);
    }
    assigned.leave(work);
    this.#pump();
  }

  /** @throws what retryIf throws, and bugs. */
  async #settle(work: Work<K, V>, { error, durationMs }: Outcome): Promise<void> {
    const { assigned, record, trace, attempts } = work;
    const event = { record, trace, attempt: attempts, durationMs };
    if (assigned.ended.aborted) {
      this.#scheduler.finish(work);
      this.#counts.abandoned++;
      this.#tell('onAbandon', event);
    } else if (error === null) {
      this.#tell('onSuccess', event);
      this.#finish(work);
    } else {
      await this.#afterFailure(work, { ...event, error: error.thrown });
    }
  }

  async #afterFailure(work: Work<K, V>, event: FailedEvent<K, V>): Promise<void> {
    const { random } = this.#parts;
    const delayMs = retryDelayMs(this.#settings.retry, event.error, work.attempts, random);
    this.#counts.failedAttempts++;
    const topic = this.#failed.retryTopic(work.origin.topic, work.attempts);
    if (delayMs === null) await this.#exhausted(work, event);
    else if (topic !== null) await this.#retryByTopic(work, event, topic, delayMs);
    else this.#retryInPlace(work, event, delayMs);
  }

  #retryInPlace(work: Work<K, V>, event: FailedEvent<K, V>, delayMs: number): void {
    if (work.assigned.isDraining) {
      // There is no time for it here: it is left unfinished, for who has the partition next.
      this.#scheduler.finish(work);
      return;
    }
    this.#counts.retried++;
    this.#tell('onRetry', { ...event, delayMs, topic: null });
    this.#scheduler.putAside();
    this.#delay(work, delayMs, () => this.#scheduler.resume(work));
  }

  async #retryByTopic(work: Work<K, V>, event: FailedEvent<K, V>, topic: string, delayMs: number): Promise<void> {
    const failure = this.#failureOf(work, event.error, this.#parts.clock.wallMs() + delayMs);
    const stored = await this.#failed.storeRetry(topic, work.record, failure, work.assigned.ended);
    if (stored === null) {
      this.#scheduler.finish(work);
      return;
    }
    this.#counts.retried++;
    this.#tell('onRetry', { ...event, delayMs, topic });
    this.#finish(work);
  }

  async #exhausted(work: Work<K, V>, event: FailedEvent<K, V>): Promise<void> {
    const { assigned, record, origin, attempts } = work;
    const topic = this.#failed.deadLetterTopic(origin.topic);
    const detail = `${partitionText(origin)}, offset ${origin.offset}, after ${attempts} attempts`;
    if (topic !== null) {
      const failure = this.#failureOf(work, event.error, null);
      const stored = await this.#failed.storeDeadLetter(topic, record, failure, assigned.ended);
      if (stored === null) {
        this.#scheduler.finish(work);
        return;
      }
      this.#counts.deadLettered++;
      this.#tell('onDeadLetter', { ...event, topic, partition: stored.partition, offset: stored.offset });
      this.#finish(work);
    } else if (this.#settings.onExhausted === 'skip') {
      this.#parts.logger.error({ ...origin, attempts, err: event.error }, 'a record failed and is left out');
      this.#counts.skipped++;
      this.#tell('onSkip', event);
      this.#finish(work);
    } else {
      this.#scheduler.finish(work);
      const said = event.error instanceof Error ? event.error.message : String(event.error);
      this.#fail(new Fault('recordFailed', { detail: `${detail}: ${said}`, cause: event.error }));
    }
  }

  #failureOf({ origin, attempts }: Work<K, V>, error: unknown, retryAtMs: number | null): Failure {
    const { group } = this.#settings.consumer;
    return { group, origin, attempts, error, failedAtMs: this.#parts.clock.wallMs(), retryAtMs };
  }

  #finish(work: Work<K, V>): void {
    const { assigned, tracked } = work;
    this.#scheduler.finish(work);
    if (assigned.ended.aborted) return;
    assigned.tracker.finish(tracked);
    assigned.finished++;
    this.#counts.finished++;
    this.#limitWindow(assigned);
    this.#commits.touch();
  }

  // What goes away

  async #revoke(partitions: readonly PartitionOfTopic[]): Promise<void> {
    await this.#drain(this.#held(partitions), this.#settings.drainTimeoutMs);
  }

  #lose(partitions: readonly PartitionOfTopic[]): void {
    for (const partition of this.#held(partitions)) {
      this.#giveUp(partition, new Fault('workTakenAway', { detail: partitionText(partition) }));
    }
  }

  #held(partitions: readonly PartitionOfTopic[]): AssignedPartition<K, V>[] {
    return partitions.flatMap((one) => this.#assigned.get(partitionKey(one)) ?? []);
  }

  /** Takes nothing more of these partitions, lets what is in work end, for so long, commits, and gives them up. */
  async #drain(partitions: readonly AssignedPartition<K, V>[], timeoutMs: number): Promise<void> {
    for (const partition of partitions) {
      partition.isDraining = true;
      this.#dropWaiting(partition);
    }
    const idle = Promise.all(partitions.map((partition) => partition.whenIdle()));
    const overdue = new Fault('workTakenAway', { detail: `the records did not end within ${timeoutMs} ms` });
    await within(this.#parts.clock, timeoutMs, idle, () => overdue).catch((error: unknown) => {
      if (error !== overdue) throw error;
    });
    await this.#flush(partitions);
    for (const partition of partitions) this.#giveUp(partition, overdue);
  }

  /** Of a broker that does not answer nothing is waited for beyond some seconds: what is not committed is worked again. */
  async #flush(partitions: readonly AssignedPartition<K, V>[]): Promise<void> {
    const late = new Fault('requestTimedOut', { detail: `the last commit, within ${LAST_COMMIT_MS} ms` });
    const flushed = this.#commits.flush(partitions);
    await within(this.#parts.clock, LAST_COMMIT_MS, flushed, () => late).catch((error: unknown) => {
      if (error !== late) throw error;
      this.#parts.logger.warn(
        { group: this.#settings.consumer.group, err: late },
        'partitions are given up without it',
      );
    });
  }

  #dropWaiting(partition: AssignedPartition<K, V>): void {
    this.#scheduler.drop(partition.key);
    for (const work of partition.delayed) {
      work.cancelTimer?.();
      // What came by a retry topic and was not due yet is not known to the scheduler.
      if (work.attempt !== null) this.#scheduler.abandon(work);
    }
    partition.delayed.clear();
  }

  #giveUp(partition: AssignedPartition<K, V>, reason: Error): void {
    if (this.#assigned.get(partition.key) === partition) this.#assigned.delete(partition.key);
    this.#dropWaiting(partition);
    partition.end(reason);
  }

  /** The worker cannot go on: what is in work may end, and `done` rejects. */
  #fail(error: unknown): void {
    if (this.#fault === null) {
      this.#fault = { error };
      this.#parts.logger.error({ group: this.#settings.consumer.group, err: error }, 'the worker stops');
    }
    void this.close();
  }

  /**
   * Takes no more records, lets those in work end, for `timeoutMs` at most (default drainTimeoutMs), then aborts their signals;
   * commits, and leaves the group (a static member only with `leave`). Calling it again returns the same. It never rejects: `done`
   * tells of failures.
   */
  close({
    timeoutMs = this.#settings.drainTimeoutMs,
    leave = false,
  }: {
    timeoutMs?: number;
    leave?: boolean;
  } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs, leave);
    return this.#closing;
  }

  async #close(timeoutMs: number, leave: boolean): Promise<void> {
    const { logger, onClose } = this.#parts;
    try {
      await this.#drain([...this.#assigned.values()], timeoutMs);
      this.#commits.stop();
      await this.#consumer?.close({ leave });
      await this.#producer.close({ timeoutMs });
    } catch (error) {
      this.#fault ??= { error };
      logger.error({ err: error }, 'the worker could not be closed well');
    }
    this.#whenStarted();
    onClose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** How things stand now, and what was done since the start. */
  stats(): WorkerStats {
    return this.#counts.with(this.#assigned.values(), this.#scheduler);
  }

  #tell<N extends keyof WorkerHooks<K, V>>(name: N, event: Parameters<NonNullable<WorkerHooks<K, V>[N]>>[0]): void {
    try {
      (this.#settings.hooks[name] as ((given: typeof event) => void) | undefined)?.(event);
    } catch (error) {
      // What it throws at one record it mostly throws at all.
      if (this.#hooksThatThrew.has(name)) return;
      this.#hooksThatThrew.add(name);
      this.#parts.logger.error({ hook: name, err: error }, 'a hook of the worker threw; this is said once');
    }
  }
}

function where({ topic, partition }: PartitionOfTopic): PartitionOfTopic {
  return { topic, partition };
}

function bytesOf({ keyBytes, valueBytes, headers }: ReadRecord<unknown, unknown>): number {
  let bytes = RECORD_OVERHEAD_BYTES + (keyBytes?.length ?? 0) + (valueBytes?.length ?? 0);
  for (const { key, value } of headers) bytes += key.length + (value?.length ?? 0);
  return bytes;
}
