import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { Semaphore } from '../base/semaphore.ts';
import { AppendGroup, type AppendStage } from './append-group.ts';
import { Filing } from './filing.ts';
import type { Journal } from './journal.ts';
import { entryBytes, type JournalEntry, ROUND_HEADER_BYTES } from './journal-round.ts';
import type { PartitionLog } from './partition-log.ts';
import { WriteAhead } from './write-ahead.ts';

/** Logs synced in place at the same time. Each takes one of libuv's threads while it waits for the disk. */
const SYNCS_AT_ONCE_MAX = 4;

/** Enough for every thread to have one waiting. */
const WRITES_AT_ONCE_MAX = 16;

/** Bytes of one round, but for a group's: what is left waits for the next. */
const ROUND_BYTES_MAX = 4 * 1024 * 1024;

/** Logs of a round whose appenders are answered together: those of the first need not wait until all the others are told. */
const ANSWERED_AT_ONCE = 64;

/** Bytes synced in place after which the journal's proofs tell of it … */
const PROVE_EVERY_BYTES = 256 * 1024 * 1024;
/**
 * … and after which time, where it is less: until then a start after a crash takes rot in it for a torn tail. So long for each
 * thousand logs, since the proofs of all are written each time.
 */
const PROVE_AFTER_MS = 1000;

export interface Append {
  readonly log: PartitionLog;
  /** One whole record batch, checked. It is copied before this returns. */
  readonly batch: Buffer;
}

export interface Appended {
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** The batch is a retry of one that is stored already, at these offsets. */
  readonly duplicate: boolean;
}

/**
 * Makes what all partitions append durable. One for the whole broker, so that what arrives while the disk is busy shares
 * the next round: one write of the journal for all of them. Without a journal, where it has no room, and for logs that wrote
 * much, each segment file is synced in place. Nothing outside this class and recovery knows which of the two it was.
 */
export class Syncer {
  /**
   * Writes of segment files that run at once. All of a thousand logs' would stand before the round that makes the first of
   * them durable, since the operating system is asked in the order of the calls.
   */
  readonly writes = new Semaphore(WRITES_AT_ONCE_MAX);
  #journal: Journal | null = null;
  /** Null without a journal: what is durable is in the segment files then. */
  filing: Filing | null = null;
  /** For the next round; true for those that have left their turn to write to it. */
  #waiting = new Map<PartitionLog, boolean>();
  readonly #groups: WriteAhead[] = [];
  readonly #inPlace = new Set<PartitionLog>();
  readonly #inPlaceRunning = new Set<PartitionLog>();
  #rounds: Promise<void> | null = null;
  /** The one under way. */
  #round: Promise<void> | null = null;
  #unprovenBytes = 0;
  #isProofTimed = false;

  /** From now on rounds are written to the journal. A broker whose records need not survive has none. */
  useJournal(journal: Journal): void {
    this.#journal = journal;
    this.filing = new Filing(journal.clock);
  }

  get hasJournal(): boolean {
    return this.#journal !== null;
  }

  /**
   * Appends a group. Offsets are given at once, in the order of the calls; `settled` resolves when every part has come as
   * far as `until` says. A group with a part that is refused is refused whole, and leaves no trace. One of several parts is
   * in all its logs after a crash, or in none.
   * @throws Fault invalidProducerEpoch, outOfOrderSequence, batchTooLarge, brokerStopped
   */
  append(group: readonly Append[], until: AppendStage): { parts: Appended[]; settled: Promise<void> } {
    if (group.length === 1) return appendOne(group[0]!, until);
    const stored = group.map(({ log, batch }) => log.check(batch));
    const ahead = this.#writeAhead(group.filter((_, i) => stored[i] === null));
    const ticket = new AppendGroup(group.length, until);
    const parts = group.map(({ log, batch }, i) => log.accept(batch, stored[i] ?? null, ticket, ahead));
    return { parts, settled: ticket.settled };
  }

  /** Null for what one log writes alone, which needs no more than its own file to be whole or not there. */
  #writeAhead(group: readonly Append[]): WriteAhead | null {
    if (group.length < 2 || this.#journal === null) return null;
    const bytes = group.reduce(
      (sum, { log, batch }) => sum + entryBytes({ folder: log.folderUtf8, bytes: batch.length }),
      0,
    );
    if (bytes + ROUND_HEADER_BYTES > this.#journal.roundBytesMax) {
      throw new Fault('batchTooLarge', { detail: `a group of ${group.length} batches has ${bytes} bytes` });
    }
    // A log that holds its part back does not come to a second one.
    invariant(new Set(group.map(({ log }) => log)).size === group.length, 'a group has two batches for one log');
    const parts = group.map(({ log, batch }) => ({ log, batchBytes: batch.length }));
    return new WriteAhead(parts, (ready) => {
      this.#groups.push(ready);
      this.#startRounds();
    });
  }

  /** A log has written what must be synced. */
  request(log: PartitionLog): void {
    if (this.#journal === null || !log.canBeJournaled) this.#syncInPlace(log);
    else if (!this.#inPlace.has(log) && !this.#waiting.has(log)) {
      this.#waiting.set(log, false);
      this.#startRounds();
    }
  }

  /** Whether `bytes` of a log may go into the journal before they are in the segment's file. */
  takesRound(bytes: number): boolean {
    return !this.filing!.isFull && this.#journal!.canWrite(bytes);
  }

  /** Makes durable what a log has pending when the next round begins; its `roundEnded` is called afterwards. */
  joinRound(log: PartitionLog): void {
    this.#waiting.set(log, true);
    this.#startRounds();
    if (this.#waiting.size >= this.#journal!.earlyRoundLogs) this.#round ??= this.#nextRound();
  }

  /** A log had to refuse appends. On a full disk, what the journal can do without is room for the next. */
  refused(error: unknown): void {
    if (error instanceof Fault && error.fault === 'diskFull') this.#journal?.giveBack();
  }

  get isFilingFull(): boolean {
    return this.filing?.isFull === true;
  }

  #syncInPlace(log: PartitionLog): void {
    this.#inPlace.add(log);
    this.#startInPlace();
  }

  #startInPlace(): void {
    for (const log of this.#inPlace) {
      if (this.#inPlaceRunning.size >= SYNCS_AT_ONCE_MAX) return;
      if (this.#inPlaceRunning.has(log)) continue;
      this.#inPlace.delete(log);
      this.#inPlaceRunning.add(log);
      // `sync` never rejects: its failure ends the broker, by the log's own hand.
      void log.sync().then((bytes) => {
        this.#inPlaceRunning.delete(log);
        this.#considerProof(log, bytes);
        this.#startInPlace();
      });
    }
  }

  #considerProof(log: PartitionLog, bytes: number): void {
    if (this.#journal === null || bytes === 0) return;
    this.#journal.note(log);
    this.#unprovenBytes += bytes;
    if (this.#unprovenBytes >= PROVE_EVERY_BYTES) this.#prove();
    if (this.#unprovenBytes === 0 || this.#isProofTimed) return;
    this.#isProofTimed = true;
    this.#journal.clock.after(PROVE_AFTER_MS * Math.ceil(this.#journal.notedLogs / 1000), () => {
      this.#isProofTimed = false;
      if (this.#unprovenBytes > 0) this.#prove();
    });
  }

  #prove(): void {
    this.#unprovenBytes = 0;
    this.#journal!.prove();
  }

  #startRounds(): void {
    this.#rounds ??= this.#runRounds();
  }

  async #runRounds(): Promise<void> {
    // All that is asked for in the same turn shares the first one, unless that is so much that it has begun.
    await null;
    while (this.#round !== null || this.#waiting.size > 0 || this.#groups.length > 0) {
      this.#round ??= this.#nextRound();
      await this.#round;
      this.#round = null;
    }
    this.#rounds = null;
  }

  #nextRound(): Promise<void> {
    const group = this.#groups.shift();
    return group === undefined ? this.#logsRound() : this.#groupRound(group);
  }

  /** One round of what logs have for it; when the journal cannot take it, each of them is synced in place. */
  async #logsRound(): Promise<void> {
    const logs: PartitionLog[] = [];
    const joined: boolean[] = [];
    const entries: JournalEntry[] = [];
    let bytes = ROUND_HEADER_BYTES;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    waiting.forEach((hasJoined, log) => {
      if (bytes >= ROUND_BYTES_MAX) {
        this.#waiting.set(log, hasJoined);
        return;
      }
      const entry = hasJoined ? log.roundEntry() : log.entry(false);
      if (entry !== null) {
        logs.push(log);
        joined.push(hasJoined);
        entries.push(entry);
        bytes += entryBytes(entry);
      } else if (hasJoined) log.roundEnded(false);
    });
    if (logs.length === 0) return;
    const isDurable = (await this.#write(entries, logs, bytes)) === null;
    for (let i = 0; i < logs.length; i += 1) {
      if (i % ANSWERED_AT_ONCE === ANSWERED_AT_ONCE - 1) await null;
      const log = logs[i]!;
      if (isDurable) log.journaled(entries[i]!.nextOffset);
      else log.notJournaled();
      if (joined[i]) log.roundEnded(isDurable);
      else if (!isDurable) this.#syncInPlace(log);
    }
  }

  /** A round of its own for each group: it is durable whole, before any part of it is in a segment file. */
  async #groupRound(group: WriteAhead): Promise<void> {
    const journal = this.#journal!;
    const logs = group.parts.map(({ log }) => log);
    // With what precedes it in its logs it may not fit; that may be made durable otherwise.
    if (group.roundBytes > journal.roundBytesMax) await Promise.all(logs.map((log) => log.sync()));
    for (let attempt = 0; attempt < 2 && !journal.canWrite(group.roundBytes); attempt += 1) {
      journal.makeRoom(true);
      await journal.settled();
    }
    if (!group.begin()) return;
    const entries = logs.map((log) => log.entry(true)!);
    const refusal = await this.#write(entries, logs, roundBytes(entries));
    for (const [i, log] of logs.entries()) {
      if (refusal === null) log.journaled(entries[i]!.nextOffset);
      else log.notJournaled();
    }
    group.end(refusal);
  }

  /**
   * Null when it is durable; diskFull when the journal has no room: then it is not stored. A failure of any other kind ends the
   * broker, and nothing is said of what was to be stored but that.
   */
  async #write(entries: readonly JournalEntry[], logs: readonly PartitionLog[], bytes: number): Promise<Fault | null> {
    const journal = this.#journal!;
    const noRoom = (): Fault => new Fault('diskFull', { detail: 'the journal has no room' });
    if (!journal.canWrite(bytes)) {
      journal.makeRoom();
      return noRoom();
    }
    try {
      return (await journal.write(entries, logs, bytes)) ? null : noRoom();
    } catch (cause) {
      for (const log of logs) log.fail(cause);
      return new Fault('brokerStopped', { cause });
    }
  }
}

function appendOne({ log, batch }: Append, until: AppendStage): { parts: Appended[]; settled: Promise<void> } {
  const stored = log.check(batch);
  const ticket = new AppendGroup(1, until);
  return { parts: [log.accept(batch, stored, ticket, null)], settled: ticket.settled };
}

function roundBytes(entries: readonly JournalEntry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), ROUND_HEADER_BYTES);
}
