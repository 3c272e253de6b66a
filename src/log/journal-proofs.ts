import type { Disk } from '../disk/disk.ts';
import { JOURNAL_FOLDER, PROOFS_PATH, type Proofs } from './journal-replay.ts';
import { writeSealed } from './sealed-file.ts';

/** Puts proofs in the place of those before, durably. */
export async function writeProofs(disk: Disk, proofs: Proofs): Promise<void> {
  await disk.makeFolder(JOURNAL_FOLDER);
  await writeSealed(disk, PROOFS_PATH, proofs);
  await disk.syncFolder(JOURNAL_FOLDER);
}
