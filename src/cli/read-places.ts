import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Admin } from '../client/admin.ts';
import type { ReadFrom, ReadTo } from '../client/reader-options.ts';
import { parseMomentMs } from './duration.ts';
import { UsageError } from './usage-error.ts';

/** Where to begin, as -o says it; `back` counts records back from the end of each partition. */
export type Start = ReadFrom | { readonly back: number };

export interface Places {
  readonly start: Start;
  /** Null: read on for ever. */
  readonly stop: ReadTo | null;
}

/**
 * As kcat's -o: beginning, end, an offset, -N for the last N, s@MOMENT to start at, e@MOMENT to stop before; `texts` are all
 * that were given. @throws UsageError
 */
export function parsePlaces(texts: readonly string[]): Places {
  let start: Start | null = null;
  let stop: ReadTo | null = null;
  for (const text of texts) {
    if (text.startsWith('e@')) {
      if (stop !== null) throw new UsageError('--offset: more than one place to stop (e@)');
      stop = { time: momentOf(text) };
    } else {
      if (start !== null) throw new UsageError('--offset: more than one place to start');
      start = startOf(text);
    }
  }
  return { start: start ?? 'earliest', stop };
}

function startOf(text: string): Start {
  if (text === 'beginning' || text === 'earliest') return 'earliest';
  if (text === 'end' || text === 'latest') return 'latest';
  if (text.startsWith('s@')) return { time: momentOf(text) };
  const number = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(number))
    return text.startsWith('-') ? { back: -number } : { offset: number };
  throw new UsageError(`--offset: "${text}" is no place; write beginning, end, 1000, -10, s@MOMENT or e@MOMENT`);
}

function momentOf(text: string): number {
  return parseMomentMs(text.slice(2), systemClock.wallMs(), '--offset');
}

/** The reader's own form of a start: for -N, an offset for each partition. @throws Fault offsetOutOfRange beyond an end */
export async function resolveStart(
  admin: Admin,
  topic: string,
  start: Start,
  partitions: readonly number[],
): Promise<ReadFrom | ReadonlyMap<number, ReadFrom>> {
  if (typeof start === 'string') return start;
  if ('offset' in start) await checkNotBeyond(admin, topic, start.offset, partitions);
  if (!('back' in start)) return start;
  const [earliest, latest] = await Promise.all([
    admin.offsets(topic, 'earliest', { partitions }),
    admin.offsets(topic, 'latest', { partitions }),
  ]);
  const offsetOf = (partition: number): number =>
    Math.max(earliest.get(partition)!.offset, latest.get(partition)!.offset - start.back);
  return new Map(partitions.map((partition) => [partition, { offset: offsetOf(partition) }]));
}

/** Nothing is there to be printed, now or as what comes next: that is told at once. */
async function checkNotBeyond(
  admin: Admin,
  topic: string,
  offset: number,
  partitions: readonly number[],
): Promise<void> {
  for (const [partition, end] of await admin.offsets(topic, 'latest', { partitions })) {
    if (offset > end.offset) {
      const detail = `topic ${topic}, partition ${partition} ends at ${end.offset}, before ${offset}`;
      throw new Fault('offsetOutOfRange', { detail });
    }
  }
}
