import type { FinalReading } from './check-final-reading.ts';
import type { History } from './history.ts';
import { placeName } from './history.ts';
import { okOfKind, type PartitionStory, type Sighting } from './partition-story.ts';
import { type Violation, violation } from './violation.ts';

/** What the last reading shows of a compacted topic: a key that was deleted stays so, and what was compacted has each key once. */
export function* checkCompacted(story: PartitionStory, reading: FinalReading, history: History): Generator<Violation> {
  if (!story.facts.isCompacted) return;
  const offsetsOf = offsetsByKey(story, reading);
  yield* checkDeletedKeys(story, reading, offsetsOf);
  yield* checkCompactedOnce(story, reading, offsetsOf, history);
}

/** Where records of each key were read, in rising order. */
function offsetsByKey(story: PartitionStory, { valueAt, last }: FinalReading): Map<string, number[]> {
  const byKey = new Map<string, number[]>();
  for (const offset of [...valueAt.keys()].sort((a, b) => a - b)) {
    const key = story.sentAs(valueAt.get(offset)!)?.record.key;
    // What lies before the log's start went from it while it was read.
    if (key === undefined || offset < last.result.logStart) continue;
    byKey.set(key, [...(byKey.get(key) ?? []), offset]);
  }
  return byKey;
}

/**
 * A tombstone goes after all that is older of its key, or for a younger record. So where it is gone, and no younger one is there,
 * nothing older is: a reader would take the key for one that was never deleted.
 */
function* checkDeletedKeys(
  story: PartitionStory,
  { valueAt, last }: FinalReading,
  offsetsOf: ReadonlyMap<string, readonly number[]>,
): Generator<Violation> {
  const until = last.completed;
  const judged = new Set<string>();
  for (const sighting of story.sightings) {
    const { offset, value } = sighting;
    const key = deletedKey(story, sighting);
    if (key === null || judged.has(key) || valueAt.get(offset) === value || story.mayBeLost(sighting, until)) continue;
    const there = offsetsOf.get(key) ?? [];
    if (!there.some((older) => older < offset) || there.some((younger) => younger > offset)) continue;
    // It, or one for which it went, is there, and cannot be read.
    if (story.flips.some(({ call, outcome }) => outcome !== 'ok' && call.to > offset)) continue;
    judged.add(key);
    const sends = there.flatMap((older) => story.sentAs(valueAt.get(older)!)?.send ?? []);
    const says = `${key} was deleted at ${offset}, that is gone, and an older value is there`;
    yield violation('deleted key came back', story.place, [...there, offset], [...sends, sighting.by, last], says);
  }
}

function deletedKey(story: PartitionStory, { value }: Sighting): string | null {
  const record = story.sentAs(value)?.record;
  return record?.isTombstone === true ? record.key! : null;
}

/** Of what a broker holds for compacted each key is there once at most; where bits were flipped, some of it had to stay. */
function* checkCompactedOnce(
  story: PartitionStory,
  { last }: FinalReading,
  offsetsOf: ReadonlyMap<string, readonly number[]>,
  { operations }: History,
): Generator<Violation> {
  if (story.flips.length > 0) return;
  const name = placeName(story.place);
  const noted = okOfKind(operations, 'cleaned').findLast(({ call }) => placeName(call.place) === name);
  if (noted === undefined) return;
  for (const [key, offsets] of offsetsOf) {
    const twice = offsets.filter((offset) => offset < noted.call.before);
    if (twice.length < 2) continue;
    const says = `${key} is there more than once before ${noted.call.before}, up to which the log is compacted`;
    yield violation('not compacted', story.place, twice, [noted, last], says);
  }
}
