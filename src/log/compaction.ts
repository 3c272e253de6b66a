import { isFault } from '../base/faults.ts';
import type { Pace } from '../base/pace.ts';
import type { Disk } from '../disk/disk.ts';
import { lastOffset } from '../record/batch.ts';
import type { Codecs } from '../record/compression.ts';
import { BatchFilter } from './batch-filter.ts';
import { type CompactionPlan, type CompactionSettings, groupsOf } from './compaction-plan.ts';
import type { KeyMap } from './key-map.ts';
import { keyedRecords } from './keyed-records.ts';
import type { AgeOf } from './retention.ts';
import type { Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';
import { soundBatches } from './sound-batches.ts';

/** What one pass over a log did. */
export interface CompactionReport {
  /** The offset before which the log is compacted now. */
  cleanNext: number;
  /** Whether there were more keys than the map has room for: the next pass goes on at `cleanNext`. */
  mapWasFull: boolean;
  bytesBefore: number;
  bytesAfter: number;
  segmentsBefore: number;
  segmentsAfter: number;
  recordsKept: number;
  /** Since a younger record has their key, or since they are tombstones whose time is over. */
  recordsDropped: number;
  /** They have no key, from a time when the topic was not compacted: as with Kafka, they go. */
  recordsWithoutKey: number;
  /** Batches that could not be looked into, and that stay as they are. */
  batchesUnread: number;
  /** Segments in which something is damaged or cannot be read, and that stay as they are; what was found. */
  damaged: string[];
}

export interface CompactionContext {
  readonly disk: Disk;
  readonly keys: KeyMap;
  readonly pace: Pace;
  readonly codecs: Codecs;
  readonly settings: CompactionSettings;
  readonly nowMs: number;
  /** Of what the broker itself stamped. */
  readonly ageMs: AgeOf;
  readonly indexIntervalBytes: number;
}

/**
 * One pass over a log (Kafka's log cleaner): takes the newest offset of each key from what is not compacted yet, then writes
 * all segments up to there again without the records that have a younger one, small ones together. Offsets never change.
 * @throws Fault diskFull, diskError, brokerStopped: what was done until then stays, and the next pass does the rest
 */
export function compact(plan: CompactionPlan, context: CompactionContext): Promise<CompactionReport> {
  return plan.log.compacted.run(() => new Pass(plan, context).run());
}

class Pass {
  readonly #plan: CompactionPlan;
  readonly #context: CompactionContext;
  readonly #filter: BatchFilter;
  readonly #damaged = new Set<Segment>();
  readonly #nextOf = new Map<Segment, number>();
  readonly #report: CompactionReport;

  constructor(plan: CompactionPlan, context: CompactionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#report = {
      cleanNext: plan.cleanNext,
      mapWasFull: false,
      bytesBefore: 0,
      bytesAfter: 0,
      segmentsBefore: 0,
      segmentsAfter: 0,
      recordsKept: 0,
      recordsDropped: 0,
      recordsWithoutKey: 0,
      batchesUnread: 0,
      damaged: [],
    };
    this.#filter = new BatchFilter(plan.log.producers, context, this.#report);
    for (const [i, segment] of plan.segments.entries()) {
      this.#nextOf.set(segment, plan.segments[i + 1]?.baseOffset ?? plan.endNext);
    }
  }

  async run(): Promise<CompactionReport> {
    const { log, segments, endNext } = this.#plan;
    await log.compacted.prepare(endNext);
    const mappedNext = await this.#mapKeys(await this.#mapStart());
    this.#filter.mappedNext = mappedNext;
    await this.#moveBack(mappedNext);
    const queue = groupsOf(
      segments.filter(({ baseOffset }) => baseOffset < mappedNext),
      (segment) => this.#nextOf.get(segment)!,
      this.#context.settings,
    );
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      const left = await this.#rewrite(group);
      queue.unshift(...left.filter((part) => part.length > 0));
    }
    const passed = [...this.#damaged].map(({ baseOffset }) => baseOffset).filter((base) => base < mappedNext);
    await log.compacted.moveTo(mappedNext, passed);
    this.#report.cleanNext = mappedNext;
    return this.#report;
  }

  /**
   * A segment that is sound again is rid of what is older than keys before `mappedNext` alone, and counts as passed no more once
   * it is written again. Wherever this pass ends, the next one has to go on there, or older values outlive the tombstones behind.
   */
  async #moveBack(mappedNext: number): Promise<void> {
    const { compacted } = this.#plan.log;
    if (mappedNext >= (await compacted.cleanNext())) return;
    const passed = (await compacted.passed()).filter((base) => base < mappedNext);
    await compacted.moveTo(mappedNext, passed);
  }

  /**
   * From where on the keys are to be known. A segment that was damaged, and is sound again, holds older values of keys: those
   * from there on are needed, be they compacted or not, since tombstones that stayed for its sake may go now.
   */
  async #mapStart(): Promise<number> {
    const { log, segments, cleanNext } = this.#plan;
    const passed = await log.compacted.passed();
    for (const segment of segments) {
      const { baseOffset } = segment;
      if (baseOffset >= cleanNext) break;
      if (passed.includes(baseOffset) && (await this.#isSound(segment))) return baseOffset;
    }
    return cleanNext;
  }

  #batchesOf(segment: Segment): AsyncGenerator<Buffer> {
    const { epochs, reader } = this.#plan.log;
    return soundBatches(segment, this.#nextOf.get(segment)!, epochs, reader.reads);
  }

  async #isSound(segment: Segment): Promise<boolean> {
    try {
      for await (const batch of this.#batchesOf(segment)) {
        await this.#context.pace.io(batch.length);
      }
    } catch (error) {
      this.#noteDamage(segment, error);
      return false;
    }
    return true;
  }

  /** Fills the map with the keys from an offset on; returns the offset up to which it has all of them. */
  async #mapKeys(start: number): Promise<number> {
    const { segments, endNext } = this.#plan;
    for (const segment of segments) {
      if (this.#nextOf.get(segment)! <= start) continue;
      const full = await this.#mapSegment(segment, start);
      if (full === null) continue;
      this.#report.mapWasFull = true;
      return full;
    }
    return endNext;
  }

  /** The offset at which the map was full; null when it was not. */
  async #mapSegment(segment: Segment, start: number): Promise<number | null> {
    const { keys, pace } = this.#context;
    try {
      for await (const batch of this.#batchesOf(segment)) {
        await pace.io(batch.length);
        if (lastOffset(batch, 0) < start) continue;
        let count = 0;
        for (const { record, key } of (await keyedRecords(batch, this.#context.codecs, pace)) ?? []) {
          if (++count % 1000 === 0) await pace.items(1000);
          if (record.offset < start) continue;
          if (key !== null && !keys.put(key, record.offset)) return record.offset;
        }
        await pace.items(count % 1000);
      }
    } catch (error) {
      // The keys of what cannot be read are not known: nothing is dropped for their sake.
      this.#noteDamage(segment, error);
    }
    return null;
  }

  /** Writes a group of segments again, or nothing; returns what of it is to be done then. */
  async #rewrite(group: readonly Segment[]): Promise<Segment[][]> {
    const known = group.find((segment) => this.#damaged.has(segment));
    if (known !== undefined) return this.#around(known, group);
    const { disk, pace, indexIntervalBytes } = this.#context;
    const { log } = this.#plan;
    const number = log.compacted.numberFor(group);
    const { baseOffset } = group[0]!;
    const counted = this.#filter.begin();
    const writer = await SegmentWriter.create(disk, log.folder, baseOffset, number, indexIntervalBytes);
    let segment = group[0]!;
    try {
      for (segment of group) {
        for await (const batch of this.#batchesOf(segment)) {
          await pace.io(batch.length);
          const kept = await this.#filter.filter(batch, segment.compacted !== null);
          if (kept === null) continue;
          await writer.add(kept);
          await pace.io(kept.length);
        }
      }
      const last = this.#filter.last();
      if (last !== null) await writer.add(last);
    } catch (error) {
      await writer.discard();
      this.#noteDamage(segment, error);
      this.#filter.takeBack(counted);
      return this.#damaged.has(segment) ? this.#around(segment, group) : [this.#leftOf(group)];
    }
    // A segment in which all stays need not be written again.
    if (group.length === 1 && !this.#filter.hasChanged) await writer.discard();
    else if (!(await this.#swap(group, writer))) {
      // Its first segments were deleted meanwhile. The others have older values that a tombstone after them must not outlive.
      this.#filter.takeBack(counted);
      return [this.#leftOf(group)];
    }
    this.#count(group, writer.sizeBytes);
    return [];
  }

  /** Those of a group whose records were not deleted meanwhile. */
  #leftOf(group: readonly Segment[]): Segment[] {
    return group.filter((segment) => this.#plan.log.segments.includes(segment));
  }

  /** A damaged segment stays as it is, and parts those before it from those after it. */
  #around(damaged: Segment, group: readonly Segment[]): Segment[][] {
    const at = group.indexOf(damaged);
    this.#filter.hasUnread = true;
    return [group.slice(0, at), group.slice(at + 1)];
  }

  async #swap(group: readonly Segment[], writer: SegmentWriter): Promise<boolean> {
    let rewritten: Segment;
    try {
      rewritten = await writer.end(this.#nextOf.get(group.at(-1)!)!);
    } catch (error) {
      await writer.discard();
      throw error;
    }
    return this.#plan.log.compacted.replace(group, rewritten);
  }

  #count(group: readonly Segment[], bytes: number): void {
    const report = this.#report;
    report.segmentsBefore += group.length;
    report.segmentsAfter += 1;
    report.bytesBefore += group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    report.bytesAfter += bytes;
  }

  /** Of what a segment could not be read for; that its records were deleted meanwhile is no damage. */
  #noteDamage(segment: Segment, error: unknown): void {
    if (isFault(error, 'offsetOutOfRange') && this.#leftOf([segment]).length === 0) return;
    if (!isFault(error, 'corruptBatch')) throw error;
    if (!this.#damaged.has(segment)) this.#report.damaged.push(error.message);
    this.#damaged.add(segment);
  }
}
