import type { CancelTimer, Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Semaphore } from '../base/semaphore.ts';
import type { Disk } from '../disk/disk.ts';
import { baseOffset, lastOffset, lastOffsetDelta, leaderEpoch, maxTimestamp, stamp } from '../record/batch.ts';
import { AppendGroup, type AppendStage } from './append-group.ts';
import { type Checkpoint, writeCheckpoint } from './checkpoint.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { LogReader } from './log-reader.ts';
import type { LogSettings } from './log-settings.ts';
import { Marks } from './marks.ts';
import { lastIndexWhere } from './offset-index.ts';
import { writeProducers } from './producer-snapshot.ts';
import type { ProducerState, StoredBatch, Undo } from './producer-state.ts';
import { proveAll, type RecoveredLog, recoverLog } from './recovery.ts';
import { Segment } from './segment.ts';
import type { Appended, Syncer } from './syncer.ts';
import { CachedTail, type Page, type TailCache } from './tail-cache.ts';

/** Bytes given to one write: enough to make calls rare, little enough that a failed one loses little. */
const WRITE_BYTES_MAX = 8 * 1024 * 1024;

/** What nobody waits for, neither an appender nor a reader, shares its sync with what comes within this time. */
const UNAWAITED_SYNC_DELAY_MS = 10;

/** What all logs of a broker share. */
export interface LogContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly syncer: Syncer;
  readonly cache: TailCache;
  /** Bounds the reads of files that run at once, so that they never take every thread from the syncer. */
  readonly reads: Semaphore;
  /** A sync failed, or a failed write could not be taken back: what the disk holds is unknown. The broker must stop. */
  readonly onFatal: (error: unknown) => void;
}

interface Pending {
  readonly batch: Buffer;
  /** Of the tail cache, where the batch lies. */
  readonly page: Page;
  readonly nextOffset: number;
  undo: Undo | null;
}

interface Waiting {
  readonly nextOffset: number;
  readonly group: AppendGroup;
}

/**
 * One partition on disk. Appends go: accept (offset given, copy in the tail cache) → write loop (segment file) → syncer →
 * the high watermark moves, which answers appenders and wakes readers.
 */
export class PartitionLog {
  readonly folder: string;
  readonly marks: Marks;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerState;
  readonly reader: LogReader;
  readonly #context: LogContext;
  readonly #brokerEpoch: number;
  readonly #segments: Segment[];
  /** Taken out of the log, with files that are not all removed yet. */
  readonly #deleting = new Set<Segment>();
  readonly #tail: CachedTail;
  #settings: LogSettings;
  #pending: Pending[] = [];
  #awaitingWritten: Waiting[] = [];
  #awaitingVisible: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #syncing: Promise<void> = Promise.resolve();
  #checkpoint: Checkpoint;
  #checkpointing: Promise<void> = Promise.resolve();
  /** The log's start as the checkpoint's file has it. */
  #durableLogStart: number;
  #cancelFlush: CancelTimer | null = null;
  #closing: Promise<void> | null = null;
  #stopped: Fault | null = null;
  readonly #watchers = new Set<() => void>();

  private constructor(folder: string, context: LogContext, settings: LogSettings, epoch: number, log: RecoveredLog) {
    this.folder = folder;
    this.#context = context;
    this.#settings = settings;
    this.#brokerEpoch = epoch;
    this.#segments = log.segments;
    this.marks = new Marks(log.logStart, log.endNext);
    this.epochs = log.epochs;
    this.producers = log.producers;
    this.#tail = new CachedTail(context.cache);
    this.reader = new LogReader(this.#segments, this.#tail, this.marks, this.epochs, context.reads);
    this.#checkpoint = this.#checkpointAt(this.#active, log.endNext);
    this.#durableLogStart = log.logStart;
  }

  /** Opens a partition's folder, or makes a new one. @throws Fault as recoverLog does */
  static async open(folder: string, context: LogContext, settings: LogSettings, epoch: number): Promise<PartitionLog> {
    const recovered = await recoverLog(context, folder, settings.indexIntervalBytes);
    return new PartitionLog(folder, context, settings, epoch, recovered);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  /** Why it has ended: its topic was deleted, or the broker stopped. Null while it runs. */
  get stopped(): Fault | null {
    return this.#stopped;
  }

  /** The leader epoch that clients are told, and that the next batch gets. */
  get leaderEpoch(): number {
    return Math.max(this.#brokerEpoch, this.epochs.latest);
  }

  get #active(): Segment {
    return this.#segments.at(-1)!;
  }

  /** Judges a batch before it is accepted: see ProducerState.check. @throws Fault */
  check(batch: Buffer): StoredBatch | null {
    if (this.#stopped !== null) throw this.#stopped;
    if (this.#closing !== null) throw new Fault('brokerStopped');
    return this.producers.check(batch);
  }

  /** Gives a checked batch its offsets and queues it for the file. For the syncer alone: others call Syncer.append. */
  accept(batch: Buffer, stored: StoredBatch | null, group: AppendGroup): Appended {
    if (stored !== null) {
      this.#await(stored.lastOffset + 1, group);
      return { baseOffset: stored.baseOffset, nextOffset: stored.lastOffset + 1, duplicate: true };
    }
    const baseOffset = this.marks.acceptedNext;
    const nextOffset = baseOffset + lastOffsetDelta(batch, 0) + 1;
    const { bytes: copy, page } = this.#tail.add(batch, baseOffset, nextOffset);
    stamp(copy, 0, baseOffset, this.leaderEpoch);
    this.marks.accept(nextOffset);
    this.#pending.push({ batch: copy, page, nextOffset, undo: this.#applyProducer(copy) });
    this.#await(nextOffset, group);
    this.#writing ??= this.#writeLoop();
    return { baseOffset, nextOffset, duplicate: false };
  }

  /** Resolves when all before `nextOffset` is visible to readers. */
  visible(nextOffset: number): Promise<void> {
    const group = new AppendGroup(1, 'visible');
    this.#await(nextOffset, group);
    return group.settled;
  }

  /** Calls back after each move of the high watermark, and when the log stops; returns what ends that. */
  watch(onMove: () => void): () => void {
    this.#watchers.add(onMove);
    this.#considerSync();
    return () => this.#watchers.delete(onMove);
  }

  /**
   * Syncs what is written now. Never rejects: a failed sync is fatal to the broker. One runs at a time: of two at once the
   * operating system may tell only one that bytes were lost. For the syncer.
   */
  sync(): Promise<void> {
    this.#syncing = this.#syncing.then(() => this.#syncWritten());
    return this.#syncing;
  }

  /** Takes over changed settings; what is written already feels them too. */
  changeSettings(settings: LogSettings): void {
    this.#settings = settings;
    this.#cancelTimer();
    this.#show();
    this.#considerSync();
  }

  /**
   * Moves the log's start forward and removes the segments that lie wholly before it. Returns when that is durable; after a
   * failure it may be called again.
   */
  async trim(logStart: number): Promise<void> {
    if (this.#stopped !== null) throw this.#stopped;
    if (logStart > this.marks.logStart) {
      this.marks.trim(logStart);
      this.epochs.cutStart(logStart);
    }
    if (this.#durableLogStart < logStart) {
      try {
        await this.#writeCheckpoint(this.#checkpoint);
      } catch (error) {
        if (!(error instanceof Fault) || error.fault !== 'diskFull') throw error;
        // Deleting is what makes room on a full disk. Until the checkpoint says so, the oldest file's name says where the log starts.
        await this.#removeBefore(this.marks.logStart);
        await this.#writeCheckpoint(this.#checkpoint);
      }
    }
    // Also when the start does not move: the active segment may have been all deleted records, and be it no more.
    await this.#removeBefore(this.#durableLogStart);
  }

  /** Gives back what is held only to be fast: handles and indexes of older segments, producers silent since `seenMs`. */
  async rest(producersSeenMs: number): Promise<void> {
    this.producers.expire(producersSeenMs);
    for (const segment of this.#segments.slice(0, -1)) await segment.rest();
  }

  /** Ends at once: nothing more is written, everyone who waits is refused. After a fatal failure, or before deletion. */
  abort(fault: Fault): void {
    this.#stopped ??= fault;
    this.#cancelTimer();
    this.#pending = [];
    const waiting = [...this.#awaitingWritten.splice(0), ...this.#awaitingVisible.splice(0)];
    for (const { group } of waiting) group.failed(fault);
    this.#wake();
  }

  /**
   * Writes and syncs what was accepted, refusing more, then leaves the files so that the next start need not look into them.
   * Callable twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    await this.sync();
    const clean = this.#stopped === null;
    this.abort(new Fault('brokerStopped'));
    await this.#checkpointing;
    try {
      const { logStart, writtenNext: endNext } = this.marks;
      const { segments, epochs, producers } = this;
      if (clean) await proveAll(this.#context.disk, this.folder, { segments, logStart, endNext, epochs, producers });
    } finally {
      for (const segment of this.#segments) await segment.close();
    }
  }

  #applyProducer(batch: Buffer): Undo | null {
    return this.producers.apply(batch, baseOffset(batch, 0), lastOffset(batch, 0), this.#context.clock.monotonicMs());
  }

  #await(nextOffset: number, group: AppendGroup): void {
    const { until } = group;
    const reached = until === 'written' ? this.marks.writtenNext : this.marks.highWatermark;
    if (nextOffset <= reached) group.reached(until);
    else if (this.#stopped !== null) group.failed(this.#stopped);
    else {
      enqueue(until === 'written' ? this.#awaitingWritten : this.#awaitingVisible, { nextOffset, group });
      this.#considerSync();
    }
  }

  async #writeLoop(): Promise<void> {
    // A pause to gather what arrives in the same turn, and so that nothing is thrown into `accept`.
    await null;
    try {
      while (this.#pending.length > 0) {
        if (await this.#mustRoll(this.#pending[0]!)) await this.#roll();
        const run = this.#takeRun();
        if (run.length > 0) await this.#write(run);
      }
    } catch (error) {
      this.#rollBack([], error);
    } finally {
      this.#writing = null;
    }
  }

  #mustRoll(next: Pending): boolean | Promise<boolean> {
    const active = this.#active;
    if (active.sizeBytes === 0) return false;
    if (active.sizeBytes + next.batch.length > this.#settings.segmentBytes) return true;
    // Entries of the indexes hold offsets relative to the segment's base in 31 bits.
    if (next.nextOffset - active.baseOffset > 0x7fffffff) return true;
    return active.ageAt(maxTimestamp(next.batch, 0)).then((ageMs) => ageMs > this.#settings.segmentMs);
  }

  /** The pending batches that go into the active segment with one write. */
  #takeRun(): Pending[] {
    const room = Math.min(WRITE_BYTES_MAX, this.#settings.segmentBytes - this.#active.sizeBytes);
    let bytes = 0;
    let count = 0;
    for (const { batch } of this.#pending) {
      if (count > 0 && bytes + batch.length > room) break;
      bytes += batch.length;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  async #write(run: readonly Pending[]): Promise<void> {
    const active = this.#active;
    try {
      await active.write(run.map((pending) => pending.batch));
    } catch (error) {
      await active.cutBack().catch((fatal) => this.#fail(fatal));
      this.#rollBack(run, error);
      return;
    }
    for (const { batch, page } of run) {
      page.pins -= 1;
      this.epochs.begin(leaderEpoch(batch, 0), baseOffset(batch, 0));
    }
    this.marks.written(run.at(-1)!.nextOffset);
    settle(this.#awaitingWritten, this.marks.writtenNext, 'written');
    this.#show();
    this.#considerSync();
  }

  /** What could not be written, and all that was accepted after it, is taken back: its offsets are given again. */
  #rollBack(run: readonly Pending[], error: unknown): void {
    const lost = [...run, ...this.#pending.splice(0)];
    for (const { undo } of lost.toReversed()) undo?.();
    this.marks.rollBack();
    this.#tail.clear();
    this.#context.logger.error(
      { folder: this.folder, batches: lost.length, err: error },
      'a write failed; its batches are refused',
    );
    for (const waiting of [this.#awaitingWritten, this.#awaitingVisible]) {
      const kept = waiting.filter(({ nextOffset }) => nextOffset <= this.marks.writtenNext);
      const refused = waiting.filter(({ nextOffset }) => nextOffset > this.marks.writtenNext);
      waiting.splice(0, waiting.length, ...kept);
      for (const { group } of refused) group.failed(error);
    }
    if (!(error instanceof Fault)) this.#fail(error);
  }

  /** What the disk holds, or what this code does, is no longer certain: nothing more is answered, and the broker is told. */
  #fail(error: unknown): void {
    this.abort(error instanceof Fault ? error : new Fault('brokerStopped', { cause: error }));
    this.#context.onFatal(error);
  }

  async #syncWritten(): Promise<void> {
    const { writtenNext, durableNext } = this.marks;
    if (this.#stopped !== null || durableNext >= writtenNext) return;
    this.#cancelTimer();
    try {
      await this.#active.sync();
    } catch (error) {
      this.#fail(error);
    }
    if (this.#stopped !== null) return;
    this.marks.durable(writtenNext);
    this.#show();
  }

  /** Ends the active segment and begins the next. All that lies before it is durable then, which the checkpoint says. */
  async #roll(): Promise<void> {
    const { disk } = this.#context;
    const old = this.#active;
    const base = this.marks.writtenNext;
    await this.sync();
    if (this.#stopped !== null) throw this.#stopped;
    await old.writeIndex();
    const fresh = await Segment.create(disk, this.folder, base, this.#settings.indexIntervalBytes);
    try {
      await writeProducers(disk, fresh, this.#producersWritten(), base);
      await disk.syncFolder(this.folder);
    } catch (error) {
      await fresh.remove();
      throw error;
    }
    this.#segments.push(fresh);
    await this.#writeCheckpoint(this.#checkpointAt(fresh, base));
  }

  /** The producers' state without what is accepted and not written yet. */
  #producersWritten(): ReturnType<ProducerState['snapshot']> {
    for (const { undo } of this.#pending.toReversed()) undo?.();
    const snapshot = this.producers.snapshot();
    for (const pending of this.#pending) pending.undo = this.#applyProducer(pending.batch);
    return snapshot;
  }

  #checkpointAt(segment: Segment, durableNext: number): Checkpoint {
    const { logStart } = this.marks;
    const position = segment.sizeBytes;
    return { segmentBase: segment.baseOffset, position, durableNext, logStart, epochs: this.epochs.starts };
  }

  /** Replaces the checkpoint's file; one at a time, each with the log's start as it is then. */
  #writeCheckpoint(checkpoint: Checkpoint): Promise<void> {
    this.#checkpoint = checkpoint;
    const writing = this.#checkpointing.then(async () => {
      const { logStart } = this.marks;
      const current = { ...this.#checkpoint, logStart, epochs: this.epochs.starts };
      await writeCheckpoint(this.#context.disk, this.folder, current);
      this.#durableLogStart = logStart;
    });
    // Its caller is told of a failure; the next one starts all the same.
    this.#checkpointing = writing.catch(() => {});
    return writing;
  }

  async #removeBefore(logStart: number): Promise<void> {
    const keptFrom = this.#segments.findLastIndex((segment) => segment.baseOffset <= logStart);
    for (const segment of this.#segments.splice(0, keptFrom)) this.#deleting.add(segment);
    for (const segment of this.#deleting) {
      await segment.remove();
      this.#deleting.delete(segment);
    }
  }

  #cancelTimer(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
  }

  /** Asks for a sync, now or after a while, if the settings want one for what is written. */
  #considerSync(): void {
    const unsynced = this.marks.writtenNext - this.marks.durableNext;
    if (unsynced === 0 || this.#stopped !== null) return;
    const { clock, syncer } = this.#context;
    const delayMs = this.#syncDelayMs(unsynced);
    if (delayMs === 0) {
      syncer.request(this);
    } else if (this.#cancelFlush === null && delayMs < Number.MAX_SAFE_INTEGER) {
      this.#cancelFlush = clock.after(delayMs, () => {
        this.#cancelFlush = null;
        syncer.request(this);
      });
    }
  }

  #syncDelayMs(unsynced: number): number {
    const { flushMessages, flushMs } = this.#settings;
    if (unsynced < flushMessages) return flushMs;
    const awaited = this.#awaitingVisible.length > 0 || this.#watchers.size > 0 || flushMessages > 1;
    return awaited ? 0 : Math.min(UNAWAITED_SYNC_DELAY_MS, flushMs);
  }

  #show(): void {
    const { durableNext, writtenNext } = this.marks;
    if (!this.marks.show(this.#settings.flushMessages === 1 ? durableNext : writtenNext)) return;
    settle(this.#awaitingVisible, this.marks.highWatermark, 'visible');
    this.#wake();
  }

  #wake(): void {
    for (const onMove of [...this.#watchers]) onMove();
  }
}

/** Keeps those who wait in the order of their offsets: a retry waits for less than what was appended before it. */
function enqueue(waiting: Waiting[], entry: Waiting): void {
  const after = lastIndexWhere(waiting.length, (i) => waiting[i]!.nextOffset <= entry.nextOffset);
  waiting.splice(after + 1, 0, entry);
}

/** Answers those at the head that wait for no more than `next`. */
function settle(waiting: Waiting[], next: number, stage: AppendStage): void {
  let count = 0;
  while (count < waiting.length && waiting[count]!.nextOffset <= next) waiting[count++]!.group.reached(stage);
  if (count > 0) waiting.splice(0, count);
}
