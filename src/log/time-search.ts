import { batchBytes, maxTimestamp } from '../record/batch.ts';
import { type LogRecord, recordsOfAsync } from '../record/records.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Segment } from './segment.ts';

const READ_BYTES = 256 * 1024;

export interface TimedOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** One segment's part of what is visible. */
interface Part {
  readonly segment: Segment;
  readonly endNext: number;
}

/** The first visible record that is not older than `timestampMs`; null when all are older. */
export async function offsetForTime(log: PartitionLog, timestampMs: number): Promise<TimedOffset | null> {
  return whileNotCompacted(log, async () => {
    for (const part of visibleParts(log)) {
      const found = await unlessDeleted(log, part, null, () => firstFrom(log, part, timestampMs));
      if (found !== null) return found;
    }
    return null;
  });
}

/** The first record with the largest timestamp; null when there are none. Waits until all that is written is visible. */
export async function offsetOfMaxTimestamp(log: PartitionLog): Promise<TimedOffset | null> {
  await log.visible(log.marks.writtenNext);
  return whileNotCompacted(log, () => youngestOf(log));
}

async function youngestOf(log: PartitionLog): Promise<TimedOffset | null> {
  const parts: { part: Part; maxMs: number }[] = [];
  for (const part of visibleParts(log)) {
    const maxMs = await unlessDeleted(log, part, -Infinity, () => part.segment.index.maxTimestampMs());
    parts.push({ part, maxMs });
  }
  let youngest: TimedOffset | null = null;
  for (const { part, maxMs } of parts.toSorted((one, other) => other.maxMs - one.maxMs)) {
    if (youngest !== null && maxMs < youngest.timestampMs) break;
    const found = await unlessDeleted(log, part, null, () => youngestIn(log, part, maxMs));
    if (found !== null && (youngest === null || isYounger(found, youngest))) youngest = found;
  }
  return youngest;
}

function isYounger(one: TimedOffset, other: TimedOffset): boolean {
  return one.timestampMs > other.timestampMs || (one.timestampMs === other.timestampMs && one.offset < other.offset);
}

function visibleParts(log: PartitionLog): Part[] {
  const segments = [...log.segments];
  const { highWatermark } = log.marks;
  return segments
    .map((segment, i) => ({ segment, endNext: Math.min(highWatermark, segments[i + 1]?.baseOffset ?? highWatermark) }))
    .filter(({ segment, endNext }) => segment.baseOffset < endNext);
}

/** A search that meets a segment in whose place another was put begins anew. */
async function whileNotCompacted<T>(log: PartitionLog, search: () => Promise<T>): Promise<T> {
  for (;;) {
    const { swaps } = log.compacted;
    const found = await search();
    if (log.compacted.swaps === swaps) return found;
  }
}

/** Records that are deleted during a search are no failure of it: it goes on without them. */
async function unlessDeleted<T>(
  log: PartitionLog,
  { segment }: Part,
  deleted: T,
  search: () => Promise<T>,
): Promise<T> {
  for (;;) {
    const { logStart } = log.marks;
    try {
      return await search();
    } catch (error) {
      if (!log.segments.includes(segment)) return deleted;
      if (log.marks.logStart === logStart) throw log.reader.failures.noted(error, segment);
    }
  }
}

async function firstFrom(log: PartitionLog, part: Part, timestampMs: number): Promise<TimedOffset | null> {
  if ((await part.segment.index.maxTimestampMs()) < timestampMs) return null;
  const startOffset = await part.segment.index.offsetBefore(timestampMs);
  for await (const record of recordsFrom(log, startOffset, part.endNext, () => timestampMs)) return timed(log, record);
  return null;
}

/** `maxMs` is of all batches, as their producers say: also of records before the log's start, and not always the truth. */
async function youngestIn(log: PartitionLog, part: Part, maxMs: number): Promise<TimedOffset | null> {
  const found = await firstFrom(log, part, maxMs);
  if (found !== null) return found;
  let youngest: LogRecord | null = null;
  const younger = (): number => (youngest === null ? -Infinity : youngest.timestampMs + 1);
  for await (const record of recordsFrom(log, part.segment.baseOffset, part.endNext, younger)) youngest = record;
  return youngest && timed(log, youngest);
}

/** The visible records of a part that are not older than `atLeastMs` says as they come. */
async function* recordsFrom(
  log: PartitionLog,
  startOffset: number,
  endNext: number,
  atLeastMs: () => number,
): AsyncGenerator<LogRecord> {
  for (let offset = Math.max(log.marks.logStart, startOffset); offset < endNext; ) {
    const read = await log.reader.read(offset, { endNext, bytesMax: READ_BYTES, atLeastOne: true });
    try {
      for (const buffer of read.buffers) {
        for (let at = 0; at < buffer.length; at += batchBytes(buffer, at)) {
          if (maxTimestamp(buffer, at) < atLeastMs()) continue;
          for (const record of await recordsOfAsync(buffer, at, {}, log.codecs)) {
            if (record.timestampMs >= atLeastMs() && record.offset >= log.marks.logStart) yield record;
          }
        }
      }
    } finally {
      read.release();
    }
    offset = read.nextOffset;
  }
}

function timed(log: PartitionLog, { offset, timestampMs }: LogRecord): TimedOffset {
  return { offset, timestampMs, leaderEpoch: log.epochs.at(offset) };
}
