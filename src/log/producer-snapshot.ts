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
 * Fills `producers` from the segment's snapshot; returns the offset from which the log itself must be applied to it. Null when
 * there is none, or none that can be of a log that ends before `endNext`: a cache lost.
 */
export async function readProducers(
  disk: Disk,
  segment: Segment,
  producers: ProducerState,
  nowMs: number,
  endNext: number,
): Promise<number | null> {
  const file = await readSealed(disk, segment.producersPath);
  if (typeof file === 'string') return null;
  const { nextOffset, producers: snapshot } = (file.content ?? {}) as { nextOffset?: unknown; producers?: unknown };
  if (!Number.isSafeInteger(nextOffset) || (nextOffset as number) > endNext) return null;
  return producers.restore(snapshot, nowMs) ? (nextOffset as number) : null;
}
