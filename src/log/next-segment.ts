import type { Disk } from '../disk/disk.ts';
import { maxTimestamp } from '../record/batch.ts';
import type { LogSettings } from './log-settings.ts';
import { writeProducers } from './producer-snapshot.ts';
import type { ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';
import type { WrittenBatch } from './unsynced-batches.ts';

/** Whether a batch is to be the first of another segment; `active` is ready. */
export function mustRoll({ batch, nextOffset }: WrittenBatch, active: Segment, settings: LogSettings): boolean {
  if (active.sizeBytes === 0) return false;
  // Entries of the indexes hold offsets relative to the segment's base in 31 bits.
  if (nextOffset - active.baseOffset > 0x7fffffff) return true;
  if (active.readyAgeAt(maxTimestamp(batch, 0)) > settings.segmentMs) return true;
  return active.sizeBytes + batch.length > settings.segmentBytes;
}

/** Makes the segment that follows, durably, with the producers' state at its start beside it; or leaves nothing of it. */
export async function nextSegment(
  disk: Disk,
  folder: string,
  baseOffset: number,
  indexIntervalBytes: number,
  producers: () => ReturnType<ProducerState['snapshot']>,
): Promise<Segment> {
  const segment = await Segment.create(disk, folder, baseOffset, indexIntervalBytes);
  try {
    await writeProducers(disk, segment, producers(), { nextOffset: baseOffset, position: 0 });
    await disk.syncFolder(folder);
  } catch (error) {
    await segment.remove();
    throw error;
  }
  return segment;
}
