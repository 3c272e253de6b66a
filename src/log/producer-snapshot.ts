import type { Disk } from '../disk/disk.ts';
import type { ProducerState } from './producer-state.ts';
import { readSealed, writeSealed } from './sealed-file.ts';
import type { Segment } from './segment.ts';

/** Writes what the producers' state is after all records before `nextOffset`, beside the segment that goes on there. */
export async function writeProducers(
  disk: Disk,
  segment: Segment,
  snapshot: ReturnType<ProducerState['snapshot']>,
  nextOffset: number,
): Promise<void> {
  await writeSealed(disk, segment.producersPath, { nextOffset, producers: snapshot });
}

/**
 * Fills `producers` from the segment's snapshot; returns the offset from which the log itself must be applied to it. A
 * missing or damaged snapshot is a cache lost: then all of the segment is, and what only older ones show is forgotten.
 */
export async function readProducers(
  disk: Disk,
  segment: Segment,
  producers: ProducerState,
  nowMs: number,
): Promise<number> {
  const file = await readSealed(disk, segment.producersPath);
  if (typeof file === 'string') return segment.baseOffset;
  const { nextOffset, producers: snapshot } = file.content as { nextOffset?: unknown; producers?: unknown };
  if (!Number.isSafeInteger(nextOffset) || !producers.restore(snapshot, nowMs)) return segment.baseOffset;
  return nextOffset as number;
}
