import {
  baseOffset,
  batchBytes,
  compressionOf,
  lastOffset,
  leaderEpoch,
  maxTimestamp,
  recordCount,
} from '../record/batch.ts';
import { lastIndexWhere } from './offset-index.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Segment } from './segment.ts';

/** What can be told of a segment without reading its records. */
export interface SegmentFacts {
  readonly baseOffset: number;
  /** The offset after its last record. */
  readonly endNext: number;
  readonly sizeBytes: number;
  /** -1 when empty. */
  readonly maxTimestampMs: number;
  readonly offsetEntries: number;
  readonly timeEntries: number;
}

/** How a reader finds an offset: the segment, the entries of its indexes that lead there, and the batch in the file. */
export interface PlaceOfOffset {
  /** The segment's base offset. */
  readonly segment: number;
  /** Where the search in the file begins; null: at the file's start. */
  readonly offsetEntry: { readonly offset: number; readonly position: number } | null;
  /** The last entry of the time index that names this offset or one before it. */
  readonly timeEntry: { readonly timestampMs: number; readonly offset: number } | null;
  /** Null where no record has the offset or a later one: the end of the log, or what compaction left of it. */
  readonly batch: PlaceOfBatch | null;
}

export interface PlaceOfBatch {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly records: number;
  readonly maxTimestampMs: number;
  readonly compression: string;
}

/** What is read at once on the way from an index entry to a batch. */
const SEEK_BYTES = 16 * 1024;

/** The segments of a log, oldest first. */
export async function segmentFacts(log: PartitionLog): Promise<SegmentFacts[]> {
  const segments = [...log.segments];
  const facts: SegmentFacts[] = [];
  for (const [i, segment] of segments.entries()) {
    const { offsets, times } = await segment.index();
    facts.push({
      baseOffset: segment.baseOffset,
      endNext: segments[i + 1]?.baseOffset ?? log.marks.writtenNext,
      sizeBytes: segment.sizeBytes,
      maxTimestampMs: await segment.maxTimestampMs(),
      offsetEntries: offsets.length,
      timeEntries: times.length,
    });
    // The indexes of a long log together are more than should be held because somebody looked.
    if (i < segments.length - 1) await segment.rest();
  }
  return facts;
}

/** Null for an offset outside the log. @throws Fault corruptBatch */
export async function placeOfOffset(log: PartitionLog, offset: number): Promise<PlaceOfOffset | null> {
  const { logStart, writtenNext } = log.marks;
  if (offset < logStart || offset >= writtenNext) return null;
  const segment = log.segments.findLast((one) => one.baseOffset <= offset);
  if (segment === undefined) return null;
  const { times } = await segment.index();
  const timeAt = lastIndexWhere(times.length, (i) => times.entry(i).offset <= offset);
  const start = await segment.startOf(offset);
  // Asked again, since one that lied was built anew on the way.
  const { offsets } = await segment.index();
  return {
    segment: segment.baseOffset,
    offsetEntry: offsets.floor(offset),
    timeEntry: timeAt < 0 ? null : times.entry(timeAt),
    batch: await batchWith(segment, start.position, offset),
  };
}

async function batchWith(segment: Segment, from: number, offset: number): Promise<PlaceOfBatch | null> {
  let found: PlaceOfBatch | null = null;
  await segment.walk(
    from,
    (batch, position) => {
      if (lastOffset(batch, 0) < offset) return true;
      found = {
        position,
        sizeBytes: batchBytes(batch, 0),
        baseOffset: baseOffset(batch, 0),
        lastOffset: lastOffset(batch, 0),
        leaderEpoch: leaderEpoch(batch, 0),
        records: recordCount(batch, 0),
        maxTimestampMs: maxTimestamp(batch, 0),
        compression: compressionOf(batch, 0),
      };
      return false;
    },
    SEEK_BYTES,
  );
  return found;
}
