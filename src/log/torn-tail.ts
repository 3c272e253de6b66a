import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { QUARANTINE_FOLDER } from './quarantine.ts';
import type { Segment } from './segment.ts';

const COPY_BYTES = 1024 * 1024;

interface CutContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Ends a log in the middle of a segment, or before it (`end` null), since what follows was never promised to anyone. What is cut
 * off is kept aside, whole. Takes the segments that are gone out of `segments`; returns how many bytes that were.
 */
export async function cutTornTail(
  context: CutContext,
  folder: string,
  segments: Segment[],
  torn: Segment,
  end: number | null,
  endOffset: number,
): Promise<number> {
  const { disk, clock, logger } = context;
  const quarantine = `${folder}/${QUARANTINE_FOLDER}`;
  let cutBytes = 0;
  for (const segment of segments.splice(segments.indexOf(torn) + (end === null ? 0 : 1))) {
    if (segment.sizeBytes > 0) {
      await disk.makeFolder(quarantine);
      await disk.rename(segment.logPath, await unusedName(disk, clock, `${quarantine}/${segment.baseOffset}`, 'log'));
      cutBytes += segment.sizeBytes;
    }
    await segment.remove();
  }
  if (end !== null && torn.sizeBytes > end) {
    cutBytes += torn.sizeBytes - end;
    await disk.makeFolder(quarantine);
    const name = await unusedName(disk, clock, `${quarantine}/${torn.baseOffset}-at-${end}`, 'bytes');
    await copyTail(disk, torn, end, name);
    await torn.cutTo(end);
  }
  if (cutBytes === 0) return 0;
  await disk.syncFolder(quarantine);
  logger.warn(
    { folder, endOffset, cutBytes, keptIn: quarantine },
    'a partition ended in a torn write, which nobody was told is stored; it was cut off and kept aside',
  );
  return cutBytes;
}

/** So that nothing that is kept aside is ever overwritten, also when the clock stands still. */
async function unusedName(disk: Disk, clock: Clock, stem: string, ending: string): Promise<string> {
  for (let stamp = clock.wallMs(); ; stamp += 1) {
    const name = `${stem}-${stamp}.${ending}`;
    if ((await disk.size(name)) === null) return name;
  }
}

async function copyTail(disk: Disk, segment: Segment, start: number, path: string): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    for (let position = start; position < segment.sizeBytes; ) {
      const bytes = await segment.read(position, COPY_BYTES);
      await file.write([bytes], position - start);
      position += bytes.length;
    }
    await file.sync();
    await file.close();
  } catch (error) {
    // Half a copy would be taken for all that was cut off.
    await Promise.allSettled([file.close(), disk.remove(path)]);
    throw error;
  }
}
