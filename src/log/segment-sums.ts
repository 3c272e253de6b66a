import { Fault } from '../base/faults.ts';
import type { Disk } from '../disk/disk.ts';
import { nextOffset } from '../record/batch.ts';
import { BlockSums, BlockSumsBuilder } from './block-sums.ts';
import { loadChecksum } from './checksum.ts';
import { readCache, writeWhole } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { walkBatches } from './segment-walk.ts';

/** What compaction says of a segment that it wrote. */
export interface CompactedProof {
  /** The offset after the last of those that it stands for; its last batch ends there. */
  readonly endNext: number;
  readonly bytes: number;
  /** Tells it from those of the same base offset that were written before. */
  readonly number: number;
  /** XXH64 of its .sums file. */
  readonly sums: string;
}

/** The block sums of a compacted segment as their file has them; 'damaged' when it is not what compaction wrote. */
export async function readSums(disk: Disk, segment: Segment, path: string): Promise<BlockSums | 'missing' | 'damaged'> {
  const stored = await readCache(disk, path);
  if (stored === null) return 'missing';
  return BlockSums.parse(stored, segment.baseOffset, segment.compacted!, await loadChecksum()) ?? 'damaged';
}

/**
 * The block sums of a compacted segment: from their file or, when that is lost, from the log, if it is what was written.
 * @throws Fault corruptBatch
 */
export async function loadSums(disk: Disk, segment: Segment, path: string): Promise<BlockSums> {
  const checksum = await loadChecksum();
  const { sums: expected, bytes: sizeBytes, endNext } = segment.compacted!;
  const stored = await readSums(disk, segment, path);
  if (typeof stored !== 'string') return stored;
  const builder = new BlockSumsBuilder(segment.baseOffset, checksum);
  const end = await walkBatches(segment, 0, (batch) => {
    const next = nextOffset(batch, 0);
    // A damaged offset has no place in the sums: the walk ends before the end, which is told of below.
    if (next <= segment.baseOffset || next > endNext) return false;
    builder.add(batch, next);
    return true;
  });
  const sums = builder.end();
  if (end !== sizeBytes || segment.sizeBytes !== sizeBytes || sums.sum !== expected) {
    throw segment.damaged(0, 'it is not what compaction wrote, and the checksums that would say where are lost');
  }
  try {
    await segment.beside(() => writeWhole(disk, path, sums.toBytes()));
  } catch (error) {
    // It only saves time: on a full disk it is made again by the next who needs it.
    if (!(error instanceof Fault)) throw error;
  }
  return sums;
}
