import { Fault } from '../base/faults.ts';
import type { Disk } from '../disk/disk.ts';
import type { EpochStart } from './leader-epochs.ts';
import { readSealed, writeSealed } from './sealed-file.ts';

/** The proof of how far a partition is durable: everything before this place was synced when it was written. */
export interface Checkpoint {
  /** The segment, by its base offset, and the position in its file, up to which all is durable. */
  readonly segmentBase: number;
  readonly position: number;
  /** The offset after the last record before that place. */
  readonly durableNext: number;
  readonly logStart: number;
  readonly epochs: readonly EpochStart[];
}

/** Written at each roll, at a clean stop, and when the log's start moves. */
export async function writeCheckpoint(disk: Disk, folder: string, checkpoint: Checkpoint): Promise<void> {
  await writeSealed(disk, `${folder}/checkpoint`, checkpoint);
  await disk.syncFolder(folder);
}

/** Null when there is none yet. @throws Fault damagedMetadata: what is proven is then unknown, and nothing is guessed. */
export async function readCheckpoint(disk: Disk, folder: string): Promise<Checkpoint | null> {
  const path = `${folder}/checkpoint`;
  const file = await readSealed(disk, path);
  if (file === 'missing') return null;
  if (file === 'damaged' || !isCheckpoint(file.content)) throw new Fault('damagedMetadata', { detail: path });
  return file.content;
}

function isCheckpoint(content: unknown): content is Checkpoint {
  const { segmentBase, position, durableNext, logStart, epochs } = (content ?? {}) as Partial<Checkpoint>;
  return (
    [segmentBase, position, durableNext, logStart].every((value) => Number.isSafeInteger(value) && value! >= 0) &&
    Array.isArray(epochs) &&
    epochs.every((start) => Number.isSafeInteger(start?.epoch) && Number.isSafeInteger(start?.startOffset))
  );
}
