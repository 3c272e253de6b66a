import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { crc32c } from '../record/crc32c.ts';
import { ROUND_HEADER_BYTES } from './journal-round.ts';
import { QUARANTINE_FOLDER } from './quarantine.ts';
import { readWhole } from './sealed-file.ts';
import { writeAside } from './torn-tail.ts';

/** What is taken of a round whose header does not say how long it is: as much as most rounds have at most. */
const UNKNOWN_BYTES_MAX = 4 * 1024 * 1024;

/** A round at the journal's end that is not whole: what a crash left of a write, or one that was damaged since. */
export interface TornRound {
  readonly file: string;
  readonly position: number;
  readonly bytes: Buffer;
}

/** Reads it, while its file is there; `saysBytes` is how long its header says that it is. */
export async function readTornRound(disk: Disk, file: string, position: number, saysBytes: number): Promise<TornRound> {
  const handle = await disk.open(file, 'read');
  try {
    const left = (await handle.size()) - position;
    const isKnown = saysBytes > ROUND_HEADER_BYTES && saysBytes <= left;
    const bytes = Buffer.allocUnsafeSlow(isKnown ? saysBytes : Math.min(left, UNKNOWN_BYTES_MAX));
    return { file, position, bytes: bytes.subarray(0, await handle.read(bytes, position)) };
  } finally {
    await handle.close();
  }
}

/** Keeps it aside, as recovery does what it cuts off. One that was kept before is not kept twice. */
export async function keepTornRound(
  { disk, logger }: { disk: Disk; logger: Logger },
  { file, position, bytes }: TornRound,
): Promise<void> {
  const slash = file.lastIndexOf('/');
  try {
    const keptIn = `${file.slice(0, slash)}/${QUARANTINE_FOLDER}`;
    await disk.makeFolder(keptIn);
    const checksum = crc32c(bytes).toString(16).padStart(8, '0');
    const path = `${keptIn}/${file.slice(slash + 1)}-at-${position}-${checksum}.bytes`;
    if ((await readWhole(disk, path))?.equals(bytes)) return;
    // A crash may have left a part.
    await disk.remove(path);
    await writeAside(disk, path, (aside) => aside.write([bytes], 0));
    await disk.syncFolder(keptIn);
    logger.warn({ file, position, keptIn: path }, 'the round of the journal that is not whole was kept aside');
  } catch (err) {
    if (!(err instanceof Fault)) throw err;
    logger.warn({ err, file, position }, 'the round of the journal that is not whole could not be kept aside');
  }
}
