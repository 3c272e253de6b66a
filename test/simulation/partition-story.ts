import type { SentRecord, TopicFacts } from './history.ts';
import { type History, type Moment, type OkOperation, type Operation, type Place, placeName } from './history.ts';
import { PowerCuts } from './violation.ts';

/** That a record lay at an offset, as one answer says. */
export interface Sighting {
  readonly offset: number;
  readonly value: string;
  readonly by: OkOperation<'send' | 'poll'>;
  /** The worst after which it must still be there. */
  survives: 'kill' | 'power';
}

export interface SentValue {
  readonly send: Operation<'send'>;
  /** Its index among the records of its send. */
  readonly at: number;
  readonly record: SentRecord;
}

/** Every value that any client sent. @throws Error when two records have the same one */
export function sentValues({ operations }: History): Map<string, SentValue> {
  const sent = new Map<string, SentValue>();
  for (const send of ofKind(operations, 'send')) {
    for (const [at, record] of send.call.records.entries()) {
      if (sent.has(record.value)) throw new Error(`the workload sent ${record.value} twice`);
      sent.set(record.value, { send, at, record });
    }
  }
  return sent;
}

/** All that a history has of one partition, and what may have become of its records. */
export class PartitionStory {
  readonly place: Place;
  readonly facts: TopicFacts;
  readonly sends: readonly Operation<'send'>[];
  readonly polls: readonly OkOperation<'poll'>[];
  readonly listings: readonly OkOperation<'listOffsets'>[];
  readonly trims: readonly Operation<'trim'>[];
  readonly deletions: readonly Operation<'deleteTopic'>[];
  /** In the order in which they were told. */
  readonly sightings: readonly Sighting[];
  readonly byValue: ReadonlyMap<string, readonly Sighting[]>;
  readonly byOffset: ReadonlyMap<number, readonly Sighting[]>;
  readonly flips: readonly Operation<'flip'>[];
  readonly epochEnds: readonly OkOperation<'epochEnd'>[];
  readonly cuts: PowerCuts;
  readonly #sent: ReadonlyMap<string, SentValue>;
  readonly #byKey: ReadonlyMap<string, readonly SentValue[]>;

  constructor(place: Place, facts: TopicFacts, history: History, sent: ReadonlyMap<string, SentValue>) {
    this.place = place;
    this.facts = facts;
    this.cuts = new PowerCuts(history);
    this.#sent = sent;
    const isHere = ({ call }: { call: { place: Place } }) => placeName(call.place) === placeName(place);
    const { operations } = history;
    this.sends = ofKind(operations, 'send').filter(isHere);
    this.polls = okOfKind(operations, 'poll').filter(isHere);
    this.listings = okOfKind(operations, 'listOffsets').filter(isHere);
    this.trims = ofKind(operations, 'trim').filter((op) => isHere(op) && op.outcome !== 'fail');
    this.deletions = ofKind(operations, 'deleteTopic').filter(
      (op) => op.call.topic === place.topic && op.outcome !== 'fail',
    );
    this.flips = ofKind(operations, 'flip').filter(isHere);
    this.epochEnds = okOfKind(operations, 'epochEnd').filter(isHere);
    this.sightings = this.#sightings();
    this.byValue = Map.groupBy(this.sightings, ({ value }) => value);
    this.byOffset = Map.groupBy(this.sightings, ({ offset }) => offset);
    const keyed = this.sends.flatMap(({ call }) => call.records.map(({ value }) => sent.get(value)!));
    this.#byKey = Map.groupBy(keyed, ({ record }) => record.key ?? '');
  }

  #sightings(): Sighting[] {
    const all: Sighting[] = [];
    for (const by of this.sends) {
      if (by.outcome !== 'ok' || by.result.offset === null) continue;
      const survives = by.call.acks === -1 && this.facts.isSynced ? 'power' : 'kill';
      for (const [i, { value }] of by.call.records.entries()) {
        all.push({ offset: by.result.offset + i, value, by, survives });
      }
    }
    const seenSurvives = this.facts.isSynced ? 'power' : 'kill';
    for (const by of this.polls) {
      for (const { offset, value } of by.result.records) all.push({ offset, value, by, survives: seenSurvives });
    }
    all.sort((a, b) => a.by.completed.step - b.by.completed.step);
    this.#strengthen(all);
    return all;
  }

  /** What lies below something that survives a power cut survives it too, if it lay there before that cut. */
  #strengthen(all: readonly Sighting[]): void {
    const durable = all.filter(({ survives }) => survives === 'power');
    const durableTo = new Map<number, number>();
    for (const weak of all) {
      if (weak.survives === 'power') continue;
      const cut = this.cuts.after(weak.by.invoked);
      if (!durableTo.has(cut)) {
        const before = durable.filter(({ by }) => by.completed.step < cut);
        durableTo.set(cut, Math.max(-1, ...before.map(({ offset }) => offset)));
      }
      if (durableTo.get(cut)! >= weak.offset) weak.survives = 'power';
    }
  }

  sentAs(value: string): SentValue | undefined {
    return this.#sent.get(value);
  }

  /** Whether a power cut may have taken it before some later moment. */
  mayBeLost({ survives, by }: Sighting, until: Moment): boolean {
    return survives === 'kill' && this.cuts.between(by.invoked, until);
  }

  /** Whether it may have been removed by what somebody asked for: a trim, retention, the topic's deletion. */
  mayBeRemoved({ offset, value }: { offset: number; value: string }, until: Moment): boolean {
    if (this.deletions.some(({ invoked }) => invoked.step < until.step)) return true;
    if (this.trims.some(({ call, invoked }) => call.before > offset && invoked.step < until.step)) return true;
    const expiresFromMs = this.sentAs(value)?.send.call.mayExpireFromMs;
    return expiresFromMs !== undefined && expiresFromMs <= until.timeMs;
  }

  /** The damage that may take a record from a reader at some time between two moments. */
  damageAt(offset: number, from: Moment, until: Moment): Operation<'flip'> | undefined {
    return this.flips.find(({ call, invoked, completed, outcome }) => {
      const isThere = invoked.step < until.step && (outcome !== 'ok' || completed.step > from.step);
      return isThere && call.from <= offset && offset < call.to;
    });
  }

  /**
   * The records of its key that may lie behind it, those that somebody saw and those of which nobody knows. One of them is it
   * itself, when its client asked again and it lies there once more; so may one that was seen before it.
   */
  successors({ offset, value }: Sighting, until: Moment): SentValue[] {
    const key = this.sentAs(value)?.record.key;
    if (!this.facts.isCompacted || key === undefined) return [];
    return this.#byKey.get(key)!.filter(({ send, record }) => {
      if (send.outcome === 'fail' || send.invoked.step >= until.step) return false;
      const seen = this.byValue.get(record.value);
      return seen === undefined || mayLieAgain(send) || seen.some((other) => other.offset > offset);
    });
  }
}

/** Whether its client may have asked more than once, each time to be stored: without a sequence by which the broker could know it. */
function mayLieAgain(send: Operation<'send'>): boolean {
  if (send.call.retries !== true || send.call.producer !== undefined) return false;
  return send.outcome !== 'ok' || send.result.askedBefore === true;
}

export function ofKind<K extends Operation['kind']>(operations: readonly Operation[], kind: K): Operation<K>[] {
  return operations.filter((op) => op.kind === kind) as Operation<K>[];
}

export function okOfKind<K extends Operation['kind']>(operations: readonly Operation[], kind: K): OkOperation<K>[] {
  return operations.filter((op) => op.kind === kind && op.outcome === 'ok') as OkOperation<K>[];
}
