import { encode } from 'msgpackr';
import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { decodeMessagePack } from '../base/message-pack.ts';
import { CHECKPOINT_FILE } from '../log/checkpoint.ts';
import type { LogContext } from '../log/log-context.ts';
import type { LogRead } from '../log/log-reader.ts';
import type { LogSettings } from '../log/log-settings.ts';
import { PartitionLog } from '../log/partition-log.ts';
import { batchesIn } from '../record/batch.ts';
import { buildBatch, type NewRecord } from '../record/batch-builder.ts';
import { recordsOf } from '../record/records.ts';

const SETTINGS: LogSettings = {
  segmentBytes: 1024 * 1024,
  segmentMs: Number.MAX_SAFE_INTEGER,
  indexIntervalBytes: 4096,
  flushMessages: 1,
  flushMs: Number.MAX_SAFE_INTEGER,
  rot: 'stop',
  mustBeWhole: true,
};

/** Live state is written again when the ledger is this many times larger than it was after the last time … */
const REWRITE_FACTOR = 4;
/** … but not for less than this. */
const REWRITE_BYTES_MIN = 1024 * 1024;
/** Events written again at once, so that others are not kept waiting. */
const SLICE_EVENTS = 1000;
/** … and about how many bytes of them. */
const SLICE_BYTES = 1024 * 1024;

/** The state that a ledger's events make. */
export interface Fold<Event> {
  /**
   * For an event as a start reads it, which may be anything: whether it is one, and can follow those before it.
   * @throws Fault damagedMetadata, folderTooNew
   */
  check(event: Event): void;
  /** Takes one event into the state: when it is durable, or when it is read at a start. */
  apply(event: Event): void;
  /** Events that make the live state anew. Each stands for itself, so that others may come between. */
  live(): Iterable<Event>;
}

const NO_BYTES = Buffer.alloc(0);

interface HeldAppend<Event> {
  readonly events: readonly Event[];
  readonly started: (appended: Promise<void>) => void;
}

/**
 * State kept as a log of events, each a MessagePack value in a record. An event counts once it is durable: only then is it
 * folded into the state, and only then is its caller told, so nothing is ever answered that a crash would take back.
 * A ledger is written by `change`, where what is decided hangs on all that was decided before, or by `append`, where it
 * does not; one that mixes them would decide on a state that lacks what is still on its way.
 */
export class Ledger<Event> {
  readonly #log: PartitionLog;
  readonly #context: LogContext;
  readonly #fold: Fold<Event>;
  readonly #nowMs: () => number;
  #rewriteAtBytes = REWRITE_BYTES_MIN;
  #rewriting: Promise<void> | null = null;
  #closing = false;
  /** Appends in the order of the calls: what one decides on is what those before it made. */
  #last: Promise<unknown> = Promise.resolve();
  /** Events of `append` that are written and not durable yet, oldest first. */
  readonly #underWay: (readonly Event[])[] = [];
  /** Of the last append. */
  #newest: Promise<void> = Promise.resolve();
  /** While a slice of the live state waits for those before it, later ones wait for the slice. */
  #held: HeldAppend<Event>[] | null = null;
  #onDrained: (() => void) | null = null;

  private constructor(log: PartitionLog, context: LogContext, fold: Fold<Event>, nowMs: () => number) {
    this.#log = log;
    this.#context = context;
    this.#fold = fold;
    this.#nowMs = nowMs;
  }

  /**
   * Opens the ledger in `folder` and folds all its events. `mayBeNew`: whether there may be none yet. `nowMs`: the time that
   * events are stamped with; default the wall clock's.
   * @throws Fault damagedMetadata when an event cannot be read or cannot be, or files are gone; folderTooNew
   */
  static async open<Event>(
    folder: string,
    context: LogContext,
    fold: Fold<Event>,
    { mayBeNew = true, nowMs = () => context.clock.wallMs() } = {},
  ): Promise<Ledger<Event>> {
    await checkPresence(context.disk, folder, mayBeNew);
    const log = await PartitionLog.open(folder, context, SETTINGS, 0);
    try {
      for await (const { event, offset } of storedEvents<Event>(log)) {
        checkStored(fold, event, log, offset);
        fold.apply(event);
      }
    } catch (error) {
      log.abort(new Fault('brokerStopped'));
      await log.close();
      throw error;
    }
    return new Ledger(log, context, fold, nowMs);
  }

  /**
   * Decides and appends, one caller after the other: `decide` sees the state with all earlier events in it. Resolves to what
   * it returned, when its events are durable and folded. @throws what `decide` throws; a Fault when the disk refuses
   */
  change<Result>(decide: () => { events: readonly Event[]; result: Result }): Promise<Result> {
    const turn = this.#turn(async () => {
      const { events, result } = decide();
      if (events.length > 0) await this.#append(events);
      return result;
    });
    void turn.then(
      () => this.#considerRewrite(),
      () => {},
    );
    return turn;
  }

  /**
   * Appends at once, without waiting for what is on its way: all that comes while the disk is busy shares its next sync.
   * Events are folded in the order of the calls. Resolves when these are. @throws Fault when the disk refuses: then none
   * of them is folded
   */
  append(events: readonly Event[]): Promise<void> {
    const held = this.#held;
    const appended =
      held === null
        ? this.#pipe(events)
        : new Promise<void>((resolve) => held.push({ events, started: (appended) => resolve(appended) }));
    this.#newest = appended.then(
      () => this.#considerRewrite(),
      () => {},
    );
    return appended;
  }

  /** Resolves when all that was appended so far is folded, or refused. */
  settled(): Promise<void> {
    return this.#newest;
  }

  async #pipe(events: readonly Event[]): Promise<void> {
    this.#underWay.push(events);
    try {
      await this.#write(events);
    } catch (error) {
      this.#underWay.splice(this.#underWay.indexOf(events), 1);
      this.#tellDrained();
      throw error;
    }
    invariant(this.#underWay.shift() === events, 'events became durable out of their order');
    for (const event of events) this.#fold.apply(event);
    this.#tellDrained();
  }

  #tellDrained(): void {
    if (this.#underWay.length === 0) this.#onDrained?.();
  }

  /** When the youngest event was made, as it was stamped; null when there is none. */
  async newestMs(): Promise<number | null> {
    const times = await Promise.all(this.#log.segments.map((segment) => segment.index.maxTimestampMs()));
    const newestMs = Math.max(...times);
    return newestMs < 0 ? null : newestMs;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#rewriting;
    await this.#last;
    await this.#drain();
    this.#release();
    await this.#log.close();
  }

  abort(fault: Fault): void {
    this.#log.abort(fault);
  }

  #turn<Result>(action: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(action);
    // A failure is its caller's alone.
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #append(events: readonly Event[]): Promise<void> {
    await this.#write(events);
    for (const event of events) this.#fold.apply(event);
  }

  #write(events: readonly Event[]): Promise<void> {
    return this.#writeValues(events.map((event) => encode(event)));
  }

  async #writeValues(values: readonly Buffer[]): Promise<void> {
    const timestampMs = this.#nowMs();
    const records: NewRecord[] = values.map((value) => ({ timestampMs, key: null, value, headers: [] }));
    await this.#context.syncer.append([{ log: this.#log, batch: buildBatch(records) }], 'visible').settled;
  }

  /** Waits until nothing is under way; what is appended meanwhile is held. */
  async #drain(): Promise<void> {
    this.#held ??= [];
    if (this.#underWay.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.#onDrained = null;
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { events, started } of held) started(this.#pipe(events));
  }

  #considerRewrite(): void {
    if (this.#closing || this.#rewriting !== null || this.#log.sizeBytes < this.#rewriteAtBytes) return;
    this.#rewriting = this.#rewrite()
      .catch((err) => this.#context.logger.warn({ err, folder: this.#log.folder }, 'a ledger could not be shortened'))
      .finally(() => {
        this.#rewriting = null;
      });
  }

  /**
   * Writes the live state again, slice by slice between the changes of others, then drops what lies before it. A crash
   * in between leaves both, which fold to the same state.
   */
  async #rewrite(): Promise<void> {
    let startOffset = -1;
    const live = this.#fold.live()[Symbol.iterator]();
    let bytes = 0;
    for (let done = false; !done; ) {
      // What is written by then is folded with what it repeats; the next start's rewrite drops both.
      if (this.#closing) return;
      await this.#turn(async () => {
        // The state lacks what is under way, which lies before the slice: folded again, the slice would undo it.
        await this.#drain();
        // Not before: the disk may have refused what was under way, and given its offsets to the slice.
        if (startOffset < 0) startOffset = this.#log.marks.acceptedNext;
        const before = this.#log.sizeBytes;
        let written: Promise<void> | null = null;
        try {
          const slice = nextSlice(live);
          done = slice.last;
          if (slice.values.length > 0) written = this.#writeValues(slice.values);
        } finally {
          // The slice has its place in the log: what was held comes after it.
          this.#release();
        }
        await written;
        bytes += this.#log.sizeBytes - before;
      });
    }
    await this.#log.trim(startOffset);
    this.#rewriteAtBytes = Math.max(REWRITE_BYTES_MIN, bytes * REWRITE_FACTOR);
  }
}

/** The next events, encoded: as many as are written again at once. */
function nextSlice<Event>(live: Iterator<Event>): { values: Buffer[]; last: boolean } {
  const values: Buffer[] = [];
  for (let bytes = 0; values.length < SLICE_EVENTS && bytes < SLICE_BYTES; ) {
    const next = live.next();
    if (next.done === true) return { values, last: true };
    const value = encode(next.value);
    values.push(value);
    bytes += value.length;
  }
  return { values, last: false };
}

/** A log whose files are gone would begin anew, as if nothing had ever been decided. @throws Fault damagedMetadata */
export async function checkPresence(disk: LogContext['disk'], folder: string, mayBeNew: boolean): Promise<void> {
  const names = await disk.list(folder);
  // The checkpoint is written after the first segment.
  if (names.some((name) => name.endsWith('.log')) || (mayBeNew && !names.includes(CHECKPOINT_FILE))) return;
  throw new Fault('damagedMetadata', { detail: `the files of ${folder} are gone; put them back from a backup` });
}

/** @throws Fault damagedMetadata, folderTooNew */
function checkStored<Event>(fold: Fold<Event>, event: Event, log: PartitionLog, offset: number): void {
  try {
    fold.check(event);
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    throw new Fault(cause.fault, { detail: `${placeOf(log, offset)}: ${cause.detail}`, cause });
  }
}

/** The events of a ledger's log, oldest first. */
async function* storedEvents<Event>(log: PartitionLog): AsyncGenerator<{ event: Event; offset: number }> {
  const { logStart, highWatermark } = log.marks;
  for (let offset = logStart; offset < highWatermark; ) {
    const read = await readSound(log, offset);
    if (read.bytes === 0) return;
    for (const buffer of read.buffers) {
      for (const at of batchesIn(buffer)) {
        for (const record of recordsOf(buffer, at)) {
          const { offset, value } = record;
          if (offset >= logStart) yield { event: decodeEvent<Event>(log, offset, value), offset };
        }
      }
    }
    offset = read.nextOffset;
  }
}

/** @throws Fault damagedMetadata: state made without the events that are damaged would be another one */
async function readSound(log: PartitionLog, offset: number): Promise<LogRead> {
  const limits = { endNext: log.marks.highWatermark, bytesMax: 1024 * 1024, atLeastOne: true };
  try {
    return await log.reader.read(offset, limits);
  } catch (cause) {
    if (!(cause instanceof Fault) || cause.fault !== 'corruptBatch') throw cause;
    throw new Fault('damagedMetadata', {
      detail: `${cause.detail ?? cause.message}; put the folder back from a backup`,
      cause,
    });
  }
}

function decodeEvent<Event>(log: PartitionLog, offset: number, value: Buffer | null): Event {
  let cause: unknown;
  try {
    const event = decodeMessagePack(value ?? NO_BYTES);
    if (typeof event === 'object' && event !== null) return event as Event;
  } catch (error) {
    cause = error;
  }
  throw new Fault('damagedMetadata', { detail: placeOf(log, offset), cause });
}

function placeOf({ folder }: PartitionLog, offset: number): string {
  return `${folder}, event ${offset}`;
}
