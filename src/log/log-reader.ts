import { Fault } from '../base/faults.ts';
import type { Semaphore } from '../base/semaphore.ts';
import { BATCH_HEADER_BYTES, batchBytes, checkBatch, lastOffset, nextOffset } from '../record/batch.ts';
import type { Marks } from './marks.ts';
import { lastIndexWhere } from './offset-index.ts';
import type { Segment } from './segment.ts';
import type { CachedTail, Region } from './tail-cache.ts';

/** Read beyond what was asked for, since the index leads to a place up to an interval before the batch that is wanted. */
const SLACK_BYTES = 16 * 1024;

/** Whole batches, the first of which holds the offset asked for (or, after compaction, is the next after it). */
export interface LogRead {
  /** To be sent as they are, in this order; never to be changed. */
  readonly buffers: Buffer[];
  readonly bytes: number;
  /** The offset after the last batch; the one asked for when there is none. */
  readonly nextOffset: number;
}

const nothing = (offset: number): LogRead => ({ buffers: [], bytes: 0, nextOffset: offset });

export interface ReadLimits {
  /** Nothing from this offset on is returned: the high watermark. */
  readonly endNext: number;
  readonly bytesMax: number;
  /** Whether one batch is returned even if it is larger than `bytesMax`, so that a reader can go on (KIP-74). */
  readonly atLeastOne: boolean;
}

/** Reads one partition: from memory at the tail, else from a segment file through its index. */
export class LogReader {
  readonly #segments: readonly Segment[];
  readonly #tail: CachedTail;
  readonly #marks: Marks;
  readonly #reads: Semaphore;

  constructor(segments: readonly Segment[], tail: CachedTail, marks: Marks, reads: Semaphore) {
    this.#segments = segments;
    this.#tail = tail;
    this.#marks = marks;
    this.#reads = reads;
  }

  /**
   * Batches from `offset` on. Answers at once, without a promise, when they are in memory or there are none.
   * @throws Fault offsetOutOfRange; corruptBatch when the file holds something else than was written
   */
  read(offset: number, limits: ReadLimits): LogRead | Promise<LogRead> {
    const { logStart, writtenNext } = this.#marks;
    if (offset < logStart || offset > writtenNext) {
      throw new Fault('offsetOutOfRange', { detail: `${offset} is not within ${logStart} to ${writtenNext}` });
    }
    if (offset >= limits.endNext) return nothing(offset);
    const regions = this.#tail.from(offset);
    if (regions.length > 0) return fromRegions(regions, offset, limits);
    return this.#reads.run(() => this.#fromFiles(offset, limits));
  }

  async #fromFiles(offset: number, limits: ReadLimits): Promise<LogRead> {
    let index = lastIndexWhere(this.#segments.length, (i) => this.#segments[i]!.baseOffset <= offset);
    // Deleted while this read waited for its turn: the log starts later now.
    if (index < 0) throw new Fault('offsetOutOfRange', { detail: `${offset} was deleted` });
    for (let segment = this.#segments[index]; segment !== undefined; segment = this.#segments[++index]) {
      const found = await readSegment(segment, offset, limits);
      if (found !== null) return found;
    }
    return nothing(offset);
  }
}

function fromRegions(
  regions: readonly Region[],
  offset: number,
  { endNext, bytesMax, atLeastOne }: ReadLimits,
): LogRead {
  const buffers: Buffer[] = [];
  let bytes = 0;
  let next = offset;
  let run = null as { page: Buffer; start: number; end: number } | null;
  for (const region of regions) {
    const page = region.page.bytes!;
    let at = region.start;
    while (at < region.end && nextOffset(page, at) <= offset) at += batchBytes(page, at);
    let end = at;
    if (region.nextOffset <= endNext && bytes + region.end - at <= bytesMax) {
      end = region.end;
      next = region.nextOffset;
    } else {
      while (end < region.end && nextOffset(page, end) <= endNext) {
        const size = batchBytes(page, end);
        const first = bytes === 0 && end === at;
        if (bytes + end + size - at > bytesMax && !(first && atLeastOne)) break;
        next = nextOffset(page, end);
        end += size;
      }
    }
    if (end > at) {
      bytes += end - at;
      if (run?.page === page && run.end === at) run.end = end;
      else {
        if (run !== null) buffers.push(run.page.subarray(run.start, run.end));
        run = { page, start: at, end };
      }
    }
    if (end < region.end) break;
  }
  if (run !== null) buffers.push(run.page.subarray(run.start, run.end));
  return { buffers, bytes, nextOffset: next };
}

/** Where to begin to look for `offset`: as the index says, if the log agrees with it; indexes are caches and may lie. */
async function startOf(segment: Segment, offset: number): Promise<number> {
  const entry = (await segment.index()).offsets.floor(offset);
  if (entry === null) return 0;
  const header = await segment.read(entry.position, BATCH_HEADER_BYTES);
  if (header.length === BATCH_HEADER_BYTES && lastOffset(header, 0) === entry.offset) return entry.position;
  await segment.rebuildIndex();
  return (await segment.index()).offsets.floor(offset)?.position ?? 0;
}

/** Null when the segment holds no batch from `offset` on. */
async function readSegment(segment: Segment, offset: number, limits: ReadLimits): Promise<LogRead | null> {
  let position = await startOf(segment, offset);
  let wanted = limits.bytesMax + SLACK_BYTES;
  for (;;) {
    const bytes = await segment.read(position, wanted);
    if (bytes.length < Math.min(wanted, segment.sizeBytes - position)) {
      throw damaged(segment, position + bytes.length, `the file ends before byte ${segment.sizeBytes}`);
    }
    let at = 0;
    while (bytes.length - at >= BATCH_HEADER_BYTES && nextOffset(bytes, at) <= offset) {
      const size = batchBytes(bytes, at);
      if (size < BATCH_HEADER_BYTES) throw damaged(segment, position + at, `a batch of ${size} bytes`);
      at += size;
    }
    const here = position + at;
    if (here + BATCH_HEADER_BYTES > segment.sizeBytes) return null;
    if (bytes.length - at >= BATCH_HEADER_BYTES) {
      const size = batchBytes(bytes, at);
      if (size < BATCH_HEADER_BYTES || here + size > segment.sizeBytes) {
        throw damaged(segment, here, `a batch of ${size} bytes in a file of ${segment.sizeBytes}`);
      }
      if (at + size <= bytes.length) return cut(segment, bytes, at, here, offset, limits);
      wanted = Math.max(size, limits.bytesMax);
    }
    position = here;
  }
}

/** The whole, sound batches within the limits, from the one at `start` on. */
function cut(
  segment: Segment,
  bytes: Buffer,
  start: number,
  position: number,
  offset: number,
  limits: ReadLimits,
): LogRead {
  let end = start;
  let next = offset;
  while (bytes.length - end >= BATCH_HEADER_BYTES) {
    const size = batchBytes(bytes, end);
    if (size < BATCH_HEADER_BYTES || end + size > bytes.length || nextOffset(bytes, end) > limits.endNext) break;
    if (end + size - start > limits.bytesMax && !(end === start && limits.atLeastOne)) break;
    const fault = checkBatch(bytes, end, bytes.length);
    if (fault !== null) {
      // What precedes the damage is served; whoever asks for what follows is told.
      if (end > start) break;
      throw damaged(segment, position, fault.message);
    }
    next = nextOffset(bytes, end);
    end += size;
  }
  if (end === start) return nothing(offset);
  return { buffers: [bytes.subarray(start, end)], bytes: end - start, nextOffset: next };
}

function damaged(segment: Segment, position: number, what: string): Fault {
  return new Fault('corruptBatch', { detail: `${segment.logPath} at byte ${position}: ${what}` });
}
