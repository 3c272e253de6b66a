import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type Checksum, loadChecksum } from './checksum.ts';
import { markJournal, unmarkJournal } from './journal-mark.ts';
import { writeProofs } from './journal-proofs.ts';
import { JOURNAL_FOLDER, type JournalReplay, type Proofs } from './journal-replay.ts';
import { makeReserve } from './journal-reserve.ts';
import {
  encodeRound,
  JOURNAL_BLOCK_BYTES,
  type JournalEntry,
  padded,
  sealRound,
  UNUSED_GENERATION,
} from './journal-round.ts';

/** Zeros written at once while a file is made, so that others get their turn at the disk. */
const ALLOCATE_BYTES = 1024 * 1024;
/** Syncs that a broker does in place before it makes its first file: those that write little need none. */
const SYNCS_BEFORE_FIRST_FILE = 16;
/** How long to wait before another attempt at what a full disk has refused. */
const RETRY_DELAY_MS = 10_000;

export interface JournalSizes {
  /** The first file is small, since most brokers never fill it; those that are needed on top are large. */
  readonly firstFileBytes: number;
  readonly fileBytes: number;
  /** Files at most; when all are in use, appends are synced in place until one is free. */
  readonly filesMax: number;
  /**
   * So many logs are a round that is not to wait until who appends to them is done: while the disk is at it, what comes behind is
   * accepted. Fewer do wait, since all that comes in one go is to share a write.
   */
  readonly earlyRoundLogs: number;
  /** Of the file that makes room for a start on a full disk; default: there is none. */
  readonly reserveBytes?: number;
}

export const JOURNAL_SIZES: JournalSizes = {
  firstFileBytes: 8 * 1024 * 1024,
  fileBytes: 64 * 1024 * 1024,
  filesMax: 4,
  earlyRoundLogs: 512,
  // What may wait in the journal for its segment files, and some for checkpoints.
  reserveBytes: 20 * 1024 * 1024,
};

export interface JournalContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/** A log that the journal has bytes of. */
export interface JournaledLog {
  readonly folder: string;
  /** Why it has ended. */
  readonly stopped: Fault | null;
  /** The place up to which its segment files are synced. */
  readonly checkpoint: Checkpoint;
  /**
   * Makes the segment files durable up to `nextOffset` at least, unless the log is deleted. A failure ends the broker, but
   * for that of a full disk. @throws Fault diskFull, also when the log was closed so
   */
  syncInPlace(nextOffset: number): Promise<void>;
}

interface JournalFile {
  readonly name: string;
  readonly sizeBytes: number;
}

/** A file in use: what lies in it stays until every log's part of it is synced in the segment files. */
interface Used {
  readonly file: JournalFile;
  readonly generation: number;
  /** The number of its first round. */
  readonly firstNumber: number;
  readonly logs: Map<JournaledLog, number>;
}

interface Active extends Used {
  readonly handle: DiskFile;
  position: number;
}

/**
 * The files that one write at a time makes rounds of appends durable in. A file is made in the background, used from its
 * start to its end, and used again when all that lies in it is synced elsewhere, under a new generation.
 */
export class Journal {
  readonly #disk: Disk;
  readonly clock: Clock;
  readonly #logger: Logger;
  readonly #sizes: JournalSizes;
  readonly #onFatal: (error: unknown) => void;
  #checksum: Checksum | null = null;
  /** What an earlier process left and is not taken over yet; null before the start. */
  #left: JournalFile[] | null = null;
  #keepTorn = async (): Promise<void> => {};
  #free: JournalFile[] = [];
  #active: Active | null = null;
  /** Full, oldest first. */
  readonly #full: Used[] = [];
  #fileCount = 0;
  #nameNext = 1;
  #generation: number;
  #lastNumber: number;
  #round = Buffer.alloc(0);
  /** False until what an earlier process left is taken over, and from the end on. */
  #usable = false;
  #closed = false;
  /** Whether rounds were written, or found, that `proofs` does not say are released. */
  #dirty: boolean;
  /** Whether there is a sign outside of the folder that there is a journal. */
  #isMarked = false;
  #making: Promise<void> | null = null;
  #writing: Promise<unknown> = Promise.resolve();
  #releasing: Promise<void> = Promise.resolve();
  #releasingFull = false;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  /** Logs whose place has moved past their own checkpoint's file. */
  readonly #proven = new Set<JournaledLog>();

  constructor(context: JournalContext, replay: JournalReplay, sizes = JOURNAL_SIZES) {
    this.#disk = context.disk;
    this.clock = context.clock;
    this.#logger = context.logger;
    this.#onFatal = context.onFatal;
    this.#sizes = sizes;
    const { generation, lastNumber, holdsRounds } = replay.found;
    this.#generation = generation;
    this.#lastNumber = lastNumber;
    this.#dirty = holdsRounds;
  }

  /**
   * Takes over the files that were found, once every log has recovered: what lies in them is of no more use. In the
   * background; until it is done, appends are synced in place.
   */
  start(replay: JournalReplay): void {
    replay.forget();
    this.#keepTorn = () => replay.keepTorn();
    this.#left = [...replay.found.files];
    this.#make();
  }

  /** After a failure it may be called again, and goes on with what is left. */
  async #takeOver(left: JournalFile[]): Promise<void> {
    await this.#keepTorn();
    for (const { name } of left) {
      this.#nameNext = Math.max(this.#nameNext, Number(name) + 1);
      await this.#syncFound(`${JOURNAL_FOLDER}/${name}`);
    }
    if (left.length > 0) await this.#disk.syncFolder(JOURNAL_FOLDER);
    if (this.#dirty) await this.#writeProofs(this.#generation + 1);
    for (let file = left[0]; file !== undefined; file = left[0]) {
      const { name, sizeBytes } = file;
      const { firstFileBytes, fileBytes, filesMax } = this.#sizes;
      // One of another size was not finished when the process ended, or made by other rules.
      if ((sizeBytes === firstFileBytes || sizeBytes === fileBytes) && this.#fileCount < filesMax) {
        this.#free.push(file);
        this.#fileCount += 1;
      } else await this.#disk.remove(`${JOURNAL_FOLDER}/${name}`);
      left.shift();
    }
    this.#checksum ??= await loadChecksum();
    this.#usable = !this.#closed;
    if (this.#fileCount > 0) this.#inBackground(() => this.makeReserve());
  }

  /** @throws Fault diskFull */
  makeReserve(): Promise<void> {
    return makeReserve(this.#disk, this.#sizes.reserveBytes ?? 0, () => !this.#closed);
  }

  /** A process that was killed may have left files that are in the page cache alone. */
  async #syncFound(path: string): Promise<void> {
    const file = await this.#disk.open(path, 'write');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** The largest round that may ever be written. */
  get roundBytesMax(): number {
    return this.#sizes.fileBytes;
  }

  get earlyRoundLogs(): number {
    return this.#sizes.earlyRoundLogs;
  }

  /** Whether a round of `bytes` can be written now. */
  canWrite(bytes: number): boolean {
    if (!this.#usable) return false;
    const roundBytes = padded(bytes);
    if (this.#activeWith(roundBytes) !== null) return true;
    return this.#free.some(({ sizeBytes }) => sizeBytes >= roundBytes);
  }

  /** For a round that cannot be written: begins to make a file, or to free one. Not at once for one that is not `urgent`. */
  makeRoom(urgent = false): void {
    if (this.#closed || this.#left === null) return;
    if (this.#usable && this.#fileCount === 0 && !urgent && this.#asked++ < SYNCS_BEFORE_FIRST_FILE) return;
    if (!urgent && this.clock.monotonicMs() < this.#retryAtMs) return;
    this.#make();
    this.#release();
  }

  /**
   * The disk is full for others: gives the free files beyond the first back. They are made again when they are needed and
   * nothing was refused for a while.
   */
  giveBack(): void {
    if (!this.#usable) return;
    this.#retryAtMs = this.clock.monotonicMs() + RETRY_DELAY_MS;
    const given = this.#free.filter(({ sizeBytes }) => sizeBytes > this.#sizes.firstFileBytes);
    this.#free = this.#free.filter((file) => !given.includes(file));
    this.#fileCount -= given.length;
    // One that stays, or that a crash brings back, is taken over by the next start.
    for (const { name } of given) this.#inBackground(() => this.#disk.remove(`${JOURNAL_FOLDER}/${name}`));
  }

  /** Resolves when what `makeRoom` started is done, whatever became of it. */
  async settled(): Promise<void> {
    await this.#making;
    await this.#releasing;
  }

  /**
   * Makes one round of `bytes` durable; one at a time. False when the disk refused it: none of it is stored, nor will be after a crash.
   * @throws what is fatal to the broker: the round may be stored or not
   */
  write(entries: readonly JournalEntry[], logs: readonly JournaledLog[], bytes: number): Promise<boolean> {
    const writing = this.#write(entries, logs, bytes);
    // Its caller is told of a failure.
    this.#writing = writing.catch(() => {});
    return writing;
  }

  async #write(entries: readonly JournalEntry[], logs: readonly JournaledLog[], bytes: number): Promise<boolean> {
    const roundBytes = padded(bytes);
    if (this.#round.length < roundBytes) this.#round = Buffer.allocUnsafeSlow(roundBytes * 2);
    // At once: a log that is synced in place while a file is opened lets go of its batches, and their memory is used again.
    encodeRound(this.#round, entries);
    let active: Active;
    try {
      // Without waiting where there is no need: the disk is to have the round while others are still being accepted.
      active = this.#activeWith(roundBytes) ?? (await this.#nextActive(roundBytes));
    } catch (error) {
      this.#giveUp(error);
      return false;
    }
    const number = this.#lastNumber + 1;
    sealRound(this.#round, this.#checksum!, active.generation, number);
    this.#dirty = true;
    try {
      const writing = active.handle.write([this.#round.subarray(0, roundBytes)], active.position);
      // While the disk is at it. One that is not stored in the end is asked for a sync too many.
      for (let i = 0; i < logs.length; i += 1) active.logs.set(logs[i]!, entries[i]!.nextOffset);
      await writing;
    } catch (error) {
      if (!(error instanceof Fault) || error.fault !== 'diskFull') throw error;
      // The round may be whole on the disk all the same. Nothing may follow before it is certain that it is not.
      await active.handle.write([Buffer.alloc(JOURNAL_BLOCK_BYTES)], active.position);
      return false;
    }
    this.#lastNumber = number;
    active.position += roundBytes;
    // One is ready before it is needed, and none is made for a broker that does not come so far.
    if (this.#free.length === 0 && active.position > active.file.sizeBytes / 2) this.#makeUnlessRefused();
    return true;
  }

  /** Notes that segment files were synced further than their log's checkpoint says, so that the next proofs tell of it. */
  note(log: JournaledLog): void {
    this.#proven.add(log);
  }

  /** How many logs the proofs tell of. */
  get notedLogs(): number {
    return this.#proven.size;
  }

  /** Writes the proofs now, in the background. */
  prove(): void {
    if (!this.#usable) return;
    this.#inBackground(async () => {
      // After the end of the broker its logs are stopped, and what is proven of them would be left out.
      if (!this.#closed) await this.#writeProofs(0);
    });
  }

  /** Ends at once: what the disk holds is not certain any more. `close` is still to be called. */
  abort(): void {
    this.#closed = true;
    this.#usable = false;
  }

  /** Ends: nothing is written any more. After a clean stop of every log nothing needs to be replayed. */
  async close(clean: boolean): Promise<void> {
    // After a failure nothing is given up, whoever thinks that it was a clean stop.
    const failed = this.#closed;
    this.abort();
    // A write under way would go to whoever has the file, or its number, next.
    await this.#writing;
    await this.settled();
    await this.#active?.handle.close();
    this.#active = null;
    this.#proven.clear();
    if (!clean || failed) return;
    if (this.#dirty) await this.#writeProofs(this.#generation + 1);
    await unmarkJournal(this.#disk);
  }

  /** The file in use, if it has room. */
  #activeWith(roundBytes: number): Active | null {
    const active = this.#active;
    return active !== null && active.position + roundBytes <= active.file.sizeBytes ? active : null;
  }

  async #nextActive(roundBytes: number): Promise<Active> {
    const next = this.#free.findIndex(({ sizeBytes }) => sizeBytes >= roundBytes);
    // Out of the free ones first: those may be given back meanwhile.
    const fresh = this.#free.splice(next, 1)[0]!;
    let handle: DiskFile;
    try {
      handle = await this.#disk.open(`${JOURNAL_FOLDER}/${fresh.name}`, 'writeThrough');
    } catch (error) {
      this.#free.unshift(fresh);
      throw error;
    }
    if (this.#active !== null) {
      await this.#active.handle.close();
      this.#full.push(this.#active);
    }
    this.#generation += 1;
    const { firstNumber, generation } = { firstNumber: this.#lastNumber + 1, generation: this.#generation };
    this.#active = { file: fresh, generation, firstNumber, logs: new Map(), handle, position: 0 };
    this.#release();
    // So that the next start misses the file, should it be gone.
    this.prove();
    return this.#active;
  }

  #makeUnlessRefused(): void {
    if (this.clock.monotonicMs() >= this.#retryAtMs) this.#make();
  }

  #make(): void {
    // After the end, of a round that was under way then: taking over, as at a start, would release all that it holds.
    if (this.#closed || this.#making !== null) return;
    if (this.#usable && this.#fileCount >= this.#sizes.filesMax) return;
    this.#making = (this.#usable ? this.#makeFile() : this.#takeOver(this.#left!))
      .catch((error) => this.#giveUp(error))
      .finally(() => {
        this.#making = null;
      });
  }

  /** A full disk is no reason to stop: appends are synced in place as long as there is room for them. */
  #giveUp(error: unknown): void {
    this.#retryAtMs = this.clock.monotonicMs() + RETRY_DELAY_MS;
    if (!(error instanceof Fault)) this.#onFatal(error);
    else if (!this.#closed)
      this.#logger.warn({ err: error }, 'a file of the journal could not be taken over, made, proven or freed');
  }

  async #makeFile(): Promise<void> {
    const sizeBytes = this.#fileCount === 0 ? this.#sizes.firstFileBytes : this.#sizes.fileBytes;
    const name = String(this.#nameNext);
    this.#nameNext += 1;
    const path = `${JOURNAL_FOLDER}/${name}`;
    await this.#disk.makeFolder(JOURNAL_FOLDER);
    const handle = await this.#disk.open(path, 'create');
    try {
      const zeros = Buffer.alloc(Math.min(ALLOCATE_BYTES, sizeBytes));
      const unused = Buffer.alloc(JOURNAL_BLOCK_BYTES);
      encodeRound(unused, []);
      sealRound(unused, this.#checksum!, UNUSED_GENERATION, 0);
      for (let at = 0; at < sizeBytes; at += zeros.length) {
        if (this.#closed) throw new Fault('brokerStopped');
        await handle.write([zeros.subarray(0, Math.min(zeros.length, sizeBytes - at))], at);
      }
      await handle.write([unused], 0);
      await handle.sync();
    } catch (error) {
      await Promise.allSettled([handle.close(), this.#disk.remove(path)]);
      throw error;
    }
    await handle.close();
    await this.#disk.syncFolder(JOURNAL_FOLDER);
    this.#free.push({ name, sizeBytes });
    this.#fileCount += 1;
    if (this.#fileCount === 1) this.#inBackground(() => this.makeReserve());
  }

  /** Syncs, one after the other, the segments of the logs that lie in full files, and frees those. */
  #release(): void {
    if (this.#full.length === 0 || this.#releasingFull) return;
    this.#releasingFull = true;
    this.#inBackground(async () => {
      try {
        while (this.#full.length > 0) await this.#freeOldest(this.#full[0]!);
      } finally {
        this.#releasingFull = false;
      }
    });
  }

  async #freeOldest({ file, logs, generation }: Used): Promise<void> {
    for (const [log, nextOffset] of logs) {
      await log.syncInPlace(nextOffset);
      // Also after a sync that failed: it has ended the broker, and with it this.
      if (this.#closed) throw new Fault('brokerStopped');
      this.#proven.add(log);
    }
    await this.#writeProofs(generation + 1);
    this.#full.shift();
    this.#free.push(file);
  }

  #inBackground(work: () => Promise<void>): void {
    this.#releasing = this.#releasing.then(work).catch((error) => this.#giveUp(error));
  }

  /**
   * Says durably what is proven of logs by other means than their checkpoints, and what of the journal is released: what has
   * been by now, and all generations before `releaseBefore`.
   */
  async #writeProofs(releaseBefore: number): Promise<void> {
    const used = [...this.#full, ...(this.#active === null ? [] : [this.#active])].filter(
      ({ generation }) => generation >= releaseBefore,
    );
    const { generation: releasedBefore, firstNumber } = used[0] ?? {
      generation: this.#generation + 1,
      firstNumber: this.#lastNumber + 1,
    };
    const inUse = Object.fromEntries(used.map(({ file }) => [file.name, file.sizeBytes]));
    for (const log of this.#proven) if (log.stopped !== null) this.#proven.delete(log);
    const logs = Object.fromEntries(Array.from(this.#proven, (log) => [log.folder, log.checkpoint]));
    const proofs: Proofs = { releasedBefore, logs, firstNumber, inUse };
    await writeProofs(this.#disk, proofs);
    if (!this.#isMarked) await markJournal(this.#disk);
    this.#isMarked = true;
  }
}
