import { Fault, isFault } from '../base/faults.ts';
import type { Semaphore } from '../base/semaphore.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  checkBatch,
  lastOffset,
  leaderEpoch,
  nextOffset,
} from '../record/batch.ts';
import { readCompacted } from './compacted-reads.ts';
import { Continuity } from './continuity.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogContext } from './log-context.ts';
import type { Marks } from './marks.ts';
import { lastIndexWhere } from './offset-index.ts';
import type { Quarantine, QuarantinedPlace } from './quarantine.ts';
import { READ_BUFFER_BYTES, type ReadBuffers } from './read-buffers.ts';
import { ReadFailures } from './read-failures.ts';
import type { Segment } from './segment.ts';
import { type KnownStart, scanSegment } from './segment-scan.ts';
import type { CachedTail, Page, Region } from './tail-cache.ts';

/** Read beyond what was asked for, since the index leads to a place up to an interval before the batch that is wanted. */
const SLACK_BYTES = 16 * 1024;
/** Read at once; who asks for more is answered from several reads. */
const WINDOW_BYTES = 1024 * 1024;
/** Of the memory that was read into, how much must be answered for it not to be copied out of it. */
const ANSWERED_SHARE_MIN = 0.5;

/** Whole batches, the first of which holds the offset asked for. */
export interface LogRead {
  /** To be sent as they are, in this order; never to be changed. */
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
  /** The offset after the last batch; the one asked for when there is none. */
  readonly nextOffset: number;
  /**
   * Says that one of the buffers, or none of them, is used any more, so that its memory may be. Whoever cannot tell need not
   * call it: the memory then stays theirs.
   */
  readonly release: (buffer?: Buffer) => void;
}

const nothing = (offset: number): LogRead => ({ buffers: [], bytes: 0, nextOffset: offset, release: () => {} });

/** Calls what is to be called when a buffer is released, once. */
function releaseOf(holds: Map<Buffer, () => void>): LogRead['release'] {
  const releaseOne = (buffer: Buffer): void => {
    const letGo = holds.get(buffer);
    if (holds.delete(buffer)) letGo!();
  };
  return (buffer) => {
    if (buffer !== undefined) releaseOne(buffer);
    else for (const one of holds.keys()) releaseOne(one);
  };
}

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
  readonly #epochs: LeaderEpochs;
  readonly quarantine: Quarantine;
  readonly failures: ReadFailures;
  /** For whoever else reads much of the log's files. */
  readonly reads: Semaphore;
  readonly #buffers: ReadBuffers;
  /** Searches for the extent of damage, one after the other: several readers come upon the same. */
  #searching: Promise<unknown> = Promise.resolve();
  readonly #rot: () => 'stop' | 'skip';

  constructor(
    log: { segments: readonly Segment[]; epochs: LeaderEpochs; quarantine: Quarantine },
    tail: CachedTail,
    marks: Marks,
    context: Pick<LogContext, 'reads' | 'readBuffers' | 'clock' | 'logger'>,
    rot: () => 'stop' | 'skip',
  ) {
    this.#segments = log.segments;
    this.#tail = tail;
    this.#marks = marks;
    this.#epochs = log.epochs;
    this.quarantine = log.quarantine;
    this.failures = new ReadFailures(context);
    this.reads = context.reads;
    this.#buffers = context.readBuffers;
    this.#rot = rot;
  }

  /**
   * Batches from `offset` on. Answers at once, without a promise, when they are in memory or there are none.
   * @throws Fault offsetOutOfRange; corruptBatch when the file holds something else than was written; those of the disk
   */
  read(offset: number, limits: ReadLimits): LogRead | Promise<LogRead> {
    const { logStart, writtenNext } = this.#marks;
    if (offset < logStart || offset > writtenNext) {
      throw new Fault('offsetOutOfRange', { detail: `${offset} is not within ${logStart} to ${writtenNext}` });
    }
    if (offset >= Math.min(limits.endNext, writtenNext)) return nothing(offset);
    const regions = this.#tail.from(offset);
    if (regions.length > 0) return fromRegions(regions, offset, limits);
    return this.reads.run(() => this.#inWindows(offset, limits));
  }

  /** As much as is asked for, a window after the other. */
  async #inWindows(offset: number, limits: ReadLimits): Promise<LogRead> {
    const first = await this.#fromFiles(offset, limits);
    const reads = [first];
    let { bytes, nextOffset: at } = first;
    const rest: ReadLimits = {
      endNext: limits.endNext,
      get bytesMax() {
        return limits.bytesMax - bytes;
      },
      atLeastOne: false,
    };
    while (reads.at(-1)!.bytes > 0 && rest.bytesMax >= WINDOW_BYTES && at < limits.endNext) {
      try {
        const read = await this.#fromFiles(at, rest);
        reads.push(read);
        bytes += read.bytes;
        at = read.nextOffset;
      } catch (error) {
        // What precedes it is served; whoever asks for what follows is told.
        if (!(error instanceof Fault)) throw error;
        break;
      }
    }
    if (reads.length === 1) return first;
    const release: LogRead['release'] = (buffer) => {
      for (const read of reads) read.release(buffer);
    };
    return { buffers: reads.flatMap((read) => read.buffers), bytes, nextOffset: at, release };
  }

  async #fromFiles(offset: number, limits: ReadLimits): Promise<LogRead> {
    for (let at = offset; ; ) {
      const found = await this.#fromSegment(at, limits);
      if ('buffers' in found) return found;
      if (this.#rot() === 'stop') throw this.quarantine.fault(found);
      this.quarantine.pass(found);
      at = found.nextOffset;
      if (at >= Math.min(limits.endNext, this.#marks.writtenNext)) return nothing(at);
      const regions = this.#tail.from(at);
      if (regions.length > 0) return fromRegions(regions, at, limits);
    }
  }

  /** What is stored at `offset`, or the damaged place that has it. */
  async #fromSegment(offset: number, limits: ReadLimits): Promise<LogRead | QuarantinedPlace> {
    // Damage before the offset may have led astray; once that is known, the way leads past it.
    for (let attempt = 1; ; attempt += 1) {
      this.#checkNotDeleted(offset);
      const index = lastIndexWhere(this.#segments.length, (i) => this.#segments[i]!.baseOffset <= offset);
      const segment = this.#segments[index]!;
      try {
        if (segment.hasGaps) return await this.#fromCompacted(segment, offset, limits);
        const start = await segment.index.startOf(offset);
        const past = this.quarantine.endBefore(segment, offset);
        const from = past !== null && past.position > start.position ? past : start;
        return await this.#readSegment(segment, from, offset, limits);
      } catch (error) {
        // Files that are gone are no failure where it was their turn to go, or where compaction put others in their place.
        this.#checkNotDeleted(offset);
        if (!this.#segments.includes(segment)) {
          attempt = 0;
          continue;
        }
        if (!isFault(error, 'corruptBatch')) throw this.failures.noted(error, segment);
        const place = await this.#damageAt(segment, offset).catch((failure: unknown) => {
          throw this.failures.noted(failure, segment);
        });
        if (place !== null) return place;
        if (!this.#segments.includes(segment)) attempt = 0;
        else if (attempt === 2) throw error;
      }
    }
  }

  /** The damaged place that has an offset, known before or found now; null when there is none, or no such segment any more. */
  #damageAt(segment: Segment, offset: number): Promise<QuarantinedPlace | null> {
    const search = this.#searching.then(async () => {
      const known = this.quarantine.find(offset);
      if (known !== null) return known;
      const start = await segment.index.startOf(offset);
      const { offsets } = await segment.index.loaded();
      const index = this.#segments.indexOf(segment);
      if (index < 0) return null;
      const pieces = scanSegment(segment, {
        start: this.quarantine.endBefore(segment, offset) ?? start,
        // Both as they are at this moment: what is appended meanwhile would be taken for damaged with one older than the other.
        endPosition: segment.sizeBytes,
        endNext: this.#segments[index + 1]?.baseOffset ?? segment.endNext,
        hasGaps: segment.hasGaps,
        epochsAt: (at) => this.#epochs.knownAt(at),
        startsAfter: (position) => offsets.after(position),
      });
      for await (const { batch, damage } of pieces) {
        if (damage !== null) await this.quarantine.add(segment, damage);
        if (offset < (damage?.nextOffset ?? nextOffset(batch!, 0))) break;
      }
      return this.quarantine.find(offset);
    });
    this.#searching = search.catch(() => {});
    return search;
  }

  /** The log's start may move while a read waits for its turn or for the disk; on a full disk files go just before it does. */
  #checkNotDeleted(offset: number): void {
    const logStart = Math.max(this.#marks.logStart, this.#segments[0]!.baseOffset);
    if (offset < logStart) throw new Fault('offsetOutOfRange', { detail: `${offset} is before ${logStart}` });
  }

  /** Batches of the one segment that holds `offset`, which is looked for from `start` on. @throws Fault corruptBatch when it does not */
  async #readSegment(segment: Segment, start: KnownStart, offset: number, limits: ReadLimits): Promise<LogRead> {
    const continuity = new Continuity(start.offset);
    let { position } = start;
    let windowBytes = Math.min(Math.max(limits.bytesMax, 0), WINDOW_BYTES) + SLACK_BYTES;
    let wanted = windowBytes;
    while (position + BATCH_HEADER_BYTES <= segment.sizeBytes) {
      const window = await this.#readableWindow(segment, position, wanted);
      const { bytes, failure } = window;
      // A read that fails may take seconds: more than the disk could read is not asked for again.
      if (failure !== null) windowBytes = bytes.length;
      let at = 0;
      while (bytes.length - at >= BATCH_HEADER_BYTES) {
        const size = batchBytes(bytes, at);
        if (size < BATCH_HEADER_BYTES || position + at + size > segment.sizeBytes) {
          throw segment.damaged(position + at, `a batch of ${size} bytes in a file of ${segment.sizeBytes}`);
        }
        // More than may be answered. What it is is looked at by whoever may take it.
        if (!limits.atLeastOne && size > limits.bytesMax && nextOffset(bytes, at) > offset) {
          return keep(window, 0, 0, offset);
        }
        // Looked at again, and only then stepped over, when all of it is read.
        if (at + size > bytes.length) break;
        const { nextOffset: next, inPlace } = continuity.step(bytes, at);
        if (offset < next) {
          // A segment has no gaps: when this one lies beyond the offset, the count of one before it is wrong.
          if (!inPlace || baseOffset(bytes, at) > offset) {
            throw segment.damaged(position + at, `offset ${offset} is not where the batches around it say`);
          }
          const { end, next: endNext } = cut(segment, bytes, at, position + at, limits, this.#epochs);
          return keep(window, at, end, end === at ? offset : endNext);
        }
        at += size;
      }
      const firstBytes = batchBytes(bytes, 0);
      window.giveBack();
      // The batch may end before the place that the disk cannot read.
      if (at === 0 && failure !== null && firstBytes >= wanted) throw failure;
      wanted = at > 0 ? windowBytes : Math.max(firstBytes, windowBytes);
      position += at;
    }
    throw segment.damaged(position, `offset ${offset} is missing`);
  }

  /** The same of a segment that was compacted. @throws Fault corruptBatch */
  async #fromCompacted(segment: Segment, offset: number, limits: ReadLimits): Promise<LogRead> {
    let window: Window | null = null;
    const found = await readCompacted(segment, offset, limits, WINDOW_BYTES, async (position, bytes) => {
      window = await this.#window(segment, position, bytes);
      return window.bytes;
    });
    return keep(window!, found.start, found.end, found.nextOffset);
  }

  /** As much of a window as the disk can read of its beginning, in a few attempts; `failure` is what kept it from the rest. */
  async #readableWindow(segment: Segment, position: number, bytes: number): Promise<Window & { failure: unknown }> {
    let failure: unknown = null;
    for (let wanted = bytes; ; wanted = Math.max(BATCH_HEADER_BYTES, Math.floor(wanted / 8))) {
      try {
        return { ...(await this.#window(segment, position, wanted)), failure };
      } catch (error) {
        if (!isFault(error, 'diskError') || wanted <= BATCH_HEADER_BYTES) throw error;
        failure ??= error;
      }
    }
  }

  /** What few ask for is not worth one of the large buffers. */
  async #window(segment: Segment, position: number, bytes: number): Promise<Window> {
    if (bytes > READ_BUFFER_BYTES || bytes < READ_BUFFER_BYTES * ANSWERED_SHARE_MIN) {
      const own = await segment.read(position, bytes);
      return { bytes: own, memoryBytes: own.length, giveBack: () => {} };
    }
    const buffer = this.#buffers.take();
    const read = await segment.read(position, bytes, buffer).catch((error: unknown) => {
      this.#buffers.give(buffer);
      throw error;
    });
    return { bytes: read, memoryBytes: buffer.length, giveBack: () => this.#buffers.give(buffer) };
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
  let run = null as { page: Page; bytes: Buffer; start: number; end: number } | null;
  const endRun = (): void => {
    if (run === null) return;
    const { page, bytes: all, start, end } = run;
    const buffer = all.subarray(start, end);
    buffers.push(buffer);
    page.pins += 1;
    holds.set(buffer, () => {
      page.pins -= 1;
    });
  };
  const holds = new Map<Buffer, () => void>();
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
      if (run?.bytes === page && run.end === at) run.end = end;
      else {
        endRun();
        run = { page: region.page, bytes: page, start: at, end };
      }
    }
    if (end < region.end) break;
  }
  endRun();
  return { buffers, bytes, nextOffset: next, release: releaseOf(holds) };
}

/** What was read at once. */
interface Window {
  readonly bytes: Buffer;
  /** Of the memory that it lies in. */
  readonly memoryBytes: number;
  /** Its bytes are not used any more. */
  readonly giveBack: () => void;
}

/** The batches from `start` to `end` of what was read. */
function keep({ bytes, memoryBytes, giveBack }: Window, start: number, end: number, next: number): LogRead {
  // What is on its way keeps all that was read alive, of which nobody counts the rest.
  if (end - start >= memoryBytes * ANSWERED_SHARE_MIN) {
    const found = bytes.subarray(start, end);
    const release = releaseOf(new Map([[found, giveBack]]));
    return { buffers: [found], bytes: found.length, nextOffset: next, release };
  }
  const copy = Buffer.from(bytes.subarray(start, end));
  giveBack();
  return { ...nothing(next), ...(copy.length > 0 && { buffers: [copy], bytes: copy.length }) };
}

/** The end of the whole, sound batches within the limits, from the one at `start` on. @throws Fault corruptBatch */
function cut(
  segment: Segment,
  bytes: Buffer,
  start: number,
  position: number,
  limits: ReadLimits,
  epochs: LeaderEpochs,
): { end: number; next: number } {
  let end = start;
  let next = baseOffset(bytes, start);
  while (bytes.length - end >= BATCH_HEADER_BYTES) {
    const size = batchBytes(bytes, end);
    if (size < BATCH_HEADER_BYTES || end + size > bytes.length) break;
    if (end + size - start > limits.bytesMax && !(end === start && limits.atLeastOne)) break;
    const damage = damageOf(bytes, end, next, epochs);
    if (damage !== null) {
      // What precedes the damage is served; whoever asks for what follows is told.
      if (end > start) break;
      throw segment.damaged(position, damage);
    }
    if (nextOffset(bytes, end) > limits.endNext) break;
    next = nextOffset(bytes, end);
    end += size;
  }
  return { end, next };
}

/** Why a batch cannot be what was written there; null when it is. What its CRC does not cover is known otherwise. */
function damageOf(bytes: Buffer, at: number, expectedOffset: number, epochs: LeaderEpochs): string | null {
  const fault = checkBatch(bytes, at, bytes.length);
  if (fault !== null) return fault.message;
  if (baseOffset(bytes, at) !== expectedOffset) {
    return `expected base offset ${expectedOffset}, found ${baseOffset(bytes, at)}`;
  }
  // Not known once the records were deleted while they were read.
  const epoch = epochs.at(lastOffset(bytes, at));
  if (epoch >= 0 && leaderEpoch(bytes, at) !== epoch) {
    return `expected leader epoch ${epoch}, found ${leaderEpoch(bytes, at)}`;
  }
  return null;
}
