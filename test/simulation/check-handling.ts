import type { GroupStory } from './group-story.ts';
import { type History, type OkOperation, type Operation, type Place, placeName } from './history.ts';
import { ofKind, okOfKind } from './partition-story.ts';
import { groupViolation, type Violation } from './violation.ts';

/** What is committed was handled, and is there: no member goes on behind records that no member has read. */
export function* checkHandling(story: GroupStory, history: History): Generator<Violation> {
  for (const [name, commits] of commitsByPlace(story)) {
    const place = commits[0]!.place;
    const starts = logStarts(history, name);
    const ends = logEnds(history, name);
    for (const { by, offset } of commits) {
      const beyond = ends.find(({ op, at }) => at < offset && op.invoked.step > by.completed!.step);
      if (beyond !== undefined) {
        const says = `${offset} is committed, and the log ends at ${beyond.at}`;
        yield groupViolation('commit beyond the end', story.group, place, [offset], [by, beyond.op], says);
      }
      if (by.call.as === undefined) continue;
      const missed = firstNotHandled(story, name, by, offset, starts);
      if (missed === null) continue;
      const says = `${offset} is committed, and no member had read ${missed}`;
      yield groupViolation('wrong start', story.group, place, [missed], [by], says);
    }
  }
}

type PlacedCommit = { place: Place; by: OkOperation<'commit'>; offset: number };

function commitsByPlace(story: GroupStory): Map<string, PlacedCommit[]> {
  const all = story.commits.flatMap((by) =>
    by.outcome === 'ok' ? by.call.offsets.map(({ offset, ...place }): PlacedCommit => ({ place, by, offset })) : [],
  );
  return Map.groupBy(all, ({ place }) => placeName(place));
}

/** The lowest offset below a commit that was neither read by a member, nor passed by whoever set the offset, nor trimmed. */
function firstNotHandled(
  story: GroupStory,
  name: string,
  commit: OkOperation<'commit'>,
  offset: number,
  starts: readonly { op: Operation; at: number }[],
): number | null {
  const isBefore = ({ invoked }: Operation) => invoked.step < commit.invoked.step;
  const ranges = story.polls
    .filter((poll) => placeName(poll.call.place) === name && isBefore(poll))
    .map(({ call, result }) => ({ from: call.offset, to: result.next }));
  const setTo = story.commits
    .filter((other) => other.call.as === undefined && other.outcome !== 'fail' && isBefore(other))
    .flatMap(({ call }) => call.offsets.filter((placed) => placeName(placed) === name).map((placed) => placed.offset));
  const gone = starts.filter(({ op }) => isBefore(op)).map(({ at }) => at);
  let next = Math.max(0, ...setTo, ...gone);
  for (const { from, to } of ranges.sort((a, b) => a.from - b.from)) {
    if (from > next) break;
    next = Math.max(next, to);
  }
  return next < offset ? next : null;
}

function logStarts({ operations }: History, name: string): { op: Operation; at: number }[] {
  const isHere = ({ call }: { call: { place: Place } }) => placeName(call.place) === name;
  const listed = okOfKind(operations, 'listOffsets').filter((op) => isHere(op) && op.call.at === 'earliest');
  return [
    ...listed.map((op) => ({ op, at: op.result.offset })),
    ...okOfKind(operations, 'poll')
      .filter(isHere)
      .map((op) => ({ op, at: op.result.logStart })),
    ...ofKind(operations, 'trim')
      .filter((op) => isHere(op) && op.outcome !== 'fail')
      .map((op) => ({ op, at: op.call.before })),
  ];
}

/** Of a topic that is not synced at each message the end may go back. */
function logEnds({ operations, topics }: History, name: string): { op: Operation; at: number }[] {
  const facts = topics.find(({ topic }) => name.startsWith(`${topic}/`));
  if (facts?.isSynced !== true) return [];
  const isHere = ({ call }: { call: { place: Place } }) => placeName(call.place) === name;
  const listed = okOfKind(operations, 'listOffsets').filter((op) => isHere(op) && op.call.at === 'latest');
  const polls = okOfKind(operations, 'poll').filter(isHere);
  return [
    ...listed.map((op) => ({ op, at: op.result.offset })),
    ...polls.map((op) => ({ op, at: op.result.highWatermark })),
  ];
}
