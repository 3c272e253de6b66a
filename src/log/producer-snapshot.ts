import type { Disk } from '../disk/disk.ts';
import { baseOffset, lastOffset } from '../record/batch.ts';
import { ProducerState } from './producer-state.ts';
import { readSealedCache, writeSealed } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { scanSegment } from './segment-scan.ts';

/** The place in a log that a snapshot is of: it holds what all records before it made. */
interface SnapshotPlace {
  readonly nextOffset: number;
  /** In the file of the segment that the snapshot lies beside. */
  readonly position: number;
}

/** Writes what the producers' state is at a place, beside the segment that has it. */
export async function writeProducers(
  disk: Disk,
  segment: Segment,
  snapshot: ReturnType<ProducerState['snapshot']>,
  { nextOffset, position }: SnapshotPlace,
): Promise<void> {
  await writeSealed(disk, segment.producersPath, { nextOffset, position, producers: snapshot });
}

/**
 * Fills `producers` from the segment's snapshot; returns the place from which on the log itself must be applied to it. Null when
 * there is none, or none that can be of a log that ends before `endNext`: a cache lost.
 */
async function readProducers(
  disk: Disk,
  segment: Segment,
  producers: ProducerState,
  nowMs: number,
  endNext: number,
): Promise<SnapshotPlace | null> {
  const file = await readSealedCache(disk, segment.producersPath);
  if (typeof file === 'string') return null;
  const { nextOffset, position, producers: snapshot } = (file.content ?? {}) as Record<string, unknown>;
  if (!isCount(nextOffset) || nextOffset > endNext || nextOffset < segment.baseOffset) return null;
  if (!isCount(position) || position > segment.sizeBytes) return null;
  // One from the middle of a segment is of the file that compaction has put another in the place of since.
  if (position > 0 && segment.compacted !== null) return null;
  return producers.restore(snapshot, nowMs) ? { nextOffset, position } : null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What the producers' state is before `endNext`: the youngest snapshot that can be read, and the sound batches after it. */
export async function restoreProducers(
  disk: Disk,
  segments: readonly Segment[],
  endNext: number,
  nowMs: number,
): Promise<ProducerState> {
  const producers = new ProducerState();
  let index = segments.length - 1;
  let snapshot = null as SnapshotPlace | null;
  for (; index >= 0 && snapshot === null; index -= 1) {
    snapshot = await readProducers(disk, segments[index]!, producers, nowMs, endNext);
  }
  if (snapshot?.nextOffset === endNext) return producers;
  for (const [i, segment] of segments.slice(index + 1).entries()) {
    const start = i === 0 && snapshot !== null ? { position: snapshot.position, offset: snapshot.nextOffset } : null;
    for await (const { batch } of scanSegment(segment, { ...(start && { start }), hasGaps: segment.hasGaps })) {
      if (batch !== null) producers.apply(batch, baseOffset(batch, 0), lastOffset(batch, 0), nowMs);
    }
  }
  return producers;
}
