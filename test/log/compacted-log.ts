import { expect } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/faults.ts';
import { Pace } from '../../src/base/pace.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { type CompactionReport, compact } from '../../src/log/compaction.ts';
import { type CompactionSettings, planOf } from '../../src/log/compaction-plan.ts';
import { KeyMap } from '../../src/log/key-map.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn, checkBatch, lastOffset } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import type { Compression } from '../../src/record/compression.ts';
import { recordsOf } from '../../src/record/records.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { contextOn, NEVER_MS, openLog, type TestContext } from './support.ts';

export const RETENTION_MS = 1000;

export const compactionSettings: CompactionSettings = {
  dirtyRatioMin: 0,
  lagMinMs: 0,
  lagMaxMs: NEVER_MS,
  deleteRetentionMs: RETENTION_MS,
  segmentBytes: 2000,
  indexBytes: 1 << 20,
};

/** Pauses take no time. */
export const promptClock: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  after(_delayMs, action) {
    const timer = setImmediate(action);
    return () => clearImmediate(timer);
  },
};

export interface PassOptions {
  settings?: Partial<CompactionSettings>;
  keyMapBytes?: number;
  nowMs?: number;
}

/** One pass, as the broker runs it; null when there is nothing to do. */
export async function compactLog(
  context: TestContext,
  log: PartitionLog,
  { settings: changed = {}, keyMapBytes = 1 << 16, nowMs = context.clock.wallMs() }: PassOptions = {},
): Promise<CompactionReport | null> {
  const settings = { ...compactionSettings, ...changed };
  const plan = await planOf(log, settings, nowMs);
  if (plan === null) return null;
  const pace = new Pace(promptClock, Number.POSITIVE_INFINITY, () => {
    if (log.stopped !== null) throw log.stopped;
    if (log.compacted.stopping) throw new Fault('brokerStopped');
  });
  const keys = await KeyMap.create(keyMapBytes, new SeededRandom(7));
  return compact(plan, {
    disk: context.disk,
    keys,
    pace,
    codecs: log.codecs,
    settings,
    nowMs,
    ageMs: (stampMs) => nowMs - stampMs,
    indexIntervalBytes: 300,
  });
}

export interface Written {
  readonly offset: number;
  readonly key: string;
  /** Null for a tombstone. */
  readonly value: string | null;
  readonly timestampMs: number;
}

export interface Append {
  readonly records: readonly { key: number; value: number | null; timestampMs: number }[];
  readonly compression: Compression;
  /** 0: not idempotent. */
  readonly producer: number;
}

/** A compacted log on a simulated disk, beside the plain statement of what was written to it. */
export class CompactedLog {
  context!: TestContext;
  log!: PartitionLog;
  readonly written: Written[] = [];
  /** The last batch of each producer, as it was sent. */
  readonly #sent = new Map<number, { batch: Buffer; baseOffset: number; nextSequence: number }>();
  /** When a pass that covered an offset first began, by that offset. */
  readonly #coveredMs = new Map<number, number>();
  readonly #settings: Partial<LogSettings>;
  #values = 0;

  constructor(settings: Partial<LogSettings>) {
    this.#settings = settings;
  }

  /** `cacheBytes` 1: readers go to the files when `dropCache` is called. */
  async open(disk: Disk, cacheBytes = 1): Promise<void> {
    this.context = contextOn(disk, cacheBytes);
    this.log = await openLog(this.context, this.#settings);
  }

  async append({ records, compression, producer }: Append): Promise<void> {
    const nextSequence = this.#sent.get(producer)?.nextSequence ?? 0;
    const contents = records.map(({ key, value, timestampMs }) => ({
      timestampMs,
      key: `k${key}`,
      // Each has one of its own, so that none is taken for another.
      value: value === null ? null : `${this.#values++}.`.padEnd(value, 'v'),
    }));
    const batch = buildBatch(
      contents.map(({ timestampMs, key, value }) => ({
        timestampMs,
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
      })),
      { compression, ...(producer > 0 && { producerId: producer, producerEpoch: 0, baseSequence: nextSequence }) },
    );
    const { parts, settled } = this.context.syncer.append([{ log: this.log, batch }], 'visible');
    await settled;
    const { baseOffset } = parts[0]!;
    if (producer > 0) this.#sent.set(producer, { batch, baseOffset, nextSequence: nextSequence + records.length });
    for (const [i, content] of contents.entries()) this.written.push({ offset: baseOffset + i, ...content });
  }

  async compact(options: PassOptions = {}): Promise<CompactionReport | null> {
    const nowMs = this.context.clock.wallMs();
    // Noted before it runs, since a crash may end it at any moment.
    for (const { offset } of this.written) {
      if (!this.#coveredMs.has(offset)) this.#coveredMs.set(offset, nowMs);
    }
    return compactLog(this.context, this.log, options);
  }

  /** Readers go to the files from here on: the cache has but one page. */
  dropCache(): void {
    for (let i = 0; i < 2; i += 1) this.context.cache.copy(Buffer.alloc(1 << 16));
  }

  /** All that a reader of the files finds. */
  read(): Promise<Written[]> {
    this.dropCache();
    return this.readAtTail();
  }

  /** All that a reader finds, be it in the cache or in the files, which must be whole batches in order. */
  async readAtTail(): Promise<Written[]> {
    const found: Written[] = [];
    const { highWatermark: endNext, logStart } = this.log.marks;
    for (let at = logStart; at < endNext; ) {
      const read = await this.log.reader.read(at, { endNext, bytesMax: 1500, atLeastOne: true });
      for (const buffer of read.buffers) {
        for (const start of batchesIn(buffer)) {
          expect(checkBatch(buffer, start, buffer.length)).toBeNull();
          expect(lastOffset(buffer, start)).toBeGreaterThanOrEqual(at);
          for (const { offset, key, value, timestampMs } of recordsOf(buffer, start)) {
            found.push({ offset, key: String(key), value: value && String(value), timestampMs });
          }
        }
      }
      expect(read.nextOffset).toBeGreaterThan(at);
      at = read.nextOffset;
    }
    return found;
  }

  /** What must hold after every step, and after every crash. */
  async check(): Promise<void> {
    const { logStart } = this.log.marks;
    // Batches are read whole.
    const found = (await this.read()).filter(({ offset }) => offset >= logStart);
    const written = this.written.filter(({ offset }) => offset >= logStart);
    const byOffset = new Map(written.map((record) => [record.offset, record]));
    let before = -1;
    for (const record of found) {
      expect(record.offset).toBeGreaterThan(before);
      before = record.offset;
      expect(record).toEqual(byOffset.get(record.offset));
    }
    const cleanNext = await this.log.compacted.cleanNext();
    const there = new Set(found.map(({ offset }) => offset));
    for (const { offset } of written) {
      if (offset >= cleanNext && !this.#coveredMs.has(offset)) expect(there.has(offset)).toBe(true);
    }
    const nowMs = this.context.clock.wallMs();
    const newestFound = newestOf(found);
    for (const { offset, key, value } of newestOf(written).values()) {
      const mayBeGone = value === null && nowMs >= (this.#coveredMs.get(offset) ?? NEVER_MS) + RETENTION_MS;
      if (!mayBeGone) expect({ offset, there: there.has(offset) }).toEqual({ offset, there: true });
      // What it deleted is not back.
      if (!there.has(offset)) expect(newestFound.get(key)).toBeUndefined();
    }
    // From a segment that could not be read on, more had to stay.
    const cleanEnd = Math.min(cleanNext, ...(await this.log.compacted.passed()));
    const clean = found.filter(({ offset }) => offset < cleanEnd);
    expect(newestOf(clean).size).toBe(clean.length);
    // The same from everywhere, also from within a gap.
    for (const part of [0.3, 0.6, 0.9]) {
      const offset = Math.max(logStart, Math.floor(this.log.marks.highWatermark * part));
      const read = await this.log.reader.read(offset, { endNext: NEVER_MS, bytesMax: 1, atLeastOne: true });
      if (read.bytes > 0) expect(lastOffset(read.buffers[0]!, 0)).toBeGreaterThanOrEqual(offset);
    }
    expect(this.context.fatal).toEqual([]);
  }

  /** A producer's last batch, sent again, is known, unless it was deleted. */
  async checkRetries(): Promise<void> {
    for (const { batch, baseOffset } of this.#sent.values()) {
      if (baseOffset < this.log.marks.logStart) continue;
      const { parts, settled } = this.context.syncer.append([{ log: this.log, batch }], 'visible');
      await settled;
      expect(parts[0]).toMatchObject({ duplicate: true, baseOffset });
    }
  }
}

/** The newest record of each key. */
export function newestOf(records: readonly Written[]): Map<string, Written> {
  return new Map(records.map((record) => [record.key, record]));
}

/** One record with a value of so many bytes; a tombstone without. */
export const plain = (key: number, value: number | null = 20): Append => ({
  records: [{ key, value, timestampMs: 1000 }],
  compression: 'none',
  producer: 0,
});

export async function openCompacted(segmentBytes = 400): Promise<{ disk: SimulatedDisk; log: CompactedLog }> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const log = new CompactedLog({ segmentBytes });
  await log.open(disk);
  return { disk, log };
}
