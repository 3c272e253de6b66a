import { type Fault, isFault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Semaphore } from '../base/semaphore.ts';
import { BATCH_HEADER_BYTES, batchBytes, checkBatch, lastOffset, leaderEpoch, nextOffset } from '../record/batch.ts';
import { blocksOf } from './compacted-reads.ts';
import { Continuity } from './continuity.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { Segment } from './segment.ts';

/** What is read at once. */
const READ_BYTES = 256 * 1024;

/**
 * Every batch of a finished segment, in order, with all that proves it checked. The batches are the caller's. Each read of the
 * file takes one of `reads`. The last batch must end at `endNext`, where the next segment begins: what is missing in between
 * was lost, and may be put back.
 * @throws Fault corruptBatch where one is not what was written, or cannot be read: what follows cannot be told apart
 */
export async function* soundBatches(
  segment: Segment,
  endNext: number,
  epochs: LeaderEpochs,
  reads: Semaphore,
): AsyncGenerator<Buffer> {
  const isCompacted = segment.compacted !== null;
  const batches = isCompacted ? provenByBlocks(segment, reads) : provenByOffsets(segment, epochs, reads);
  let next = segment.baseOffset;
  for await (const batch of batches) {
    next = nextOffset(batch, 0);
    yield batch;
  }
  if (next === endNext) return;
  throw segment.damaged(segment.sizeBytes, `it ends before offset ${next}, and the next file begins with ${endNext}`);
}

async function* provenByBlocks(segment: Segment, reads: Semaphore): AsyncGenerator<Buffer> {
  const sums = await asDamage(segment, 0, () => reads.run(() => segment.sums()));
  const read: Segment['read'] = (position, bytes) =>
    asDamage(segment, position, () => reads.run(() => segment.read(position, bytes)));
  for await (const { position, bytes } of blocksOf(segment, sums, 0, read)) {
    if (bytes.length === 0) throw segment.damaged(position, 'a block is not what compaction wrote');
    for (let at = 0; at < bytes.length; ) {
      const size = batchBytes(bytes, at);
      yield bytes.subarray(at, at + size);
      at += size;
    }
  }
}

async function* provenByOffsets(segment: Segment, epochs: LeaderEpochs, reads: Semaphore): AsyncGenerator<Buffer> {
  const continuity = new Continuity(segment.baseOffset);
  let wanted = READ_BYTES;
  for (let position = 0; position < segment.sizeBytes; ) {
    const bytes = await asDamage(segment, position, () => reads.run(() => segment.read(position, wanted)));
    let at = 0;
    while (bytes.length - at >= BATCH_HEADER_BYTES && batchBytes(bytes, at) <= bytes.length - at) {
      const fault = checkBatch(bytes, at, bytes.length);
      if (fault !== null) throw segment.damaged(position + at, fault.message);
      const epoch = epochs.at(lastOffset(bytes, at));
      const { inPlace } = continuity.step(bytes, at);
      if (!inPlace || (epoch >= 0 && leaderEpoch(bytes, at) !== epoch)) {
        throw segment.damaged(position + at, 'a batch is not where its offsets or its leader epoch say');
      }
      const size = batchBytes(bytes, at);
      yield bytes.subarray(at, at + size);
      at += size;
    }
    const size = bytes.length - at >= BATCH_HEADER_BYTES ? batchBytes(bytes, at) : BATCH_HEADER_BYTES;
    if (at === 0 && (size <= bytes.length || size > Math.min(segment.sizeBytes - position, limits.frameBytesMax))) {
      throw segment.damaged(position, `${segment.sizeBytes - position} bytes are no whole batch`);
    }
    position += at;
    wanted = at === 0 ? size : READ_BYTES;
  }
}

/** What a bad sector takes of one segment is no reason to leave the others as they are. */
async function asDamage<T>(segment: Segment, position: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isFault(error, 'diskError') || lacksHandles(error)) throw error;
    throw segment.damaged(position, `it cannot be read: ${error.message}`);
  }
}

/** Whether the process has too many files open, which says nothing of this one and passes. */
function lacksHandles({ cause }: Fault): boolean {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
}
