import type { Disk } from '../disk/disk.ts';
import { writeProducers } from './producer-snapshot.ts';
import type { ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';

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
