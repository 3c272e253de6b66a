import type { GroupStory, Holding, Removal } from './group-story.ts';
import { type OkOperation, type Operation, type Place, type PlacedOffset, placeName } from './history.ts';
import { type Anomaly, groupViolation, type Violation } from './violation.ts';

/** A commit of one partition's offset. */
interface Commit extends PlacedOffset {
  readonly by: Operation<'commit'>;
  /** The step by which it is known to have been done; Infinity if it is not. */
  knownByStep: number;
}

/** What is told of committed offsets is the last that was committed, and only members of today commit. */
export function* checkCommits(story: GroupStory): Generator<Violation> {
  const commits = story.commits.flatMap((by) =>
    by.call.offsets.map((placed): Commit => {
      return { ...placed, by, knownByStep: by.outcome === 'ok' ? by.completed.step : Infinity };
    }),
  );
  const byPlace = Map.groupBy(commits, placeName);
  // What was told once has been done.
  for (const fetch of story.fetches) {
    for (const { committed, ...place } of fetch.result.offsets) {
      const told = byPlace.get(placeName(place))?.find(({ by }) => by.call.tag === committed?.tag);
      if (told !== undefined) told.knownByStep = Math.min(told.knownByStep, fetch.completed.step);
    }
  }
  for (const fetch of story.fetches) {
    for (const { committed, ...place } of fetch.result.offsets) {
      yield* checkFetched(story, fetch, place, committed, byPlace.get(placeName(place)) ?? []);
    }
  }
  for (const commit of story.commits) {
    const zombie = commit.outcome === 'ok' ? zombieCommit(story, commit) : null;
    if (zombie !== null) yield zombie;
  }
}

function* checkFetched(
  story: GroupStory,
  fetch: OkOperation<'fetchCommitted'>,
  place: Place,
  committed: { offset: number; tag: string } | null,
  commits: readonly Commit[],
): Generator<Violation> {
  const wrong = (anomaly: Anomaly, offsets: number[], operations: Operation[], says: string) =>
    groupViolation(anomaly, story.group, place, offsets, [...operations, fetch], says);
  const removals = story.removalsOf(place);
  const begun = fetch.invoked.step;
  if (committed === null) {
    const lost = commits.find(
      ({ by, knownByStep }) => knownByStep < begun && !mayBeRemoved(story, by, removals, fetch),
    );
    if (lost !== undefined) yield wrong('commit lost', [lost.offset], [lost.by], 'nothing is committed any more');
    return;
  }
  const { offset, tag } = committed;
  const source = commits.find(({ by }) => by.call.tag === tag);
  if (source === undefined || source.by.outcome === 'fail' || source.by.invoked.step > fetch.completed.step) {
    const says =
      source === undefined
        ? 'nobody committed that'
        : `it was ${source.by.outcome === 'fail' ? 'refused' : 'made later'}`;
    yield wrong('commit never made', [offset], source === undefined ? [] : [source.by], says);
    return;
  }
  if (source.offset !== offset) {
    yield wrong('commit never made', [offset], [source.by], `${tag} was a commit of ${source.offset}`);
    return;
  }
  const ended = story.endOf(source.by);
  const later = commits.find(({ by, knownByStep }) => by.invoked.step > ended && knownByStep < begun);
  if (later !== undefined) {
    const says = `${later.offset} was committed after ${offset}`;
    yield wrong('commit went back', [later.offset, offset], [source.by, later.by], says);
  }
  const removed = removals.find(({ kind, invoked, outcome, completed }) => {
    return kind !== 'mayExpireOffsets' && outcome === 'ok' && invoked.step > ended && completed.step < begun;
  });
  if (removed !== undefined) yield wrong('commit went back', [offset], [source.by, removed], 'it was removed before');
}

function mayBeRemoved(story: GroupStory, commit: Operation, removals: readonly Removal[], fetch: Operation): boolean {
  return removals.some(
    (removal) => removal.invoked.step < fetch.completed!.step && story.endOf(removal) > commit.invoked.step,
  );
}

/** Why an accepted commit should have been refused; null when it should not. */
function zombieCommit(story: GroupStory, commit: OkOperation<'commit'>): Violation | null {
  const { as, offsets } = commit.call;
  if (as === undefined) return null;
  const zombie = (proof: Operation, says: string) =>
    groupViolation(
      'zombie commit',
      story.group,
      null,
      offsets.map(({ offset }) => offset),
      [proof, commit],
      says,
    );
  const begun = commit.invoked.step;
  const left = story.leaves.find(({ call, completed }) => call.member === as.member && completed.step < begun);
  if (left !== undefined) return zombie(left, `${as.member} had left the group`);
  const own = story.joins.findLast(({ result }) => result.member === as.member);
  const successor = story.joins.find(
    (join) =>
      as.instance !== undefined &&
      join.call.instance === as.instance &&
      join.result.member !== as.member &&
      join.completed.step < begun &&
      join.invoked.step > (own?.completed.step ?? Infinity) &&
      story.lasts(join, commit.completed),
  );
  if (successor !== undefined)
    return zombie(successor, `the instance ${as.instance} is ${successor.result.member} by now`);
  const owner = story.holdings.find((holding) => isLaterOwner(story, holding, commit, as));
  if (owner === undefined) return null;
  const { member, generation } = owner.note.call;
  return zombie(owner.note, `${as.member} was at ${as.generation}, and ${member} had partitions of ${generation}`);
}

function isLaterOwner(
  story: GroupStory,
  { note, places, isNew }: Holding,
  commit: OkOperation<'commit'>,
  as: { member: string; generation: number },
): boolean {
  const { member, generation } = note.call;
  if (!isNew || generation <= as.generation || note.invoked.step >= commit.invoked.step) return false;
  if (story.mayBeginAnew(story.toldBefore(note), commit.completed)) return false;
  if (story.isClassic) return true;
  return member !== as.member && commit.call.offsets.some((place) => places.has(placeName(place)));
}
