import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import type { Admin } from '../admin.ts';
import type { FoundOffset, Isolation } from '../list-offsets.ts';
import type { SourceState } from './checkpoint.ts';
import { type ReplayFrom, type ReplayTo, refuse } from './replay-options.ts';

export interface RangeAsk {
  readonly topic: string;
  readonly partitions: readonly number[];
  readonly from: ReplayFrom | ReadonlyMap<number, ReplayFrom>;
  readonly to: ReplayTo | ReadonlyMap<number, ReplayTo>;
  readonly isolation: Isolation;
}

/** Where each partition begins and ends now. */
export interface Bounds {
  readonly earliest: ReadonlyMap<number, FoundOffset>;
  readonly latest: ReadonlyMap<number, FoundOffset>;
}

export async function boundsOf(
  admin: Admin,
  { topic, partitions, isolation }: Pick<RangeAsk, 'topic' | 'partitions' | 'isolation'>,
): Promise<Bounds> {
  const [earliest, latest] = await Promise.all([
    admin.offsets(topic, 'earliest', { partitions, isolation }),
    admin.offsets(topic, 'latest', { partitions, isolation }),
  ]);
  return { earliest, latest };
}

/**
 * Each partition's range in offsets, as it is now; it ends where the partition does at the latest.
 * @throws Fault replayRangeLost where it begins before the partition does, offsetOutOfRange where it begins beyond its end,
 * invalidArgument where it ends before it begins.
 */
export async function resolveRanges(admin: Admin, clock: Clock, ask: RangeAsk, bounds: Bounds): Promise<SourceState[]> {
  const nowMs = clock.wallMs();
  const find = new TimeSearch(admin, ask);
  return Promise.all(
    ask.partitions.map(async (partition) => {
      const earliest = bounds.earliest.get(partition)!.offset;
      const latest = bounds.latest.get(partition)!.offset;
      const from = ask.from instanceof Map ? (ask.from.get(partition) ?? 'earliest') : (ask.from as ReplayFrom);
      const to = ask.to instanceof Map ? (ask.to.get(partition) ?? 'end') : (ask.to as ReplayTo);
      checkForward(from, to, nowMs);
      const offsetOf = async (place: Exclude<ReplayFrom | ReplayTo, { last: number }>): Promise<number> => {
        if (place === 'earliest') return earliest;
        if (place === 'latest' || place === 'end') return latest;
        if ('offset' in place) return checkedCount(place.offset, 'an offset');
        const found = await find.offset(partition, timeOf(place, nowMs));
        return found < 0 ? latest : found;
      };
      const startNext =
        typeof from === 'object' && 'last' in from
          ? Math.max(earliest, latest - checkedCount(from.last, 'a number of records'))
          : await offsetOf(from);
      // Nobody asks for that on purpose; taken for an empty range, a checkpoint would say that it is done.
      if (startNext > latest) throw beyondEnd(ask.topic, partition, startNext, latest);
      const endNext = Math.min(latest, await offsetOf(to));
      if (startNext < earliest && endNext > startNext) throw rangeLost(ask.topic, partition, startNext, earliest);
      return { partition, startNext, endNext: Math.max(startNext, endNext), next: startNext };
    }),
  );
}

/** Holds the range that is left of an earlier run against what the source has now. @throws Fault replayRangeLost, replayDiverged. */
export function checkRanges(topic: string, source: readonly SourceState[], { earliest, latest }: Bounds): void {
  for (const { partition, next, endNext } of source) {
    if (next >= endNext) continue;
    const first = earliest.get(partition)!.offset;
    const end = latest.get(partition)!.offset;
    if (next < first) throw rangeLost(topic, partition, next, first);
    if (end < endNext) {
      const detail = `topic ${topic}, partition ${partition} ends at offset ${end}, and the range at ${endNext}`;
      throw new Fault('replayDiverged', { detail });
    }
  }
}

function rangeLost(topic: string, partition: number, next: number, first: number): Fault {
  const detail = `topic ${topic}, partition ${partition} begins at offset ${first}, and the records from ${next} on are asked for`;
  return new Fault('replayRangeLost', { detail });
}

function beyondEnd(topic: string, partition: number, startNext: number, latest: number): Fault {
  const detail = `topic ${topic}, partition ${partition} ends at ${latest}, before ${startNext}`;
  return new Fault('offsetOutOfRange', { detail });
}

/** Places of one kind can be compared whatever the partition has. */
function checkForward(from: ReplayFrom, to: ReplayTo, nowMs: number): void {
  if (typeof from === 'string' || typeof to === 'string' || 'last' in from) return;
  if ('offset' in from && 'offset' in to) {
    if (from.offset > to.offset) refuse(`the range is from offset ${from.offset} to ${to.offset}, which is before it`);
  } else if (!('offset' in from) && !('offset' in to)) {
    const [fromMs, toMs] = [timeOf(from, nowMs), timeOf(to, nowMs)];
    if (fromMs > toMs) refuse(`the range is from the time ${fromMs} to ${toMs}, which is before it`);
  }
}

function timeOf(place: { readonly ago: number } | { readonly time: number | Date }, nowMs: number): number {
  return 'ago' in place ? Math.max(0, nowMs - place.ago) : Number(place.time);
}

function checkedCount(count: number, what: string): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new Fault('invalidArgument', { detail: `${what} is a whole number from 0 up, not ${count}` });
}

/** Asks once for each time, and for all partitions. */
class TimeSearch {
  readonly #admin: Admin;
  readonly #ask: RangeAsk;
  readonly #found = new Map<number, Promise<Map<number, FoundOffset>>>();

  constructor(admin: Admin, ask: RangeAsk) {
    this.#admin = admin;
    this.#ask = ask;
  }

  /** -1: no record is that young. */
  async offset(partition: number, timeMs: number): Promise<number> {
    const { topic, partitions, isolation } = this.#ask;
    let found = this.#found.get(timeMs);
    if (found === undefined) {
      found = this.#admin.offsets(topic, { time: timeMs }, { partitions, isolation });
      this.#found.set(timeMs, found);
    }
    return (await found).get(partition)!.offset;
  }
}
