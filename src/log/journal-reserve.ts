import { Fault } from '../base/faults.ts';
import type { Disk } from '../disk/disk.ts';

export const RESERVE_PATH = 'journal/reserve';
/** Zeros written at once, so that others get their turn at the disk. */
const WRITE_BYTES = 1024 * 1024;

/**
 * Makes the file, unless it is there, that a start on a full disk removes: what was acknowledged may be in the journal alone,
 * and needs as much room in the segment files. Other programs may take the room first; then there is no help.
 * `isWanted` false ends it. @throws Fault diskFull
 */
export async function makeReserve(disk: Disk, bytes: number, isWanted: () => boolean): Promise<void> {
  if (bytes === 0 || (await disk.size(RESERVE_PATH)) === bytes) return;
  await disk.remove(RESERVE_PATH);
  const file = await disk.open(RESERVE_PATH, 'create');
  try {
    const zeros = Buffer.alloc(Math.min(WRITE_BYTES, bytes));
    for (let at = 0; at < bytes; at += zeros.length) {
      if (!isWanted()) throw new Fault('brokerStopped');
      await file.write([zeros.subarray(0, Math.min(zeros.length, bytes - at))], at);
    }
    await file.sync();
    await file.close();
  } catch (error) {
    await Promise.allSettled([file.close(), disk.remove(RESERVE_PATH)]);
    throw error;
  }
  await disk.syncFolder('journal');
}
