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
import { walkBatches } from './segment-walk.ts';

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

/** The segments of a log, oldest first, as they were at one moment. */
export function segmentFacts(log: PartitionLog): Promise<SegmentFacts[]> {
  return whileThere(log, (segments) => factsOf(log, segments));
}

/** Files that go while somebody looks are no failure: compaction has put others in their place, or it was their turn to go. */
async function whileThere<T>(log: PartitionLog, look: (segments: readonly Segment[]) => Promise<T>): Promise<T> {
  for (;;) {
    const segments = [...log.segments];
    try {
      return await look(segments);
    } catch (error) {
      const there = new Set(log.segments);
      if (segments.every((segment) => there.has(segment))) throw log.reader.failures.noted(error);
    }
  }
}

async function factsOf(log: PartitionLog, segments: readonly Segment[]): Promise<SegmentFacts[]> {
  const facts: SegmentFacts[] = [];
  for (const [i, segment] of segments.entries()) {
    const { offsets, times } = await segment.index.loaded();
    const maxTimestampMs = await segment.index.maxTimestampMs();
    // The last one may have been rolled meanwhile.
    const next = segments[i + 1] ?? log.segments.find(({ baseOffset: base }) => base > segment.baseOffset);
    facts.push({
      baseOffset: segment.baseOffset,
      endNext: next?.baseOffset ?? log.marks.writtenNext,
      sizeBytes: segment.sizeBytes,
      maxTimestampMs,
      offsetEntries: offsets.length,
      timeEntries: times.length,
    });
    // The indexes of a long log together are more than should be held because somebody looked.
    if (i < segments.length - 1) await segment.rest();
  }
  return facts;
}

/** Null for an offset outside the log. @throws Fault corruptBatch, and those of the disk */
export function placeOfOffset(log: PartitionLog, offset: number): Promise<PlaceOfOffset | null> {
  return whileThere(log, async (segments) => {
    const { logStart, writtenNext } = log.marks;
    if (offset < logStart || offset >= writtenNext) return null;
    const segment = segments.findLast((one) => one.baseOffset <= offset);
    return segment === undefined ? null : placeIn(segment, offset);
  });
}

async function placeIn(segment: Segment, offset: number): Promise<PlaceOfOffset> {
  const { times } = await segment.index.loaded();
  const timeAt = lastIndexWhere(times.length, (i) => times.entry(i).offset <= offset);
  const start = await segment.index.startOf(offset);
  // Asked again, since one that lied was built anew on the way.
  const { offsets } = await segment.index.loaded();
  return {
    segment: segment.baseOffset,
    offsetEntry: offsets.floor(offset),
    timeEntry: timeAt < 0 ? null : times.entry(timeAt),
    batch: await batchWith(segment, start.position, offset),
  };
}

async function batchWith(segment: Segment, from: number, offset: number): Promise<PlaceOfBatch | null> {
  let found: PlaceOfBatch | null = null;
  await walkBatches(
    segment,
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
