import type { Disk } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES, baseOffset, lastOffset, maxTimestamp } from '../record/batch.ts';
import { OffsetIndex } from './offset-index.ts';
import { readCache } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { SegmentIndex, type Unproven } from './segment-index.ts';
import { type KnownStart, scanSegment } from './segment-scan.ts';
import { walkBatches } from './segment-walk.ts';
import { TimeIndex } from './time-index.ts';

/** What is read at once when one batch is looked for, from an index entry on. */
const SEEK_BYTES = 16 * 1024;
/** What may lie behind the last entry of an index without being read through when it is loaded. */
const UNINDEXED_BYTES_MAX = 256 * 1024;

/** The indexes of a segment up to a place: from their files, which lie at `path`, or else from the log itself. */
export async function loadIndex(
  disk: Disk,
  segment: Segment,
  path: string,
  endPosition: number,
  endNext: number | null,
): Promise<SegmentIndex> {
  const { baseOffset: base } = segment;
  const [offsetBytes, timeBytes] = await Promise.all([
    readCache(disk, `${path}.index`),
    readCache(disk, `${path}.timeindex`),
  ]);
  const offsets = offsetBytes && OffsetIndex.parse(offsetBytes, base, endPosition);
  const times = timeBytes && TimeIndex.parse(timeBytes, base);
  if (offsets && times) {
    const index = new SegmentIndex(base, offsets, times);
    const last = times.length === 0 ? null : times.entry(times.length - 1);
    index.unproven = last && { ...last, endPosition };
    if (endPosition === 0 || (await isTrue(segment, index))) {
      await extend(segment, index, endPosition, endNext);
      return index;
    }
  }
  const index = new SegmentIndex(base);
  await noteSound(segment, index, { position: 0, offset: base }, endPosition, endNext);
  return index;
}

/** Notes what an index from files does not reach, when that is much: those of an active segment are written now and then. */
async function extend(
  segment: Segment,
  index: SegmentIndex,
  endPosition: number,
  endNext: number | null,
): Promise<void> {
  const start = await startIn(segment, index, Number.MAX_SAFE_INTEGER);
  if (start === null || endPosition - start.position <= UNINDEXED_BYTES_MAX) return;
  await noteSound(segment, index, start, endPosition, endNext);
}

/** Fills an index from the sound batches of a part of the file: one that is damaged must not lead others astray. */
export async function noteSound(
  segment: Segment,
  index: SegmentIndex,
  start: KnownStart,
  endPosition: number,
  endNext: number | null,
): Promise<void> {
  const { hasGaps } = segment;
  for await (const { batch, position } of scanSegment(segment, { start, endPosition, endNext, hasGaps })) {
    if (batch === null) segment.isDamaged = true;
    else noteIn(segment, index, batch, position);
  }
}

/** Takes note of a batch in an index when it is its turn. */
export function noteIn(segment: Segment, index: SegmentIndex, batch: Buffer, position: number): void {
  index.note(lastOffset(batch, 0), maxTimestamp(batch, 0), position, batch.length, segment.indexIntervalBytes);
}

/** Where to look for an offset as an index says; null when it names a batch that is not where it says. */
export async function startIn(segment: Segment, index: SegmentIndex, offset: number): Promise<KnownStart | null> {
  const entry = index.offsets.floor(offset);
  if (entry === null) return { position: 0, offset: segment.baseOffset };
  const header = await segment.read(entry.position, BATCH_HEADER_BYTES);
  if (header.length < BATCH_HEADER_BYTES || lastOffset(header, 0) !== entry.offset) return null;
  return { position: entry.position, offset: baseOffset(header, 0) };
}

/** Whether the log has what a finished time index names at its end: the segment's largest timestamp. */
async function isTrue(segment: Segment, index: SegmentIndex): Promise<boolean> {
  const { length } = index.times;
  return length > 0 && hasBatch(segment, index, index.times.entry(length - 1));
}

/** Whether the log has the batch that an entry by time names. */
export async function hasBatch(
  segment: Segment,
  index: SegmentIndex,
  entry: { timestampMs: number; offset: number },
): Promise<boolean> {
  const start = await startIn(segment, index, entry.offset);
  if (start === null) return false;
  let found = false;
  await walkBatches(
    segment,
    start.position,
    (batch) => {
      found = lastOffset(batch, 0) === entry.offset && maxTimestamp(batch, 0) === entry.timestampMs;
      return lastOffset(batch, 0) < entry.offset;
    },
    SEEK_BYTES,
  );
  return found;
}

/** Whether a younger batch follows what a file named last. Where time goes forward that is at the segment's end. */
export async function hidesYounger(
  segment: Segment,
  index: SegmentIndex,
  { offset, timestampMs, endPosition }: Unproven,
): Promise<boolean> {
  const { hasGaps } = segment;
  const start = await startIn(segment, index, offset);
  for await (const { batch } of scanSegment(segment, { ...(start && { start }), endPosition, hasGaps })) {
    if (batch === null) segment.isDamaged = true;
    else if (maxTimestamp(batch, 0) > timestampMs) return true;
  }
  return false;
}
