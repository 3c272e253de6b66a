import { checkCompacted } from './check-compacted.ts';
import { type History, type OkOperation, placeName } from './history.ts';
import { okOfKind, type PartitionStory, type Sighting } from './partition-story.ts';
import { type Violation, violation } from './violation.ts';

/** What the last reading of a partition found: everything from its start to its end. */
export interface FinalReading {
  readonly start: number;
  readonly next: number;
  readonly valueAt: ReadonlyMap<number, string>;
  readonly last: OkOperation<'poll'>;
}

/** When all is over, every partition is read from its start to its end, and what must be there is there. */
export function* checkFinalReading(story: PartitionStory, history: History): Generator<Violation> {
  if (story.deletions.length > 0) return;
  const reading = finalReading(story);
  if (reading === null) {
    const created = okOfKind(history.operations, 'createTopic').filter(({ call }) => call.topic === story.place.topic);
    const witnesses = [...created, ...story.sightings.map(({ by }) => by)].slice(0, 1);
    if (witnesses.length > 0)
      yield violation('unseen', story.place, [], witnesses, 'it was not read when all was over');
    return;
  }
  const { last, next } = reading;
  if (next < last.result.highWatermark) {
    yield violation(
      'unseen',
      story.place,
      [next],
      [last],
      `it was not read from ${next} to ${last.result.highWatermark}`,
    );
    return;
  }
  yield* checkKept(story, reading, history);
  yield* checkWhole(story, reading);
  yield* checkCompacted(story, reading, history);
}

function finalReading(story: PartitionStory): FinalReading | null {
  const polls = story.polls.filter(({ call }) => call.isFinal === true);
  const last = polls.at(-1);
  if (last === undefined) return null;
  const valueAt = new Map<number, string>();
  for (const { result } of polls) for (const { offset, value } of result.records) valueAt.set(offset, value);
  return { start: polls[0]!.call.offset, next: last.result.next, valueAt, last };
}

function* checkKept(story: PartitionStory, reading: FinalReading, history: History): Generator<Violation> {
  const missing: Sighting[] = [];
  const judged = new Set<string>();
  for (const sighting of story.sightings) {
    const { offset, value } = sighting;
    const place = `${offset} ${value}`;
    if (reading.valueAt.get(offset) === value || judged.has(place)) continue;
    const until = reading.last.completed;
    if (story.mayBeLost(sighting, until) || mayBeGone(story, sighting, reading)) continue;
    if (isSuperseded(story, sighting, reading) || isTold(story, offset, reading, history)) continue;
    judged.add(place);
    missing.push(sighting);
  }
  // Those of one answer are one story.
  for (const [by, some] of Map.groupBy(missing, ({ by }) => by)) {
    const acked = some.some(({ value }) => story.sentAs(value)?.send.outcome === 'ok');
    const anomaly = acked ? 'lost' : 'dirty read';
    const sends = some.slice(0, 3).flatMap(({ value }) => story.sentAs(value)?.send ?? []);
    const offsets = some.map(({ offset }) => offset);
    const says = `${some.map(({ value }) => value).join(', ')} not there at the end (read ${reading.start} to ${reading.next})`;
    yield violation(anomaly, story.place, offsets, [...sends, by, reading.last], says);
  }
}

/** What was deleted, and what expires, goes from the log's start on; tombstones alone go from behind it. */
function mayBeGone(story: PartitionStory, sighting: Sighting, { last }: FinalReading): boolean {
  if (!story.mayBeRemoved(sighting, last.completed)) return false;
  return sighting.offset < last.result.logStart || story.sentAs(sighting.value)?.record.isTombstone === true;
}

/** Whether it is damaged, and the last reader was told so, or was to be led past it. */
function isTold(story: PartitionStory, offset: number, { last }: FinalReading, { operations }: History): boolean {
  const damage = story.damageAt(offset, last.completed, last.completed);
  if (damage === undefined || story.facts.skipsRot === true) return damage !== undefined;
  const { from, to } = damage.call;
  return operations.some(
    (op) =>
      op.kind === 'poll' &&
      op.call.isFinal === true &&
      op.outcome === 'fail' &&
      op.error === 'CORRUPT_MESSAGE' &&
      placeName(op.call.place) === placeName(story.place) &&
      from <= op.call.offset &&
      op.call.offset < to,
  );
}

/** A later record of its key is there, or was a tombstone that may be gone by now. */
function isSuperseded(story: PartitionStory, sighting: Sighting, reading: FinalReading): boolean {
  return story.successors(sighting, reading.last.completed).some(({ send, record }) => {
    if (record.isTombstone === true && (send.call.mayExpireFromMs ?? Infinity) <= reading.last.completed.timeMs)
      return true;
    return story.byValue
      .get(record.value)
      ?.some(({ offset }) => offset > sighting.offset && isThere(story, offset, record.value, reading));
  });
}

/** Whether it is there for compaction, which does not remove what is damaged. */
function isThere(story: PartitionStory, offset: number, value: string, { valueAt, last }: FinalReading): boolean {
  return valueAt.get(offset) === value || story.damageAt(offset, last.completed, last.completed) !== undefined;
}

/** A request's records for one partition are there together or not at all, one behind the other. */
function* checkWhole(story: PartitionStory, reading: FinalReading): Generator<Violation> {
  if (story.facts.isCompacted) return;
  const bases = new Set<string>();
  for (const [offset, value] of reading.valueAt) {
    const sent = story.sentAs(value);
    if (sent === undefined) continue;
    const base = offset - sent.at;
    const key = `${base} ${sent.send.index}`;
    if (bases.has(key)) continue;
    bases.add(key);
    const { records } = sent.send.call;
    const torn = records.flatMap(({ value: each }, i) =>
      base + i < reading.start || reading.valueAt.get(base + i) === each ? [] : [base + i],
    );
    if (torn.length === 0) continue;
    const says = `of the ${records.length} records of one request these are not where the others are`;
    yield violation('torn send', story.place, torn, [sent.send, reading.last], says);
  }
}
