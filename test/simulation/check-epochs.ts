import type { Moment, OkOperation } from './history.ts';
import type { PartitionStory, Sighting } from './partition-story.ts';
import { type Violation, violation } from './violation.ts';

/** A record's leader epoch, as a reader saw it. */
interface SeenEpoch {
  readonly sighting: Sighting;
  readonly epoch: number;
}

/**
 * Leader epochs tell a reader whether the log is the one that it has read (KIP-320): a record keeps its epoch, epochs go up
 * with the offsets, and who asks for one finds its end behind what was read in it, and not behind what begins the next.
 */
export function* checkEpochs(story: PartitionStory): Generator<Violation> {
  const seen = seenEpochs(story);
  yield* checkSame(story, seen);
  yield* checkAscending(story, seen);
  for (const asked of story.epochEnds) yield* checkEnd(story, seen, asked);
}

function seenEpochs({ sightings }: PartitionStory): SeenEpoch[] {
  return sightings.flatMap((sighting) => {
    if (sighting.by.kind !== 'poll') return [];
    const { offset } = sighting;
    const range = sighting.by.result.epochs?.find(({ from, last }) => from <= offset && offset <= last);
    return range === undefined ? [] : [{ sighting, epoch: range.epoch }];
  });
}

function* checkSame(story: PartitionStory, seen: readonly SeenEpoch[]): Generator<Violation> {
  const first = new Map<string, SeenEpoch>();
  for (const one of seen) {
    const { offset, value, by } = one.sighting;
    const name = `${offset} ${value}`;
    const before = first.get(name);
    if (before === undefined || story.mayBeLost(before.sighting, by.completed)) first.set(name, one);
    else if (before.epoch !== one.epoch) {
      const says = `the epoch of ${value} was ${before.epoch}, and is ${one.epoch}`;
      yield violation('epoch changed', story.place, [offset], [before.sighting.by, by], says);
    }
  }
}

function* checkAscending(story: PartitionStory, seen: readonly SeenEpoch[]): Generator<Violation> {
  let highest: SeenEpoch | null = null;
  const lasting = seen.filter(({ sighting }) => sighting.survives === 'power');
  for (const one of lasting.sort((a, b) => a.sighting.offset - b.sighting.offset)) {
    if (highest !== null && one.epoch < highest.epoch) {
      const [before, after] = [highest.sighting, one.sighting];
      const says = `${before.value} is of epoch ${highest.epoch}, and ${after.value} behind it of ${one.epoch}`;
      yield violation('epoch changed', story.place, [before.offset, after.offset], [before.by, after.by], says);
    } else highest = one;
  }
}

/** What was read before somebody asked, and is there still. */
function* checkEnd(
  story: PartitionStory,
  seen: readonly SeenEpoch[],
  asked: OkOperation<'epochEnd'>,
): Generator<Violation> {
  const { epoch, endOffset } = asked.result;
  const known = seen.filter(({ sighting }) => isThere(story, sighting, asked.invoked, asked.completed));
  const wrong = ({ by, offset }: Sighting, says: string) =>
    violation('divergence', story.place, [offset, endOffset], [by, asked], says);
  const within = known.find(
    (one) => one.epoch === asked.call.epoch && (epoch !== one.epoch || endOffset <= one.sighting.offset),
  );
  if (within !== undefined) {
    const { sighting } = within;
    yield wrong(
      sighting,
      `${sighting.value} is of epoch ${within.epoch}, which ends at ${endOffset}, of epoch ${epoch}`,
    );
  }
  const behind = known.find((one) => one.epoch > asked.call.epoch && endOffset > one.sighting.offset);
  if (behind === undefined) return;
  const { sighting } = behind;
  const says = `epoch ${asked.call.epoch} ends at ${endOffset}, and ${sighting.value} before it is of ${behind.epoch}`;
  yield wrong(sighting, says);
}

function isThere(story: PartitionStory, sighting: Sighting, from: Moment, until: Moment): boolean {
  if (sighting.by.completed.step >= from.step || story.mayBeLost(sighting, until)) return false;
  return (
    !story.mayBeRemoved(sighting, until) && story.damageAt(sighting.offset, sighting.by.invoked, until) === undefined
  );
}
