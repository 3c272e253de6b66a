import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { LogRead } from '../log/log-reader.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { type EpochEnd, epochEnd } from './offsets.ts';

export interface FetchPart {
  /** The partition, or why it cannot be read. */
  readonly log: PartitionLog | Fault;
  readonly offset: number;
  readonly bytesMax: number;
  /** The leader epoch of what the reader has read last, for it to learn whether the log was cut behind that; -1: no matter. */
  readonly lastEpoch: number;
}

export interface Fetched {
  readonly fault: Fault | null;
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
  readonly highWatermark: number;
  readonly logStart: number;
  /** Where the log parted from what the reader has read (KIP-595); nothing is read then. */
  readonly divergence: EpochEnd | null;
  /** See LogRead.release. */
  readonly release: LogRead['release'];
}

export interface FetchLimits {
  /** Bytes to wait for; 0 or 1 answer with the first record. */
  readonly minBytes: number;
  /** All that is gathered is no more than this, but for a first batch (KIP-74). */
  readonly bytesMax: number;
  readonly maxWaitMs: number;
  /** Bytes that there is room for now, whatever the reader would take: with none, not even a first batch is read. */
  readonly room: () => number;
  /** Told of what is read, and with a negative number of what is given up again. */
  readonly hold: (bytes: number) => void;
}

/**
 * Reads several partitions, in their order, up to the limits. While there is too little, waits for their watermarks to move,
 * at most `maxWaitMs`. A partition that fails fails alone, and ends the wait.
 */
export async function fetch(
  parts: readonly FetchPart[],
  limits: FetchLimits,
  clock: Clock,
  signal: AbortSignal,
): Promise<Fetched[]> {
  const deadlineMs = clock.monotonicMs() + limits.maxWaitMs;
  for (;;) {
    const seen = parts.map(({ log }) => (log instanceof Fault ? 0 : log.marks.highWatermark));
    const fetched: Fetched[] = [];
    try {
      const rest = gather(parts, limits, fetched);
      if (rest !== null) await rest;
    } catch (bug) {
      letGo(fetched);
      throw bug;
    }
    const bytes = fetched.reduce((sum, part) => sum + part.bytes, 0);
    const ended = fetched.some(({ fault, divergence }) => fault !== null || divergence !== null);
    // Nothing to wait for, or more to wait for than may be answered: what there is must do.
    const enough = parts.length === 0 || bytes >= Math.min(limits.minBytes, limits.bytesMax);
    const done = enough || ended || signal.aborted;
    const leftMs = deadlineMs - clock.monotonicMs();
    if (done || leftMs <= 0) return fetched;
    const moved = parts.some(({ log }, i) => !(log instanceof Fault) && log.marks.highWatermark > seen[i]!);
    letGo(fetched);
    limits.hold(-bytes);
    if (!moved) await move(parts, leftMs, clock, signal);
  }
}

/** Resolves with the next move of one of the watermarks, at the time limit, or when the reader is gone. */
function move(parts: readonly FetchPart[], waitMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      for (const stop of stops) stop();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const stops = [clock.after(waitMs, wake)];
    for (const { log } of parts) if (!(log instanceof Fault)) stops.push(log.watch(wake));
    signal.addEventListener('abort', wake);
  });
}

function letGo(fetched: readonly Fetched[]): void {
  for (const { release } of fetched) release();
}

/** One pass over the partitions, into `fetched`; null, and no promise, when all that is asked for is in memory. */
function gather(parts: readonly FetchPart[], limits: FetchLimits, fetched: Fetched[]): Promise<void> | null {
  let bytes = 0;
  for (const part of parts) {
    const read = readPart(part, bytes, limits);
    if (read instanceof Promise) return gatherRest(parts, read, bytes, limits, fetched);
    fetched.push(read);
    limits.hold(read.bytes);
    bytes += read.bytes;
  }
  return null;
}

/** `first`: what is being read of the part that comes next. */
async function gatherRest(
  parts: readonly FetchPart[],
  first: Promise<Fetched>,
  bytesBefore: number,
  limits: FetchLimits,
  fetched: Fetched[],
): Promise<void> {
  let bytes = bytesBefore;
  const index = fetched.length;
  for (let i = index; i < parts.length; i += 1) {
    const read = await (i === index ? first : readPart(parts[i]!, bytes, limits));
    fetched.push(read);
    limits.hold(read.bytes);
    bytes += read.bytes;
  }
}

/** `bytes` have been read from the partitions before. */
function readPart(part: FetchPart, bytes: number, limits: FetchLimits): Fetched | Promise<Fetched> {
  const { log, offset } = part;
  if (log instanceof Fault) return failed(log, null);
  if (log.stopped !== null) return failed(log.stopped, log);
  try {
    const divergence = divergenceOf(log, part);
    const bytesLeft = (): number => Math.min(limits.bytesMax - bytes, limits.room());
    const isFirst = (): boolean => bytes === 0 && limits.room() > 0;
    // With no room for more only the marks are told.
    if (divergence !== null || (bytesLeft() <= 0 && !isFirst())) return succeeded(log, null, divergence);
    const read = log.reader.read(offset, {
      endNext: log.marks.highWatermark,
      // Asked for when the read takes place: it may have waited for its turn while others took the room.
      get atLeastOne() {
        return isFirst();
      },
      get bytesMax() {
        return Math.max(0, Math.min(part.bytesMax, bytesLeft()));
      },
    });
    if (!(read instanceof Promise)) return succeeded(log, read);
    return read.then(
      (found) => succeeded(log, found),
      (error) => failed(error, log),
    );
  } catch (error) {
    return failed(error, log);
  }
}

/** @throws Fault offsetOutOfRange when nobody knows any more where the reader's epoch ended */
function divergenceOf(log: PartitionLog, { lastEpoch, offset }: FetchPart): EpochEnd | null {
  if (lastEpoch < 0) return null;
  const end = epochEnd(log, lastEpoch, log.marks.writtenNext);
  if (end === null) throw new Fault('offsetOutOfRange', { detail: `no leader epoch ${lastEpoch} is known` });
  return end.epoch < lastEpoch || end.endOffset < offset ? end : null;
}

const NOTHING = { buffers: [], bytes: 0, release: (): void => {} };

function succeeded({ marks }: PartitionLog, read: LogRead | null, divergence: EpochEnd | null = null): Fetched {
  const { highWatermark, logStart } = marks;
  const { buffers, bytes, release } = read ?? NOTHING;
  return { fault: null, buffers, bytes, highWatermark, logStart, divergence, release };
}

function failed(error: unknown, log: PartitionLog | null): Fetched {
  if (!(error instanceof Fault)) throw error;
  const { highWatermark, logStart } = log?.marks ?? { highWatermark: -1, logStart: -1 };
  return { fault: error, ...NOTHING, highWatermark, logStart, divergence: null };
}
