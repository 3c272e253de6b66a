import { type History, type Operation, type Protocol, placeName } from './history.ts';

/** What must take place in a simulation, beside what every seed does: one that lost some of it would go on as if all was well. */
export const MUST_TAKE_PLACE = [
  'partitions added',
  'record stored in an added partition',
  'bit flipped in a stored batch',
  'reader told of damage',
  'reader led past damage',
  'member of the classic protocol joined one of the new',
  'member of the new protocol joined one of the classic',
  'epochs compared after a crash',
  'records of a compacted topic deleted',
  'tombstone gone from a compacted topic',
  'record stamped while the clock was behind',
] as const;

export type Event = (typeof MUST_TAKE_PLACE)[number];

/**
 * What each seed does, before its last sends and its last reading: a run without it has shown nothing of it. Where it was
 * disturbed until nothing of that could take place (the disk full, the power gone again and again), it goes on in peace.
 */
export const IN_EVERY_RUN = [
  'send that succeeded',
  'send answered with its offset',
  'record read by a reader',
  'record read by a member of a group',
  'commit by a member of a group',
] as const;

export type Work = (typeof IN_EVERY_RUN)[number];

/** How often each of that was done. */
export function workDone({ operations }: History): Map<Work, number> {
  const counts = new Map<Work, number>();
  const add = (work: Work, times: number): void => {
    if (times > 0) counts.set(work, (counts.get(work) ?? 0) + times);
  };
  for (const op of operations) {
    if (op.outcome !== 'ok') continue;
    if ('isFinal' in op.call && op.call.isFinal) continue;
    if (op.kind === 'send') add('send that succeeded', 1);
    if (op.kind === 'send' && op.result.offset !== null) add('send answered with its offset', 1);
    if (op.kind === 'commit' && op.call.as !== undefined) add('commit by a member of a group', 1);
    if (op.kind === 'poll') {
      const by = op.call.as === undefined ? 'record read by a reader' : 'record read by a member of a group';
      add(by, op.result.records.length);
    }
  }
  return counts;
}

/** Whether a run has done all that each is to do. */
export function hasDoneAll(history: History): boolean {
  const done = workDone(history);
  return IN_EVERY_RUN.every((what) => done.has(what));
}

/** How often each of what must in some seeds took place. */
export function tookPlace({ topics, operations }: History): Map<Event, number> {
  const counts = new Map<Event, number>();
  const madeWith = new Map(topics.map(({ topic, partitions }) => [topic, partitions]));
  const compacted = new Set(topics.filter(({ isCompacted }) => isCompacted).map(({ topic }) => topic));
  const flips = operations.filter((op) => op.kind === 'flip');
  for (const op of operations) {
    for (const event of eventsOf(op, madeWith, flips)) counts.set(event, (counts.get(event) ?? 0) + 1);
  }
  const trims = operations.filter(
    (op) => op.kind === 'trim' && op.outcome === 'ok' && compacted.has(op.call.place.topic),
  );
  if (trims.length > 0) counts.set('records of a compacted topic deleted', trims.length);
  const gone = goneTombstones(operations);
  if (gone > 0) counts.set('tombstone gone from a compacted topic', gone);
  for (const [event, times] of joins(operations)) counts.set(event, times);
  const compared = comparisons(operations);
  if (compared > 0) counts.set('epochs compared after a crash', compared);
  return counts;
}

/** Joins of groups whose member that joined before, in the same epoch or the one before, speaks another protocol. */
function joins(operations: readonly Operation[]): Map<Event, number> {
  const counts = new Map<Event, number>();
  const last = new Map<string, { protocol: Protocol; generation: number }>();
  for (const op of operations) {
    if (op.kind !== 'join' || op.outcome !== 'ok') continue;
    const { group, protocol } = op.call;
    const { generation } = op.result;
    const before = last.get(group);
    last.set(group, { protocol, generation });
    // One that began anew, empty, mixes nothing.
    if (before === undefined || before.protocol === protocol || generation < before.generation) continue;
    const event: Event =
      protocol === 'classic'
        ? 'member of the classic protocol joined one of the new'
        : 'member of the new protocol joined one of the classic';
    counts.set(event, (counts.get(event) ?? 0) + 1);
  }
  return counts;
}

/** Tombstones that were acknowledged, and that the last reading has not, though it began before them. */
function goneTombstones(operations: readonly Operation[]): number {
  const starts = new Map<string, number>();
  const read = new Set<string>();
  for (const op of operations) {
    if (op.kind !== 'poll' || op.outcome !== 'ok' || op.call.isFinal !== true) continue;
    starts.set(placeName(op.call.place), op.result.logStart);
    for (const { value } of op.result.records) read.add(value);
  }
  let count = 0;
  for (const op of operations) {
    if (op.kind !== 'send' || op.outcome !== 'ok' || op.result.offset === null) continue;
    if (op.result.offset < (starts.get(placeName(op.call.place)) ?? Infinity)) continue;
    count += op.call.records.filter(({ value, isTombstone }) => isTombstone && !read.has(value)).length;
  }
  return count;
}

/** Answers that readers got, when they asked for an epoch that an earlier life of the broker had. */
function comparisons(operations: readonly Operation[]): number {
  let latest = -1;
  let count = 0;
  for (const op of operations) {
    if (op.outcome !== 'ok') continue;
    if (op.kind === 'poll') latest = Math.max(latest, op.result.epochs?.at(-1)?.epoch ?? -1);
    if (op.kind === 'epochEnd' && op.call.epoch < latest) count += 1;
  }
  return count;
}

function* eventsOf(
  op: Operation,
  madeWith: ReadonlyMap<string, number>,
  flips: readonly Operation<'flip'>[],
): Generator<Event> {
  if (op.kind === 'flip') yield 'bit flipped in a stored batch';
  if (op.kind === 'poll' && op.outcome === 'fail' && op.error === 'CORRUPT_MESSAGE') yield 'reader told of damage';
  if (op.outcome !== 'ok') return;
  if (op.kind === 'send' && op.call.isStampedBehind) yield 'record stamped while the clock was behind';
  if (op.kind === 'addPartitions') yield 'partitions added';
  if (op.kind === 'send' && op.call.place.partition >= madeWith.get(op.call.place.topic)!) {
    yield 'record stored in an added partition';
  }
  if (op.kind === 'poll' && flips.some((flip) => isPassed(op, flip))) yield 'reader led past damage';
}

function isPassed({ call, result }: Operation<'poll'> & { outcome: 'ok' }, { call: flip }: Operation<'flip'>): boolean {
  const { place } = call;
  if (place.topic !== flip.place.topic || place.partition !== flip.place.partition) return false;
  const isWithin = call.offset <= flip.from && flip.to <= result.next;
  return isWithin && !result.records.some(({ offset }) => flip.from <= offset && offset < flip.to);
}
