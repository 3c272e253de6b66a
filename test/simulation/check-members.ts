import { type GroupStory, type Holding, REMOVED } from './group-story.ts';
import { type Operation, type Place, placeName } from './history.ts';
import { type Anomaly, groupViolation, type Violation } from './violation.ts';

/** Generations in which a group that nobody disturbs may be until it stays as it is. */
const ROUNDS_MAX = 3;

/**
 * Of each partition one member is the owner; generations go up; a group that is left alone comes to rest; who is heard in
 * time stays a member.
 */
export function* checkMembers(story: GroupStory): Generator<Violation> {
  yield* checkOwners(story);
  yield* checkGenerations(story);
  yield* checkRest(story);
  yield* checkSessions(story);
}

function* checkOwners(story: GroupStory): Generator<Violation> {
  const { holdings } = story;
  for (const [i, second] of holdings.entries()) {
    for (const first of holdings.slice(0, i)) {
      if (!areRivals(first, second)) continue;
      const shared = second.note.call.places.find((place) => first.places.has(placeName(place)));
      if (shared === undefined) continue;
      const told = [first, second].map(({ note }) => story.toldBefore(note));
      const since = told[0]!.step < told[1]!.step ? told[0]! : told[1]!;
      if (story.mayBeginAnew(since, second.note.completed)) continue;
      const [old, young] =
        first.note.call.generation <= second.note.call.generation ? [first, second] : [second, first];
      const proof = proofOfBoth(story, old, young);
      if (proof === null) continue;
      const says = `${old.note.call.member} and ${young.note.call.member} have it`;
      yield violationOf(story, 'two owners', shared, [old.note, young.note, ...proof], says);
    }
  }
}

/** Two members, and not two lives of a static one. */
function areRivals({ note: { call: a } }: Holding, { note: { call: b } }: Holding): boolean {
  return a.member !== b.member && (a.instance === undefined || a.instance !== b.instance);
}

/**
 * What shows that two have a partition at the same time: that they have it in one generation, or that the group still
 * accepts the older one, which has not given it up, after the younger one has it. Null when nothing does.
 */
function proofOfBoth(story: GroupStory, old: Holding, young: Holding): Operation[] | null {
  if (old.note.call.generation === young.note.call.generation) return [];
  const accepted = story.heartbeats.find(
    ({ call, process, invoked, completed }) =>
      process === old.note.process &&
      call.member === old.note.call.member &&
      invoked.step > young.note.invoked.step &&
      invoked.step > old.note.invoked.step &&
      completed.step < Math.min(old.untilStep, young.untilStep),
  );
  return accepted === undefined ? null : [accepted];
}

/** A generation in which somebody had partitions is over once there is another. */
function* checkGenerations(story: GroupStory): Generator<Violation> {
  if (story.isMixed) {
    yield* checkMixedGenerations(story);
    return;
  }
  for (const join of story.joins) {
    const { generation } = join.result;
    const before = story.holdings.find(
      ({ note, isNew }) =>
        isNew &&
        note.call.generation > generation &&
        note.completed.step < join.invoked.step &&
        !story.mayBeginAnew(note.invoked, join.completed),
    );
    if (before === undefined) continue;
    const says = `from ${before.note.call.generation} to ${generation}`;
    yield violationOf(story, 'generation went back', null, [before.note, join], says);
  }
}

/**
 * A group whose last member is gone may begin anew when the next one speaks the other protocol. One that goes on to accept a
 * member of a higher generation was not empty.
 */
function* checkMixedGenerations(story: GroupStory): Generator<Violation> {
  for (const join of story.joins) {
    const { generation, member } = join.result;
    const own = story.joins.findLast(
      (earlier) =>
        earlier.index < join.index && earlier.result.member === member && story.lasts(earlier, join.completed),
    );
    if (own !== undefined && own.result.generation > generation && !story.mayBeginAnew(own.invoked, join.completed)) {
      const says = `that of ${member} from ${own.result.generation} to ${generation}`;
      yield violationOf(story, 'generation went back', null, [own, join], says);
      continue;
    }
    // A static member takes over what its predecessor was, and may lag behind.
    if (join.call.protocol === 'consumer' || join.call.instance !== undefined || !story.isNew(join)) continue;
    const higher = story.heartbeats.filter(
      ({ call, completed }) =>
        call.member !== member && call.generation > generation && completed.step < join.invoked.step,
    );
    for (const before of higher) {
      const after = story.heartbeats.find(
        ({ call, process, invoked }) =>
          process === before.process &&
          call.member === before.call.member &&
          call.generation === before.call.generation &&
          invoked.step > join.completed.step,
      );
      if (after === undefined || story.joins.some((own) => isBetween(before, own, after))) continue;
      const says = `from ${before.call.generation} to ${generation}, and back`;
      yield violationOf(story, 'generation went back', null, [before, join, after], says);
      break;
    }
  }
}

/** Whether a client joined anew between two of its heartbeats. */
function isBetween(before: Operation, join: Operation, after: Operation): boolean {
  return (
    join.process === before.process && join.invoked.step > before.invoked.step && join.invoked.step < after.invoked.step
  );
}

function* checkRest(story: GroupStory): Generator<Violation> {
  for (const quiet of story.quiets) {
    const isWithin = ({ invoked }: Operation) =>
      invoked.step > quiet.invoked.step && invoked.step < quiet.completed.step;
    const changes = story.holdings.map(({ note }) => note).filter(isWithin);
    const joins = story.joins.filter(isWithin);
    const generations = new Set([
      ...changes.map(({ call }) => call.generation),
      ...joins.map(({ result }) => result.generation),
    ]);
    if (generations.size > ROUNDS_MAX) {
      const says = `nobody disturbed it, and it went through ${[...generations].join(', ')}`;
      yield violationOf(story, 'unstable group', null, [quiet, ...changes], says);
    }
    const atEnd = story.holdings.filter(
      ({ note, untilStep }) => note.invoked.step < quiet.completed.step && untilStep > quiet.completed.step,
    );
    for (const place of quiet.call.places) {
      const owners = atEnd.filter(({ places }) => places.has(placeName(place)));
      if (owners.length === 1) continue;
      const says = `when it was at rest, ${owners.length} members had it`;
      yield violationOf(story, 'unstable group', place, [quiet, ...owners.map(({ note }) => note)], says);
    }
  }
}

/** Who was heard less than a session ago is a member still. */
function* checkSessions(story: GroupStory): Generator<Violation> {
  for (const pulses of story.pulses.values()) {
    for (const [i, refused] of pulses.entries()) {
      if (refused.outcome !== 'fail' || !REMOVED.includes(refused.error)) continue;
      const [first, last] = [pulses[i - 2], pulses[i - 1]];
      const { member, generation } = refused.call;
      if (last?.call.member !== member || !story.keepsSession(first, last, refused.completed)) continue;
      const silentMs = refused.completed.timeMs - last.invoked.timeMs;
      const says = `${member}, at ${generation}, was removed ${Math.ceil(silentMs)} ms after it was heard`;
      yield violationOf(story, 'session cut short', null, [first!, last, refused], says);
    }
  }
}

function violationOf(
  story: GroupStory,
  anomaly: Anomaly,
  place: Place | null,
  operations: readonly Operation[],
  says: string,
): Violation {
  return groupViolation(anomaly, story.group, place, [], operations, says);
}
