import { Fault } from '../base/faults.ts';
import type { Disk } from '../disk/disk.ts';
import { writeSealed } from './sealed-file.ts';

/*
 * A file outside of the journal's folder. While it is there, the journal may have what nothing else has: if the folder is
 * gone then, acknowledged records are gone with it. It comes after the first proofs, which nothing removes, and goes at a clean stop.
 */
export const JOURNAL_MARK_PATH = 'journal-in-use';

export async function markJournal(disk: Disk): Promise<void> {
  if ((await disk.size(JOURNAL_MARK_PATH)) === null) await writeSealed(disk, JOURNAL_MARK_PATH, {});
  // Also one that is there: a process that was killed may have left it in the page cache alone.
  await disk.syncFolder('.');
}

export async function unmarkJournal(disk: Disk): Promise<void> {
  if ((await disk.size(JOURNAL_MARK_PATH)) === null) return;
  await disk.remove(JOURNAL_MARK_PATH);
  await disk.syncFolder('.');
}

/** For a journal of which nothing was found. @throws Fault damagedMetadata when it is lost */
export async function checkHasNoMark(disk: Disk): Promise<void> {
  if ((await disk.size(JOURNAL_MARK_PATH)) === null) return;
  throw new Fault('damagedMetadata', {
    detail:
      'the files of journal are gone, and with them acknowledged records that only it may have had; mount its volume or put ' +
      `them back; to go on without those records, remove the file ${JOURNAL_MARK_PATH}`,
  });
}
