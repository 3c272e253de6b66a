import { Fault, isFault } from '../base/faults.ts';
import { baseOffset, lastOffset, lastOffsetDelta, leaderEpoch, producerId, stamp } from '../record/batch.ts';
import { type Codecs, threadedCodecs } from '../record/compression.ts';
import { AppendGroup } from './append-group.ts';
import { Audience } from './audience.ts';
import { type Checkpoint, CheckpointKeeper } from './checkpoint.ts';
import { CompactedSegments } from './compacted-segments.ts';
import type { JournalEntry } from './journal-round.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogContext } from './log-context.ts';
import { LogFiling } from './log-filing.ts';
import { LogReader } from './log-reader.ts';
import type { LogSettings } from './log-settings.ts';
import { Marks } from './marks.ts';
import { mustRoll, nextSegment } from './next-segment.ts';
import { type PendingBatch, PendingBatches } from './pending-batches.ts';
import type { ProducerState, StoredBatch, Undo } from './producer-state.ts';
import { proveAll, type RecoveredLog, recoverLog } from './recovery.ts';
import { RefusedWrites } from './refused-writes.ts';
import type { Segment } from './segment.ts';
import { SegmentRemoval } from './segment-removal.ts';
import type { Appended } from './syncer.ts';
import { CachedTail } from './tail-cache.ts';
import { JOURNAL_ENTRY_BYTES_MAX, UnsyncedBatches } from './unsynced-batches.ts';
import type { WriteAhead } from './write-ahead.ts';
import { WriteTurn } from './write-turn.ts';

/** Bytes given to one write: enough to make calls rare, little enough that a failed one loses little. */
const WRITE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * One partition on disk. Appends go: accept (offset given, copy in the tail cache) → the journal's next round → the high
 * watermark moves, which answers appenders and wakes readers → the segment's file, in the background. What nobody waits to be
 * durable, and bulk, goes to the file first, by the write loop, which also does what has to be done before any of it.
 */
export class PartitionLog {
  readonly folder: string;
  readonly folderUtf8: Buffer;
  readonly marks: Marks;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerState;
  readonly reader: LogReader;
  readonly codecs: Codecs;
  readonly compacted: CompactedSegments;
  readonly #context: LogContext;
  readonly #brokerEpoch: number;
  readonly #segments: Segment[];
  readonly #removal: SegmentRemoval;
  readonly #tail: CachedTail;
  readonly #audience: Audience;
  #settings: LogSettings;
  readonly #pending = new PendingBatches();
  /** Taken from the pending ones for a round of the journal: not in the segment before that is durable. */
  #held: PendingBatch[] = [];
  readonly #unsynced = new UnsyncedBatches();
  readonly #filing: LogFiling;
  readonly #refusedWrites: RefusedWrites;
  /** Where in the active segment the last record before writtenNext ends. */
  #writtenPosition: number;
  /** Of the write loop, of a round of the journal for what is pending, or of `roll`. */
  readonly #turn = new WriteTurn();
  /** What is pending makes way for `roll`: under load it would not come to its end. */
  #isRollWaiting = false;
  #syncing = Promise.resolve(0);
  readonly #checkpoint: CheckpointKeeper;
  #closing: Promise<void> | null = null;
  #stopped: Fault | null = null;

  private constructor(folder: string, context: LogContext, settings: LogSettings, epoch: number, log: RecoveredLog) {
    this.folder = folder;
    this.folderUtf8 = Buffer.from(folder);
    this.#context = context;
    this.#settings = settings;
    this.#brokerEpoch = epoch;
    this.#segments = log.segments;
    this.#removal = new SegmentRemoval(log.segments);
    this.marks = new Marks(log.logStart, log.endNext);
    this.epochs = log.epochs;
    this.epochs.cutStart(log.logStart);
    this.producers = log.producers;
    this.#refusedWrites = new RefusedWrites(context, folder);
    this.#filing = new LogFiling(this, context);
    this.#tail = new CachedTail(context.cache);
    this.#audience = new Audience(this.marks, settings, context.clock, () => context.syncer.request(this));
    this.codecs = context.codecs ?? threadedCodecs;
    this.reader = new LogReader(log, this.#tail, this.marks, context, () => this.#settings.rot);
    this.#writtenPosition = this.activeSegment.sizeBytes;
    this.#checkpoint = new CheckpointKeeper(
      context,
      folder,
      log,
      { segmentBase: this.activeSegment.baseOffset, position: this.#writtenPosition, durableNext: log.endNext },
      () => ({ logStart: this.marks.logStart, epochs: this.epochs.starts }),
    );
    this.compacted = new CompactedSegments(context.disk, folder, this.#removal, this.#checkpoint, this.#tail);
  }

  /** Opens a partition's folder, or makes a new one. @throws Fault as recoverLog does */
  static async open(folder: string, context: LogContext, settings: LogSettings, epoch: number): Promise<PartitionLog> {
    const recovered = await recoverLog(context, folder, settings);
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

  /** The place up to which the segment files are synced. */
  get checkpoint(): Checkpoint {
    return this.#checkpoint.value;
  }

  /** Whether the journal's next round can make it durable: all that is not is at hand. */
  get canBeJournaled(): boolean {
    return this.#usesJournal && this.#unsynced.isWhole;
  }

  /** Bytes that are written, not durable, and at hand for the journal. */
  get unsyncedBytes(): number {
    return this.#unsynced.bytes;
  }

  get #usesJournal(): boolean {
    return this.#context.syncer.hasJournal && this.#settings.flushMessages === 1;
  }

  get activeSegment(): Segment {
    return this.#segments.at(-1)!;
  }

  /** Judges a batch before it is accepted: see ProducerState.check. @throws Fault */
  check(batch: Buffer): StoredBatch | null {
    if (this.#stopped !== null) throw this.#stopped;
    if (this.#closing !== null) throw new Fault('brokerStopped');
    return this.producers.check(batch);
  }

  /** Gives a checked batch its offsets and queues it for the file. For the syncer alone: others call Syncer.append. */
  accept(batch: Buffer, stored: StoredBatch | null, group: AppendGroup, ahead: WriteAhead | null): Appended {
    if (stored !== null) {
      this.#audience.add(stored.lastOffset + 1, group);
      return { baseOffset: stored.baseOffset, nextOffset: stored.lastOffset + 1, duplicate: true };
    }
    const baseOffset = this.marks.acceptedNext;
    const nextOffset = baseOffset + lastOffsetDelta(batch, 0) + 1;
    const { bytes: copy, page } = this.#tail.add(batch, baseOffset, nextOffset);
    stamp(copy, 0, baseOffset, this.leaderEpoch);
    this.marks.accept(nextOffset);
    this.#pending.push({ batch: copy, page, nextOffset, undo: this.#applyProducer(copy), ahead });
    this.#audience.add(nextOffset, group);
    this.#proceed();
    return { baseOffset, nextOffset, duplicate: false };
  }

  /** Resolves when all before `nextOffset` is visible to readers. */
  visible(nextOffset: number): Promise<void> {
    const group = new AppendGroup(1, 'visible');
    this.#audience.add(nextOffset, group);
    return group.settled;
  }

  /** Calls back after each move of the high watermark, and when the log stops; returns what ends that. */
  watch(onMove: () => void): () => void {
    return this.#audience.watch(onMove);
  }

  /**
   * Syncs the segment file; returns how many bytes that was: 0 also when a full disk keeps them from being in it. Never rejects: a
   * failed sync is fatal to the broker. One runs at a time: of two at once the operating system may tell only one of a loss.
   */
  sync(): Promise<number> {
    return (this.#syncing = this.#syncing.then(() => this.#syncWritten()));
  }

  /** For the journal, which needs what it holds up to `nextOffset` no more then. @throws Fault diskFull */
  async syncInPlace(nextOffset: number): Promise<void> {
    if (this.#checkpoint.value.durableNext < nextOffset) await this.sync();
    if (this.#filing.isRefused) throw this.#filing.refusal;
  }

  /**
   * For the journal's next round: what is written and not durable, and behind it, when `withPending`, what is to be durable
   * before it is in the file. Null when there is nothing, or not all of it is at hand.
   */
  entry(withPending: boolean): JournalEntry | null {
    if (this.#stopped !== null || !this.#unsynced.isWhole) return null;
    if (withPending) this.#held = this.#takeRun(JOURNAL_ENTRY_BYTES_MAX - this.#unsynced.bytes);
    if (this.#unsynced.bytes === 0 && this.#held.length === 0) return null;
    return this.#unsynced.entry(this, this.#writtenPosition, this.#held);
  }

  /** For the journal's next round, which this log has joined; null when it is to write to its file instead. */
  roundEntry(): JournalEntry | null {
    return this.#goesToJournal ? this.entry(true) : null;
  }

  /** The round that this log has joined has ended. */
  roundEnded(isDurable: boolean): void {
    if (isDurable) this.#endTurn();
    else void this.#writeLoop(true);
  }

  /** The round of the journal that was to hold the last entry has not come about. */
  notJournaled(): void {
    this.#pending.putBack(this.#held);
    this.#held = [];
  }

  /** All before `nextOffset` is durable in the journal, with what was held back for that. */
  journaled(nextOffset: number): void {
    if (this.#stopped !== null) return;
    const run = this.#held;
    this.#held = [];
    if (run.length > 0) {
      this.activeSegment.append(run);
      this.#advance(run);
      this.#filing.note();
    }
    this.#durable(nextOffset);
  }

  /** Takes over changed settings; what is written already feels them too. */
  changeSettings(settings: LogSettings): void {
    this.#settings = settings;
    this.#audience.changeSettings(settings);
  }

  /** Moves the log's start forward, durably, and removes the segments wholly before it. It may be called again if it fails. */
  async trim(logStart: number): Promise<void> {
    if (this.#stopped !== null) throw this.#stopped;
    if (this.#checkpoint.durableLogStart < logStart) {
      try {
        await this.#checkpoint.write(logStart);
      } catch (error) {
        if (!isFault(error, 'diskFull') || this.#settings.mustBeWhole === true) throw error;
        // Deleting is what makes room on a full disk. Until the checkpoint says so, the oldest file's name says where the log starts.
        const removing = this.#removal.before(logStart, () => this.#context.disk.syncFolder(this.folder));
        // Also where the disk refuses that: the segments are out of the log.
        await removing.finally(() => this.#startAt(this.#segments[0]!.baseOffset));
        await this.#checkpoint.write(logStart);
      }
    }
    // Only now: whoever is told where the log starts must not find it earlier after a power cut.
    this.#startAt(logStart);
    // Also when the start does not move: the active segment may have been all deleted records, and be it no more.
    await this.#removal.before(this.#checkpoint.durableLogStart);
    await this.reader.quarantine.trim(this.marks.logStart);
  }

  #startAt(logStart: number): void {
    if (logStart <= this.marks.logStart) return;
    this.marks.trim(logStart);
    this.epochs.cutStart(logStart);
  }

  /** Ends the active segment, unless another is active by now or it is empty. @throws Fault */
  async roll(active: Segment): Promise<void> {
    for (; this.#turn.isTaken; await this.#turn.released()) this.#isRollWaiting = true;
    this.#isRollWaiting = false;
    const isDue =
      active === this.activeSegment && active.sizeBytes > 0 && this.#closing === null && this.#stopped === null;
    this.#turn.take();
    try {
      if (isDue) await this.#roll();
    } finally {
      this.#endTurn();
    }
    if (this.#stopped !== null) throw this.#stopped;
  }

  /** Gives back what is held only to be fast: handles and indexes of older segments, producers silent since `seenMs`. */
  async rest(producersSeenMs: number): Promise<void> {
    this.producers.expire(producersSeenMs);
    for (const segment of this.#segments.slice(0, -1)) await segment.rest();
  }

  /** Ends at once: nothing more is written, everyone who waits is refused. After a fatal failure, or before deletion. */
  abort(fault: Fault): void {
    this.#end(fault);
    this.#filing.done();
  }

  #end(fault: Fault): void {
    this.#stopped ??= fault;
    for (const { ahead } of this.#pending.takeAll()) ahead?.refuse(fault);
    this.#held = [];
    this.#unsynced.drop();
    this.#filing.note();
    this.#audience.stop(fault);
  }

  /** Writes and syncs what was accepted, refusing more, and leaves files that no start need look into. Callable twice. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    while (this.#turn.isTaken || this.#pending.first !== undefined) await this.#turn.released();
    await this.sync();
    const clean = this.#stopped === null;
    this.#end(new Fault('brokerStopped'));
    await Promise.all([this.compacted.stop(), this.reader.quarantine.stop()]);
    try {
      // What the journal alone has, the next start takes from there.
      if (clean && this.#filing.isRefused) throw this.#filing.refusal;
      const { logStart, writtenNext: endNext } = this.marks;
      const { segments, epochs, producers } = this;
      if (clean) await proveAll(this.#context.disk, this.folder, { segments, logStart, endNext, epochs, producers });
    } finally {
      for (const segment of this.#segments) await segment.close();
    }
  }

  #applyProducer(batch: Buffer): Undo | null {
    if (producerId(batch, 0) < 0) return null;
    return this.producers.apply(batch, baseOffset(batch, 0), lastOffset(batch, 0), this.#context.clock.monotonicMs());
  }

  /** Brings what is pending on its way, unless it is. Nothing is awaited when the journal can take it as it is. */
  #proceed(): void {
    const next = this.#pending.first;
    if (next === undefined || this.#turn.isTaken || this.#isRollWaiting) return;
    this.#turn.take();
    const mayJoin =
      next.ahead === null &&
      this.activeSegment.isReady &&
      !mustRoll(next, this.activeSegment, this.#settings) &&
      this.#goesToJournal;
    if (mayJoin) this.#context.syncer.joinRound(this);
    else void this.#writeLoop(false);
  }

  #endTurn(): void {
    this.#turn.release();
    this.#proceed();
  }

  async #writeLoop(isRefused: boolean): Promise<void> {
    // A pause to gather what arrives in the same turn, and so that nothing is thrown into `accept`.
    await null;
    try {
      if (await this.#writePending(isRefused)) return this.#context.syncer.joinRound(this);
    } catch (error) {
      this.#rollBack([], error);
    }
    this.#endTurn();
  }

  /** True when what is left is for the journal's next round. `isRefused`: the last one has not taken what is first. */
  async #writePending(isRefused: boolean): Promise<boolean> {
    let toFile = isRefused;
    for (let next = this.#pending.first; next !== undefined && !this.#isRollWaiting; next = this.#pending.first) {
      if (!this.activeSegment.isReady) await this.activeSegment.makeReady();
      else if (mustRoll(next, this.activeSegment, this.#settings)) await this.#roll();
      else if (next.ahead !== null) await this.#writeAhead(next.ahead);
      else if (!toFile && this.#goesToJournal) return true;
      else {
        await this.#write();
        toFile = false;
      }
    }
    return false;
  }

  /** Whether what is pending is to be durable before it is in the file: somebody waits for that, and it is no bulk. */
  get #goesToJournal(): boolean {
    if (!this.canBeJournaled || !this.#audience.isWaiting || this.#filing.isRefused) return false;
    const bytes = this.#unsynced.bytes + this.#pending.bytesUpTo(JOURNAL_ENTRY_BYTES_MAX);
    return bytes <= JOURNAL_ENTRY_BYTES_MAX && this.#context.syncer.takesRound(bytes);
  }

  /** The pending batches that go into the active segment together. */
  #takeRun(bytesMax: number): PendingBatch[] {
    return this.#pending.takeRun(Math.min(bytesMax, this.#settings.segmentBytes - this.activeSegment.sizeBytes));
  }

  async #write(): Promise<void> {
    const run = this.#takeRun(WRITE_BYTES_MAX);
    if (run.length === 0) return;
    const active = this.activeSegment;
    try {
      await this.#context.syncer.writes.run(() => active.write(run.map((pending) => pending.batch)));
    } catch (error) {
      const takenBack = this.#syncing.then(() => active.takeBack().catch((fatal) => this.fail(fatal)));
      await (this.#syncing = takenBack.then(() => 0));
      return this.#rollBack(run, error);
    }
    this.#filing.done();
    this.#unsynced.add(run, this.#usesJournal);
    this.#advance(run);
    this.#audience.moved();
    this.#audience.considerSync();
  }

  #advance(run: readonly PendingBatch[]): void {
    for (const { batch } of run) {
      this.epochs.begin(leaderEpoch(batch, 0), baseOffset(batch, 0));
      this.#writtenPosition += batch.length;
    }
    this.marks.written(run.at(-1)!.nextOffset);
  }

  /** Holds a part of a group back until the group is durable as a whole. */
  async #writeAhead(ahead: WriteAhead): Promise<void> {
    try {
      const mustFile = this.#filing.isRefused || this.#context.syncer.isFilingFull;
      if (mustFile && !(await this.#filing.file())) throw this.#filing.refusal;
      // What precedes it must not be durable later than it.
      if (!this.#unsynced.isWhole) await this.sync();
      if (this.#stopped !== null) throw this.#stopped;
      await ahead.ready();
    } catch (error) {
      this.#rollBack([], error);
    }
  }

  /** What could not be written, and all that was accepted after it, is taken back: its offsets are given again. */
  #rollBack(run: readonly PendingBatch[], error: unknown): void {
    const lost = [...run, ...this.#pending.takeAll()];
    for (const { undo } of lost.toReversed()) undo?.();
    for (const { ahead } of lost) ahead?.refuse(error);
    this.marks.rollBack();
    this.#tail.clear();
    this.#refusedWrites.tell(lost.length, error);
    this.#audience.refuseUnwritten(error);
    this.#context.syncer.refused(error);
    if (!(error instanceof Fault)) this.fail(error);
  }

  /** What the disk holds, or what this code does, is no longer certain: nothing more is said but that, and the broker is told. */
  fail(error: unknown): void {
    this.abort(new Fault('brokerStopped', { cause: error }));
    this.#context.onFatal(error);
  }

  async #syncWritten(): Promise<number> {
    const { writtenNext } = this.marks;
    const before = this.#checkpoint.value;
    if (this.#stopped !== null || before.durableNext >= writtenNext) return 0;
    this.#audience.syncBegins();
    const [active, position] = [this.activeSegment, this.#writtenPosition];
    const aid = this.#checkpoint.aid.prepare(active, position, writtenNext);
    try {
      if (!(await this.#filing.file()) || this.#stopped !== null) return 0;
      await active.sync();
    } catch (error) {
      this.fail(error);
    }
    if (this.#stopped !== null) return 0;
    this.#checkpoint.moveTo(active.baseOffset, position, writtenNext, aid);
    this.#durable(writtenNext);
    return position - (before.segmentBase === active.baseOffset ? before.position : 0);
  }

  #durable(next: number): void {
    this.marks.durable(next);
    this.#unsynced.durable(this.marks.durableNext);
    this.#audience.moved();
  }

  /** Ends the active segment and begins the next. All that lies before it is durable then, which the checkpoint says. */
  async #roll(): Promise<void> {
    const { disk } = this.#context;
    const base = this.marks.writtenNext;
    await this.sync();
    if (this.#stopped !== null) throw this.#stopped;
    if (this.#filing.isRefused) throw this.#filing.refusal;
    await this.#checkpoint.aid.finish(this.activeSegment);
    const { indexIntervalBytes } = this.#settings;
    const fresh = await nextSegment(disk, this.folder, base, indexIntervalBytes, () => this.#producersWritten());
    this.#segments.push(fresh);
    this.#writtenPosition = 0;
    this.#checkpoint.moveTo(fresh.baseOffset, 0, base);
    await this.#checkpoint.write();
  }

  /** The producers' state without what is accepted and not written yet. */
  #producersWritten(): ReturnType<ProducerState['snapshot']> {
    return this.#pending.without(
      () => this.producers.snapshot(),
      (batch) => this.#applyProducer(batch),
    );
  }
}
