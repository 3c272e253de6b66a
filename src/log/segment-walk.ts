import { BATCH_HEADER_BYTES, batchBytes } from '../record/batch.ts';
import type { Segment } from './segment.ts';

/** What is read at once when a segment is walked from one end to the other. */
const WALK_BYTES = 1024 * 1024;

/**
 * Calls `visit` for each whole batch from `position` on, until it returns false or no whole batch follows; returns the
 * position after the last one visited with true. The batch is only the visitor's for the time of its call. Nothing is checked.
 */
export async function walkBatches(
  segment: Segment,
  position: number,
  visit: (batch: Buffer, position: number) => boolean,
  bytesAtOnce = WALK_BYTES,
): Promise<number> {
  let at = position;
  let wanted = bytesAtOnce;
  while (at + BATCH_HEADER_BYTES <= segment.sizeBytes) {
    const bytes = await segment.read(at, wanted);
    let used = 0;
    while (bytes.length - used >= BATCH_HEADER_BYTES) {
      const size = batchBytes(bytes, used);
      // A batch of impossible size ends the walk: what follows it cannot be told apart.
      if (size < BATCH_HEADER_BYTES || at + used + size > segment.sizeBytes) return at + used;
      if (used + size > bytes.length) break;
      if (!visit(bytes.subarray(used, used + size), at + used)) return at + used;
      used += size;
    }
    at += used;
    wanted = used === 0 ? Math.max(bytesAtOnce, batchBytes(bytes, 0)) : bytesAtOnce;
  }
  return at;
}
