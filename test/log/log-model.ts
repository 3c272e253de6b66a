import fs from 'node:fs';
import { expect } from 'vitest';
import type { LogSettings } from '../../src/log/log-settings.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchBytes, batchesIn, nextOffset, stamp } from '../../src/record/batch.ts';
import {
  batchOf,
  contextIn,
  copyOf,
  filesOf,
  kill,
  logFiles,
  openLog,
  readAll,
  type TestContext,
  tempFolder,
} from './support.ts';

/** A batch as it must lie in the log. */
interface Stored {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly bytes: Buffer;
  /** As it was sent, when by an idempotent producer. */
  readonly sent: Buffer | null;
  readonly producer: number;
}

export interface Wanted {
  count: number;
  valueBytes: number;
  timestampMs: number;
  /** 0: not idempotent. */
  producer: number;
  /** Sends the producer's last batch but so many again; 0 sends a new one. */
  retryOf: number;
  until: 'written' | 'visible';
}

/**
 * A real log, driven beside the plain statement of what it must hold: every batch ever stored, in order. What is sent is
 * chosen by the statement, so that sequences are those of a real client.
 */
export class ModelledLog {
  settings: LogSettings;
  batches: Stored[] = [];
  logStart = 0;
  epoch = 1;
  root = tempFolder();
  context: TestContext;
  log!: PartitionLog;
  #tag = 0;
  /** What was covered, so that a run that covers nothing fails. */
  readonly seen: Set<string>;

  private constructor(settings: LogSettings, seen: Set<string>) {
    this.settings = settings;
    this.seen = seen;
    this.context = contextIn(this.root, 1);
  }

  static async open(settings: LogSettings, seen: Set<string>): Promise<ModelledLog> {
    const modelled = new ModelledLog(settings, seen);
    modelled.log = await openLog(modelled.context, settings, modelled.epoch);
    return modelled;
  }

  get endNext(): number {
    return this.batches.at(-1)?.nextOffset ?? this.logStart;
  }

  /** Appends all in the same turn; those promises settle as they come. */
  append(wanted: readonly Wanted[]): Promise<void>[] {
    return wanted.map((spec) => {
      const { sent, original } = this.#choose(spec);
      const { parts, settled } = this.context.syncer.append([{ log: this.log, batch: sent }], spec.until);
      if (original !== null) {
        expect(parts[0]).toEqual({ ...offsetsOf(original), duplicate: true });
        this.seen.add('retry');
        return settled;
      }
      const baseOffset = Math.max(this.endNext, this.logStart);
      const bytes = Buffer.from(sent);
      stamp(bytes, 0, baseOffset, this.epoch);
      const stored = { baseOffset, nextOffset: baseOffset + spec.count, bytes, sent, producer: spec.producer };
      expect(parts[0]).toEqual({ ...offsetsOf(stored), duplicate: false });
      this.batches.push(stored);
      return settled;
    });
  }

  #choose({ count, valueBytes, timestampMs, producer, retryOf }: Wanted): { sent: Buffer; original: Stored | null } {
    const options = { count, valueBytes, timestampsMs: [timestampMs], tag: this.#tag++ };
    if (producer === 0) return { sent: batchOf(options), original: null };
    const earlier = this.batches.filter((batch) => batch.producer === producer);
    const original = retryOf > 0 ? earlier.at(-retryOf) : undefined;
    if (original !== undefined) return { sent: original.sent!, original };
    const baseSequence = earlier.reduce((sum, batch) => sum + batch.nextOffset - batch.baseOffset, 0);
    const sent = batchOf({ ...options, producerId: producer, producerEpoch: 0, baseSequence });
    return { sent, original: null };
  }

  /** Everything that must hold whenever nothing is under way. */
  async check(): Promise<void> {
    const { marks } = this.log;
    expect(marks.logStart).toBe(this.logStart);
    expect(marks.acceptedNext).toBe(Math.max(this.endNext, this.logStart));
    expect(marks.writtenNext).toBe(marks.acceptedNext);
    const visible = this.batches.filter((batch) => batch.nextOffset <= marks.highWatermark);
    const expected = Buffer.concat(
      visible.filter((batch) => batch.nextOffset > this.logStart).map(({ bytes }) => bytes),
    );
    expect((await readAll(this.log)).equals(expected)).toBe(true);
    expect(this.context.fatal).toEqual([]);
    if (this.log.segments.length > 2) this.seen.add('segments');
  }

  async read(offset: number, bytesMax: number, atLeastOne: boolean): Promise<void> {
    const endNext = this.log.marks.highWatermark;
    const read = await this.log.reader.read(offset, { endNext, bytesMax, atLeastOne });
    const found = Buffer.concat(read.buffers);
    const first = this.batches.findIndex((batch) => batch.nextOffset > offset);
    const following = this.batches.slice(first < 0 ? this.batches.length : first);
    // A read may end early, where a file does; it never holds another byte, and what it holds is whole.
    expect(
      Buffer.concat(following.map(({ bytes }) => bytes))
        .subarray(0, found.length)
        .equals(found),
    ).toBe(true);
    expect(found.length <= bytesMax || (atLeastOne && found.length === following[0]!.bytes.length)).toBe(true);
    if (found.length > 0) expect(following.some((batch) => batch.nextOffset === read.nextOffset)).toBe(true);
    if (offset < endNext && atLeastOne) expect(found.length).toBeGreaterThan(0);
    read.release();
  }

  async trim(logStart: number): Promise<void> {
    this.logStart = Math.max(this.logStart, logStart);
    await this.log.trim(logStart);
    expect(this.log.segments.filter((_, i, all) => (all[i + 1]?.baseOffset ?? Infinity) <= this.logStart)).toEqual([]);
    this.seen.add('trim');
  }

  changeSettings(settings: LogSettings): void {
    this.settings = settings;
    this.log.changeSettings(settings);
  }

  async restart(): Promise<void> {
    await this.log.close();
    await this.#open();
    this.seen.add('restart');
  }

  /** Goes on with a copy of the folder as it is at this moment, with all that is under way cut off. */
  async crash(underway: readonly Promise<void>[], powerCut: number | null): Promise<void> {
    const { durableNext, writtenNext } = this.log.marks;
    const copy = copyOf(this.root);
    for (const settled of underway) settled.catch(() => {});
    await kill(this.log);
    let survivesTo = writtenNext;
    if (powerCut !== null) {
      survivesTo = durableNext;
      this.#losePart(copy, durableNext, powerCut);
    }
    const bytes = logFiles(copy);
    const wholeEnd = [...batchesIn(bytes)].map((at) => nextOffset(bytes, at)).at(-1) ?? this.#firstBase(copy);
    expect(wholeEnd).toBeGreaterThanOrEqual(survivesTo);
    if (wholeEnd < this.endNext) this.seen.add('crash that lost some');
    // What ends before the log's start has nothing left: it begins anew there, and knows no producer any more, as in Kafka.
    this.batches = wholeEnd < this.logStart ? [] : this.batches.filter((batch) => batch.nextOffset <= wholeEnd);
    this.root = copy;
    this.epoch += 1;
    await this.#open();
    this.seen.add('crash');
  }

  /** Cuts the last file at some byte behind what was synced. */
  #losePart(folder: string, durableNext: number, percent: number): void {
    const file = filesOf(folder, '.log').at(-1)!;
    const bytes = fs.readFileSync(file);
    const synced = [...batchesIn(bytes)].findLast((at) => nextOffset(bytes, at) <= durableNext);
    const start = synced === undefined ? 0 : synced + batchBytes(bytes, synced);
    fs.truncateSync(file, start + Math.floor(((bytes.length - start) * percent) / 100));
  }

  #firstBase(folder: string): number {
    return Number(filesOf(folder, '.log')[0]!.slice(-24, -4));
  }

  async #open(): Promise<void> {
    this.context = contextIn(this.root, 1);
    this.log = await openLog(this.context, this.settings, this.epoch);
    expect(this.log.marks.highWatermark).toBe(Math.max(this.endNext, this.logStart));
    expect(this.log.marks.durableNext).toBe(this.log.marks.highWatermark);
  }
}

function offsetsOf({ baseOffset, nextOffset: next }: Stored): { baseOffset: number; nextOffset: number } {
  return { baseOffset, nextOffset: next };
}
