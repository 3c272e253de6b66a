import type { Clock } from '../base/clock.ts';
import { Fault, isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { QUARANTINE_FOLDER } from './quarantine.ts';
import type { Segment } from './segment.ts';

const COPY_BYTES = 1024 * 1024;
/** Of a tail that is held in memory while its file makes room for it. */
const HELD_BYTES_MAX = 16 * 1024 * 1024;

interface CutContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly mustKeepTorn?: boolean;
}

/**
 * Ends a log in the middle of a segment, or before it (`end` null), since what follows was never promised to anyone. What is cut
 * off is kept aside, whole, if the disk has room for it. Takes the segments that are gone out of `segments`; returns how many
 * bytes that were.
 * @throws Fault diskFull, with nothing lost, where there is no room and it must be kept
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
  const tail = segments.splice(segments.indexOf(torn) + (end === null ? 0 : 1));
  const tornBytes = end === null ? 0 : torn.sizeBytes - end;
  const cutBytes = tail.reduce((sum, { sizeBytes }) => sum + sizeBytes, tornBytes);
  const keptIn = cutBytes === 0 ? folder : await asideFolder(disk, folder);
  for (const segment of tail) {
    if (segment.sizeBytes > 0) {
      await disk.rename(segment.logPath, await unusedName(disk, clock, `${keptIn}/${segment.baseOffset}`, 'log'));
    }
    await segment.remove();
  }
  let isSetAside = true;
  if (tornBytes > 0) {
    const name = await unusedName(disk, clock, `${keptIn}/${torn.baseOffset}-at-${end}`, 'bytes');
    isSetAside = await cutAside(context, torn, end!, name);
  }
  if (cutBytes === 0) return 0;
  await disk.syncFolder(keptIn);
  logger.warn(
    { folder, endOffset, cutBytes, keptIn: isSetAside ? keptIn : null },
    isSetAside
      ? 'a partition ended in a torn write, or in bytes that the disk has changed, past what is proven; it was cut off and kept aside'
      : 'a partition ended in a torn write, or in bytes that the disk has changed, past what is proven; it was cut off, and the full disk had no room to keep it',
  );
  return cutBytes;
}

/** A full disk may have no room for another folder. Beside the log's files, what is renamed needs none. */
async function asideFolder(disk: Disk, folder: string): Promise<string> {
  const quarantine = `${folder}/${QUARANTINE_FOLDER}`;
  try {
    await disk.makeFolder(quarantine);
    return quarantine;
  } catch (error) {
    if (!isFault(error, 'diskFull')) throw error;
    return folder;
  }
}

/** Cuts a segment after its tail is copied, or, on a full disk, before: that makes the room. False when even then there is none. */
async function cutAside(context: CutContext, segment: Segment, end: number, path: string): Promise<boolean> {
  const { disk, mustKeepTorn = false } = context;
  if (await copyTail(disk, segment, end, path)) {
    await segment.cutTo(end);
    return true;
  }
  if (mustKeepTorn) {
    const bytes = segment.sizeBytes - end;
    throw new Fault('diskFull', {
      detail: `${segment.logPath} ends in ${bytes} torn bytes, which are to be kept aside`,
    });
  }
  const isSmall = segment.sizeBytes - end <= HELD_BYTES_MAX;
  const bytes = isSmall ? await segment.read(end, segment.sizeBytes - end) : Buffer.alloc(0);
  await segment.cutTo(end);
  return isSmall && ifThereIsRoom(writeAside(disk, path, async (file) => file.write([bytes], 0)));
}

/** False on a full disk. */
async function ifThereIsRoom(write: Promise<void>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (!isFault(error, 'diskFull')) throw error;
    return false;
  }
}

/** So that nothing that is kept aside is ever overwritten, also when the clock stands still. */
async function unusedName(disk: Disk, clock: Clock, stem: string, ending: string): Promise<string> {
  for (let stamp = clock.wallMs(); ; stamp += 1) {
    const name = `${stem}-${stamp}.${ending}`;
    if ((await disk.size(name)) === null) return name;
  }
}

function copyTail(disk: Disk, segment: Segment, start: number, path: string): Promise<boolean> {
  const writing = writeAside(disk, path, async (file) => {
    for (let position = start; position < segment.sizeBytes; ) {
      const bytes = await segment.read(position, COPY_BYTES);
      await file.write([bytes], position - start);
      position += bytes.length;
    }
  });
  return ifThereIsRoom(writing);
}

export async function writeAside(disk: Disk, path: string, write: (file: DiskFile) => Promise<void>): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    await write(file);
    await file.sync();
    await file.close();
  } catch (error) {
    // Half a copy would be taken for all that was cut off.
    await Promise.allSettled([file.close(), disk.remove(path)]);
    throw error;
  }
}
