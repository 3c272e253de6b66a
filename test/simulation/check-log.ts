import { checkEpochs } from './check-epochs.ts';
import { checkFinalReading } from './check-final-reading.ts';
import { partitionsOf } from './check-partitions.ts';
import { type History, type OkOperation, type Operation, placeName } from './history.ts';
import { ofKind, PartitionStory, type Sighting, sentValues } from './partition-story.ts';
import { type Anomaly, type Violation, violation } from './violation.ts';

/**
 * What is wrong with the records of a history, after the anomalies of Jepsen's Kafka workload; empty when all is well. What
 * was acknowledged may go by a power cut where its level allows that (acks=1 where not yet synced, any level on a topic that
 * is not synced at each message), by a trim, by retention, by compaction, and by its topic's deletion; by nothing else.
 */
export function checkLog(history: History): Violation[] {
  const sent = sentValues(history);
  return history.topics.flatMap((facts) =>
    Array.from({ length: partitionsOf(history, facts) }, (_, partition) => {
      const story = new PartitionStory({ topic: facts.topic, partition }, facts, history, sent);
      return [
        ...checkReads(story),
        ...checkOffsets(story),
        ...checkCopies(story),
        ...checkOrder(story),
        ...checkGaps(story),
        ...checkMarks(story),
        ...checkTrimmed(story),
        ...checkDeleted(story),
        ...checkEpochs(story),
        ...checkDamage(story, history),
        ...checkFinalReading(story, history),
      ];
    }).flat(),
  );
}

/** Whatever is read was sent, there, before, and not refused; and an answer agrees with itself. */
function* checkReads(story: PartitionStory): Generator<Violation> {
  for (const poll of story.polls) {
    const { records, next, highWatermark, logStart } = poll.result;
    const { place } = story;
    for (const { offset, value } of records) {
      const sent = story.sentAs(value);
      const wrong = (says: string) =>
        violation('phantom', place, [offset], sent === undefined ? [poll] : [sent.send, poll], says);
      if (sent === undefined) yield wrong(`${value} was read, and never sent`);
      else if (placeName(sent.send.call.place) !== placeName(place))
        yield wrong(`${value} was sent to another partition`);
      else if (sent.send.outcome === 'fail') yield wrong(`${value} was read, though its send was refused`);
      else if (sent.send.invoked.step > poll.completed.step) yield wrong(`${value} was read before it was sent`);
    }
    const offsets = records.map(({ offset }) => offset);
    const last = offsets.at(-1) ?? -1;
    const impossible = (says: string) => violation('impossible answer', place, offsets, [poll], says);
    if (offsets.some((offset, i) => offset < (offsets[i - 1] ?? poll.call.offset - 1) + 1)) {
      yield impossible(`records are not in the order of offsets from ${poll.call.offset} on`);
    }
    if (last >= next || next < poll.call.offset) yield impossible(`the reader goes on at ${next}`);
    if (last >= highWatermark) yield impossible(`${last} was read above the high watermark, ${highWatermark}`);
    if (logStart > highWatermark) yield impossible(`the log starts at ${logStart}, above its end ${highWatermark}`);
  }
}

/** Whether a power cut between two sightings may have taken one, so that the other could come in its place. */
function mayReplace(story: PartitionStory, a: Sighting, b: Sighting): boolean {
  return story.mayBeLost(a, b.by.completed) || story.mayBeLost(b, a.by.completed);
}

/** An offset has one value for ever. */
function* checkOffsets(story: PartitionStory): Generator<Violation> {
  for (const [offset, sightings] of story.byOffset) {
    const seen: Sighting[] = [];
    for (const sighting of sightings) {
      if (seen.some(({ value }) => value === sighting.value)) continue;
      for (const other of seen) {
        if (mayReplace(story, other, sighting)) continue;
        const says = `${other.value} lay there, and then ${sighting.value}`;
        yield violation('inconsistent offset', story.place, [offset], [other.by, sighting.by], says);
      }
      seen.push(sighting);
    }
  }
}

/** A record has one offset, unless its client asked again without a sequence by which the broker could know it. */
function* checkCopies(story: PartitionStory): Generator<Violation> {
  for (const [value, sightings] of story.byValue) {
    const send = story.sentAs(value)?.send;
    if (send === undefined || (send.call.retries === true && send.call.producer === undefined)) continue;
    for (const [i, second] of sightings.entries()) {
      const first = sightings
        .slice(0, i)
        .find(
          (each) =>
            each.offset !== second.offset && !mayReplace(story, each, second) && !isHit(story, send, [each, second]),
        );
      if (first === undefined) continue;
      const offsets = [first.offset, second.offset].sort((a, b) => a - b);
      yield violation('duplicate', story.place, offsets, [send, first.by, second.by], `${value} lies at both`);
      break;
    }
  }
}

/**
 * Of damaged records the broker may not know any more that they were sent: a retry may be stored once more. So it may when they
 * are sound again by then: what is kept of the producers was written without them.
 */
function isHit(story: PartitionStory, send: Operation<'send'>, copies: readonly [Sighting, Sighting]): boolean {
  const offset = Math.min(...copies.map((copy) => copy.offset));
  const bothSeen = Math.max(...copies.map(({ by }) => by.completed.step));
  return story.flips.some(({ call, invoked, outcome, completed }) => {
    const wasThere = (outcome !== 'ok' || completed.step > send.invoked.step) && invoked.step < bothSeen;
    return wasThere && call.from <= offset && offset < call.to;
  });
}

/** What was sent after another's acknowledgement lies behind it; so do an idempotent producer's sequences. */
function* checkOrder(story: PartitionStory): Generator<Violation> {
  const acked = story.sends.filter((op): op is OkOperation<'send'> => op.outcome === 'ok' && op.result.offset !== null);
  const firstsOf = (send: Operation<'send'>) => story.byValue.get(send.call.records[0]!.value) ?? [];
  const wrong = (before: Sighting, after: Sighting, send: Operation<'send'>, why: string) => {
    const operations = [before.by, send, after.by];
    return violation('order', story.place, [before.offset, after.offset], operations, `${after.value} ${why}`);
  };
  acked.sort((a, b) => a.completed.step - b.completed.step);
  for (const send of story.sends) {
    const earliest = firstsOf(send).reduce<Sighting | null>(
      (a, b) => (a === null || b.offset < a.offset ? b : a),
      null,
    );
    if (earliest === null) continue;
    for (const before of acked) {
      if (before.completed.step >= send.invoked.step) break;
      if (before.result.offset! + before.call.records.length <= earliest.offset) continue;
      const last = firstsOf(before).find(({ by }) => by === before)!;
      if (mayReplace(story, last, earliest)) continue;
      yield wrong(last, earliest, send, `lies before ${last.value}, which was acknowledged before it was sent`);
      break;
    }
  }
  const producers = Map.groupBy(
    story.sends.filter(({ call }) => call.producer !== undefined),
    ({ call }) => `${call.producer!.id}/${call.producer!.epoch}`,
  );
  for (const sends of producers.values()) {
    const bySequence = sends.toSorted((a, b) => a.call.producer!.sequence - b.call.producer!.sequence);
    let last: Sighting | null = null;
    for (const send of bySequence) {
      const first: Sighting | undefined = firstsOf(send)[0];
      if (first === undefined) continue;
      if (last !== null && last.offset > first.offset && !mayReplace(story, last, first)) {
        yield wrong(last, first, send, `lies before ${last.value}, which its producer sent first`);
      }
      last = first;
    }
  }
}

/** A reader that was led from one offset to another has seen all that lies between. */
function* checkGaps(story: PartitionStory): Generator<Violation> {
  for (const poll of story.polls) {
    const { records, next } = poll.result;
    const seen = new Set(records.map(({ offset }) => offset));
    const missing: number[] = [];
    const witnesses: Operation[] = [];
    for (let offset = poll.call.offset; offset < next; offset += 1) {
      if (seen.has(offset)) continue;
      if (story.facts.skipsRot && story.damageAt(offset, poll.invoked, poll.completed) !== undefined) continue;
      const sightings = story.byOffset.get(offset) ?? [];
      const skipped = sightings.find(isSkipped(story, poll));
      // In a log that is not compacted every offset has its record, whether anybody saw it or not.
      if (story.facts.isCompacted ? skipped === undefined : mayBeRemoved(story, offset, poll)) continue;
      missing.push(offset);
      if (skipped !== undefined) witnesses.push(skipped.by);
    }
    if (missing.length === 0) continue;
    const says = `a reader was led from ${poll.call.offset} to ${next} without them`;
    yield violation('silent gap', story.place, missing, [...witnesses.slice(0, 3), poll], says);
  }
}

function mayBeRemoved(story: PartitionStory, offset: number, poll: OkOperation<'poll'>): boolean {
  const values = story.byOffset.get(offset)?.map(({ value }) => value) ?? [''];
  return values.some((value) => story.mayBeRemoved({ offset, value }, poll.completed));
}

function isSkipped(story: PartitionStory, poll: OkOperation<'poll'>): (sighting: Sighting) => boolean {
  return (sighting) => {
    const until = poll.completed;
    if (story.mayBeRemoved(sighting, until) || story.successors(sighting, until).length > 0) return false;
    // It lay there all the time, or a power cut came between.
    const [from, to] = sighting.by.invoked.step < poll.invoked.step ? [sighting.by, poll] : [poll, sighting.by];
    return sighting.survives === 'power' || !story.cuts.between(from.invoked, to.completed);
  };
}

interface Mark {
  readonly at: number;
  readonly by: OkOperation;
}

/** The high watermark and the log start, as they are told or follow from what is told, never go back. */
function* checkMarks(story: PartitionStory): Generator<Violation> {
  const { polls, listings, trims, sightings, facts } = story;
  const listed = (at: 'earliest' | 'latest') =>
    listings.filter(({ call }) => call.at === at).map((by): Mark => ({ at: by.result.offset, by }));
  const visible = sightings.filter(
    ({ by, survives }) => by.kind === 'send' && by.call.acks === -1 && survives !== 'kill',
  );
  const ends = [
    ...polls.map((by): Mark => ({ at: by.result.highWatermark, by })),
    ...visible.map(({ offset, by }): Mark => ({ at: offset + 1, by })),
    ...listed('latest'),
  ];
  const told = [...polls.map((by): Mark => ({ at: by.result.highWatermark, by })), ...listed('latest')];
  const mayRegress = (a: Mark, b: Mark) => !facts.isSynced && story.cuts.between(a.by.invoked, b.by.completed);
  yield* checkMonotonic(story, 'high watermark went back', ends, told, mayRegress);
  const starts = [
    ...polls.map((by): Mark => ({ at: by.result.logStart, by })),
    ...trims.flatMap((by): Mark[] => (by.outcome === 'ok' ? [{ at: by.result.logStart, by }] : [])),
    ...listed('earliest'),
  ];
  yield* checkMonotonic(story, 'log start went back', starts, starts, () => false);
}

function* checkMonotonic(
  story: PartitionStory,
  anomaly: Anomaly,
  known: Mark[],
  told: Mark[],
  mayRegress: (a: Mark, b: Mark) => boolean,
): Generator<Violation> {
  known.sort((a, b) => b.at - a.at);
  for (const later of told) {
    for (const earlier of known) {
      if (earlier.at <= later.at) break;
      if (earlier.by.completed.step >= later.by.invoked.step || mayRegress(earlier, later)) continue;
      yield violation(
        anomaly,
        story.place,
        [earlier.at, later.at],
        [earlier.by, later.by],
        `from ${earlier.at} to ${later.at}`,
      );
      break;
    }
  }
}

/** The log start passes only what a trim or retention may have taken. */
function* checkTrimmed(story: PartitionStory): Generator<Violation> {
  const starts = [
    ...story.polls.map((by) => ({ at: by.result.logStart, by })),
    ...story.listings.filter(({ call }) => call.at === 'earliest').map((by) => ({ at: by.result.offset, by })),
  ].sort((a, b) => a.by.completed.step - b.by.completed.step);
  const judged = new Set<Sighting>();
  let highest = 0;
  for (const { at, by } of starts) {
    if (at <= highest) continue;
    highest = at;
    for (const sighting of story.sightings) {
      if (sighting.offset >= at || judged.has(sighting)) continue;
      judged.add(sighting);
      if (story.mayBeRemoved(sighting, by.completed) || story.mayBeLost(sighting, by.completed)) continue;
      const says = `the log starts at ${at}, and nobody asked to remove ${sighting.value}`;
      yield violation('trimmed too early', story.place, [sighting.offset], [sighting.by, by], says);
      break;
    }
  }
}

/** Once its deletion was answered, a topic answers nobody. */
function* checkDeleted(story: PartitionStory): Generator<Violation> {
  const deleted = story.deletions.find((op) => op.outcome === 'ok');
  if (deleted === undefined) return;
  const later = [...story.polls, ...story.listings, ...story.sends.filter(({ outcome }) => outcome === 'ok')].find(
    ({ invoked }) => invoked.step > deleted.completed!.step,
  );
  if (later === undefined) return;
  yield violation('deleted topic came back', story.place, [], [deleted, later], 'it answers after its deletion');
}

/** A reader is told of damaged records where there are some, and where it is not to be led past them. */
function* checkDamage(story: PartitionStory, { operations }: History): Generator<Violation> {
  for (const poll of ofKind(operations, 'poll')) {
    if (poll.outcome !== 'fail' || poll.error !== 'CORRUPT_MESSAGE') continue;
    if (placeName(poll.call.place) !== placeName(story.place)) continue;
    const damage = story.damageAt(poll.call.offset, poll.invoked, poll.completed);
    if (damage !== undefined && story.facts.skipsRot !== true) continue;
    const says = damage === undefined ? 'what was to be read there is not damaged' : 'it was to be led past the damage';
    yield violation('damage never done', story.place, [poll.call.offset], [poll], says);
  }
}
