import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { LogRead } from '../log/log-reader.ts';
import type { PartitionLog } from '../log/partition-log.ts';

export interface FetchPart {
  /** The partition, or why it cannot be read. */
  readonly log: PartitionLog | Fault;
  readonly offset: number;
  readonly bytesMax: number;
}

export interface Fetched {
  readonly fault: Fault | null;
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
  readonly highWatermark: number;
  readonly logStart: number;
  /** See LogRead.release. */
  readonly release: () => void;
}

export interface FetchLimits {
  /** Bytes to wait for; 0 or 1 answer with the first record. */
  readonly minBytes: number;
  readonly bytesMax: number;
  readonly maxWaitMs: number;
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
    const gathered = gather(parts, limits.bytesMax);
    const fetched = gathered instanceof Promise ? await gathered : gathered;
    const bytes = fetched.reduce((sum, part) => sum + part.bytes, 0);
    const done = bytes >= limits.minBytes || fetched.some(({ fault }) => fault !== null) || signal.aborted;
    const leftMs = deadlineMs - clock.monotonicMs();
    if (done || leftMs <= 0) return fetched;
    const moved = parts.some(({ log }, i) => !(log instanceof Fault) && log.marks.highWatermark > seen[i]!);
    for (const { release } of fetched) release();
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

/** One pass over the partitions; without a promise when all that is asked for is in memory. */
function gather(parts: readonly FetchPart[], bytesMax: number): Fetched[] | Promise<Fetched[]> {
  const fetched: Fetched[] = [];
  let bytesLeft = bytesMax;
  for (let i = 0; i < parts.length; i += 1) {
    const read = readPart(parts[i]!, bytesLeft, bytesLeft === bytesMax);
    if (read instanceof Promise) return gatherRest(parts, i, read, fetched, bytesMax, bytesLeft);
    fetched.push(read);
    bytesLeft -= read.bytes;
  }
  return fetched;
}

async function gatherRest(
  parts: readonly FetchPart[],
  index: number,
  first: Promise<Fetched>,
  fetched: Fetched[],
  bytesMax: number,
  bytesLeftBefore: number,
): Promise<Fetched[]> {
  let bytesLeft = bytesLeftBefore;
  for (let i = index; i < parts.length; i += 1) {
    const read = await (i === index ? first : readPart(parts[i]!, bytesLeft, bytesLeft === bytesMax));
    fetched.push(read);
    bytesLeft -= read.bytes;
  }
  return fetched;
}

function readPart(part: FetchPart, bytesLeft: number, first: boolean): Fetched | Promise<Fetched> {
  const { log, offset } = part;
  if (log instanceof Fault) return failed(log, null);
  // The budget is used up: only the marks are told.
  if (bytesLeft <= 0) return succeeded(log, null);
  try {
    const bytesMax = Math.min(part.bytesMax, bytesLeft);
    const read = log.reader.read(offset, { endNext: log.marks.highWatermark, bytesMax, atLeastOne: first });
    if (!(read instanceof Promise)) return succeeded(log, read);
    return read.then(
      (found) => succeeded(log, found),
      (error) => failed(error, log),
    );
  } catch (error) {
    return failed(error, log);
  }
}

const NOTHING = { buffers: [], bytes: 0, release: (): void => {} };

function succeeded({ marks }: PartitionLog, read: LogRead | null): Fetched {
  const { highWatermark, logStart } = marks;
  const { buffers, bytes, release } = read ?? NOTHING;
  return { fault: null, buffers, bytes, highWatermark, logStart, release };
}

function failed(error: unknown, log: PartitionLog | null): Fetched {
  if (!(error instanceof Fault)) throw error;
  const { highWatermark, logStart } = log?.marks ?? { highWatermark: -1, logStart: -1 };
  return { fault: error, ...NOTHING, highWatermark, logStart };
}
