import { deleteHorizonMs, isControl, isTransactional, lastOffset, producerId, recordCount } from '../record/batch.ts';
import { emptiedBatch, rebuiltBatch } from '../record/rebuild-batch.ts';
import type { PackedRecord } from '../record/records.ts';
import type { CompactionContext, CompactionReport } from './compaction.ts';
import { type KeyedRecord, keyedRecords } from './keyed-records.ts';
import type { ProducerState } from './producer-state.ts';

type Counts = Pick<CompactionReport, 'recordsKept' | 'recordsDropped' | 'recordsWithoutKey' | 'batchesUnread'>;

/** Decides, batch by batch in the order of the log, what compaction leaves of it, as Kafka does (KIP-534 for tombstones). */
export class BatchFilter {
  readonly #producers: ProducerState;
  readonly #context: CompactionContext;
  readonly #counts: Counts;
  /** From here on nothing is known of keys, and all stays. */
  mappedNext = 0;
  /**
   * Whether something stays that could not be looked into. It may hold an older value of any key, which a tombstone after it
   * must go on to hide.
   */
  hasUnread = false;
  /** Batches of the segments that were begun last that are not as they were. */
  #changes = 0;
  /** The last batch of those segments, if nothing is left of it. */
  #dropped: Buffer | null = null;

  constructor(producers: ProducerState, context: CompactionContext, counts: Counts) {
    this.#producers = producers;
    this.#context = context;
    this.#counts = counts;
  }

  /** Whether anything of the segments that were begun last is not as it was. */
  get hasChanged(): boolean {
    return this.#changes > 0;
  }

  /** Begins with segments that become one; returns what was counted before. */
  begin(): Counts {
    this.#changes = 0;
    this.#dropped = null;
    const { recordsKept, recordsDropped, recordsWithoutKey, batchesUnread } = this.#counts;
    return { recordsKept, recordsDropped, recordsWithoutKey, batchesUnread };
  }

  takeBack(counts: Counts): void {
    Object.assign(this.#counts, counts);
  }

  /** What stands at the end for a last batch of which nothing is left, so that the segment reaches as far as it did. */
  last(): Buffer | null {
    const dropped = this.#dropped;
    if (dropped === null) return null;
    if (recordCount(dropped, 0) > 0) return emptiedBatch(dropped);
    this.#changes -= 1;
    return dropped;
  }

  /** What stays of a batch: itself, some of it, its header alone, or null: nothing. `isCompacted`: it was filtered before. */
  async filter(batch: Buffer, isCompacted: boolean): Promise<Buffer | null> {
    this.#dropped = null;
    const records = await keyedRecords(batch, this.#context.codecs, this.#context.pace);
    if (records === null) return this.#unread(batch);
    // One that comes from a producer says nothing: its bits are the producer's.
    const horizonMs = isCompacted ? deleteHorizonMs(batch, 0) : null;
    const kept: PackedRecord[] = [];
    let hasTombstones = false;
    for (const [i, keyed] of records.entries()) {
      if (i % 1000 === 999) await this.#context.pace.items(1000);
      if (!this.#stays(keyed, horizonMs)) continue;
      kept.push(keyed.record);
      hasTombstones ||= !keyed.hasValue;
    }
    await this.#context.pace.items(records.length % 1000);
    this.#counts.recordsKept += kept.length;
    if (kept.length === 0) return this.#withoutRecords(batch, records.length);
    const { nowMs, settings } = this.#context;
    const isSettled = !hasTombstones || horizonMs !== null;
    if (kept.length === records.length && isSettled) return batch;
    // A time by a clock that tells fractions, as it is while the wall clock is not believed, is none of a batch.
    const newHorizonMs = isSettled ? horizonMs : Math.ceil(nowMs + settings.deleteRetentionMs);
    const rebuilt = await rebuiltBatch(batch, kept, newHorizonMs, this.#context);
    if (rebuilt === null) return this.#unread(batch);
    this.#changes += 1;
    return rebuilt;
  }

  #stays({ record, key, hasValue }: KeyedRecord, horizonMs: number | null): boolean {
    if (record.offset >= this.mappedNext) return true;
    if (key === null) {
      this.#counts.recordsWithoutKey += 1;
      return false;
    }
    const isOver = !hasValue && horizonMs !== null && this.#isPast(horizonMs) && !this.hasUnread;
    if (!isOver && this.#context.keys.get(key) <= record.offset) return true;
    this.#counts.recordsDropped += 1;
    return false;
  }

  /** Also by the time since it was first compacted: by a clock that has been set right since, the horizon may be long past. */
  #isPast(horizonMs: number): boolean {
    const { nowMs, ageMs, settings } = this.#context;
    return horizonMs <= nowMs && settings.deleteRetentionMs <= ageMs(horizonMs - settings.deleteRetentionMs);
  }

  /** A batch that a retry of its producer would be known by keeps its header. */
  #withoutRecords(batch: Buffer, recordsBefore: number): Buffer | null {
    if (this.#producers.remembers(producerId(batch, 0), lastOffset(batch, 0))) {
      if (recordsBefore === 0) return batch;
      this.#changes += 1;
      return emptiedBatch(batch);
    }
    this.#dropped = batch;
    this.#changes += 1;
    return null;
  }

  #unread(batch: Buffer): Buffer {
    if (isControl(batch, 0)) return batch;
    this.hasUnread = true;
    if (!isTransactional(batch, 0)) this.#counts.batchesUnread += 1;
    return batch;
  }
}
