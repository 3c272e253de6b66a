import { Fault } from '../base/faults.ts';
import { BATCH_HEADER_BYTES, batchBytes, nextOffset } from '../record/batch.ts';
import type { BlockSums } from './block-sums.ts';
import type { Segment } from './segment.ts';
import type { DamagedBytes, ScannedPiece } from './segment-scan.ts';

/** What is read at once. */
const READ_BYTES = 256 * 1024;

/** Whole batches, end to end, with what proves them checked. */
interface ProvenBatches {
  readonly position: number;
  /** Empty where the block is not what was written. */
  readonly bytes: Buffer;
}

/** The blocks of a compacted segment from number `first` on, one after the other, as `read` finds them in its file. */
export async function* blocksOf(
  segment: Segment,
  sums: BlockSums,
  first: number,
  read: Segment['read'] = (position, bytes) => segment.read(position, bytes),
): AsyncGenerator<ProvenBatches> {
  for (let i = first; i < sums.length; ) {
    const { start } = sums.block(i);
    let last = i;
    while (last + 1 < sums.length && sums.block(last + 1).end - start <= READ_BYTES) last += 1;
    const bytes = await read(start, sums.block(last).end - start);
    for (; i <= last; i += 1) {
      const block = sums.block(i);
      const piece = bytes.subarray(block.start - start, block.end - start);
      yield { position: block.start, bytes: sums.proves(i, piece) ? piece : Buffer.alloc(0) };
    }
  }
}

/** As scanSegment, of one that is compacted: a block that is not what compaction wrote is damaged as a whole. */
export async function* scanCompacted(
  segment: Segment,
  position: number,
  endPosition: number,
): AsyncGenerator<ScannedPiece> {
  let sums: BlockSums;
  try {
    sums = await segment.sums();
  } catch (error) {
    if (!(error instanceof Fault) || error.fault !== 'corruptBatch') throw error;
    // Nothing tells any more which part of it is what was written.
    yield { position: 0, batch: null, damage: wholeDamage(segment, error.message) };
    return;
  }
  let number = sums.withPosition(position);
  for await (const { position: start, bytes } of blocksOf(segment, sums, number)) {
    if (start >= endPosition) return;
    if (bytes.length === 0) yield { position: start, batch: null, damage: damageOf(segment, sums, number) };
    for (let at = 0; at < bytes.length; ) {
      const size = batchBytes(bytes, at);
      if (start + at >= position && start + at < endPosition) {
        yield { position: start + at, batch: bytes.subarray(at, at + size), damage: null };
      }
      at += size;
    }
    number += 1;
  }
}

function damageOf(segment: Segment, sums: BlockSums, number: number): DamagedBytes {
  const { start, end, nextOffset: next } = sums.block(number);
  const firstOffset = number === 0 ? segment.baseOffset : sums.block(number - 1).nextOffset;
  const what = 'the bytes do not have the checksum that compaction noted';
  return { position: start, bytes: end - start, firstOffset, nextOffset: next, what };
}

function wholeDamage(segment: Segment, what: string): DamagedBytes {
  const { baseOffset: firstOffset, sizeBytes: bytes } = segment;
  return { position: 0, bytes, firstOffset, nextOffset: segment.compacted!.endNext, what };
}

/** Reads from a segment; what it returns may be a part of what it used. */
export type SegmentRead = (position: number, bytes: number) => Promise<Buffer>;

export interface CompactedRead {
  /** What was read. */
  readonly bytes: Buffer;
  /** Of that, from the batch on that holds the offset or, in a gap, follows it; empty when that is larger than what was asked for. */
  readonly start: number;
  readonly end: number;
  readonly nextOffset: number;
}

/**
 * Whole batches from `offset` on, at most `bytesMax` (or one, if `atLeastOne`), none that reaches `endNext`.
 * @throws Fault corruptBatch when the block is not what was written
 */
export async function readCompacted(
  segment: Segment,
  offset: number,
  { bytesMax, atLeastOne, endNext }: { bytesMax: number; atLeastOne: boolean; endNext: number },
  windowBytes: number,
  read: SegmentRead,
): Promise<CompactedRead> {
  const sums = await segment.sums();
  const first = sums.withOffset(offset);
  if (first === sums.length) throw segment.damaged(segment.sizeBytes, `offset ${offset} is missing`);
  const { start } = sums.block(first);
  let last = first;
  while (last + 1 < sums.length && sums.block(last).end - start < Math.min(bytesMax, windowBytes)) last += 1;
  const all = await read(start, sums.block(last).end - start);
  let provenEnd = 0;
  for (let i = first; i <= last; i += 1) {
    const block = sums.block(i);
    if (!sums.proves(i, all.subarray(block.start - start, block.end - start))) break;
    provenEnd = block.end - start;
  }
  if (provenEnd === 0) {
    throw segment.damaged(start, damageOf(segment, sums, first).what);
  }
  let from = 0;
  while (nextOffset(all, from) <= offset) from += batchBytes(all, from);
  let end = from;
  let next = offset;
  while (end + BATCH_HEADER_BYTES <= provenEnd && nextOffset(all, end) <= endNext) {
    const size = batchBytes(all, end);
    if (end + size - from > bytesMax && !(end === from && atLeastOne)) break;
    next = nextOffset(all, end);
    end += size;
  }
  return { bytes: all, start: from, end, nextOffset: next };
}
