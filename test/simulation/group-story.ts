import { REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS } from './group-member.ts';
import { type History, type Moment, type OkOperation, type Operation, type Place, placeName } from './history.ts';
import { ofKind, okOfKind } from './partition-story.ts';

/** A member's word that it has partitions, from one moment until it says otherwise. */
export interface Holding {
  readonly note: OkOperation<'owns'>;
  readonly places: ReadonlySet<string>;
  /** Whether it got any of them just then: the group has told it so, and not long before. */
  readonly isNew: boolean;
  /** The step at which the process notes other holdings; Infinity if it never does. */
  readonly untilStep: number;
}

/** What takes offsets of a group away because somebody wants that. */
export type Removal = Operation<'deleteOffsets' | 'deleteGroup' | 'mayExpireOffsets' | 'deleteTopic'>;
/** What may let a group begin anew. */
type Ending = Operation<'deleteGroup' | 'mayExpireOffsets' | 'mayForget'>;

/** What tells a member its generation, and that it is a member. */
type Telling = OkOperation<'join' | 'heartbeat'>;

/** The errors by which a member learns that it was removed. */
export const REMOVED = ['UNKNOWN_MEMBER_ID', 'GROUP_ID_NOT_FOUND'];

/** Sessions are counted in whole milliseconds. */
const ROUNDING_MS = 2;

/** All that a history has of one group. */
export class GroupStory {
  readonly group: string;
  readonly commits: readonly Operation<'commit'>[];
  readonly fetches: readonly OkOperation<'fetchCommitted'>[];
  readonly joins: readonly OkOperation<'join'>[];
  /** Those that were accepted. */
  readonly heartbeats: readonly OkOperation<'heartbeat'>[];
  /** All, by the client that sent them, in their order. */
  readonly pulses: ReadonlyMap<number, readonly Operation<'heartbeat'>[]>;
  readonly leaves: readonly OkOperation<'leave'>[];
  readonly quiets: readonly OkOperation<'quiet'>[];
  readonly polls: readonly OkOperation<'poll'>[];
  readonly holdings: readonly Holding[];
  readonly #removals: readonly Removal[];
  readonly #endings: readonly Ending[];
  /** By the client that was told. */
  readonly #tellings: ReadonlyMap<number, readonly Telling[]>;
  /** Those to which a member joins or leaves, whatever came of them. */
  readonly #moves: readonly Operation<'join' | 'leave'>[];
  readonly #protocols: ReadonlySet<string>;
  readonly #crashSteps: readonly number[];
  /** Of clients that learn from it that they are no members any more. */
  readonly #refusals: readonly Operation[];
  /** Joins by which a group that had become empty began anew in another protocol. */
  readonly #beginnings: readonly OkOperation<'join'>[];

  constructor(group: string, { operations }: History) {
    this.group = group;
    const isOurs = ({ call }: { call: { group: string } }) => call.group === group;
    this.commits = ofKind(operations, 'commit').filter(isOurs);
    this.fetches = okOfKind(operations, 'fetchCommitted').filter(isOurs);
    this.joins = okOfKind(operations, 'join').filter(isOurs);
    this.heartbeats = okOfKind(operations, 'heartbeat').filter(isOurs);
    this.pulses = Map.groupBy(ofKind(operations, 'heartbeat').filter(isOurs), ({ process }) => process);
    this.leaves = okOfKind(operations, 'leave').filter(isOurs);
    this.quiets = okOfKind(operations, 'quiet').filter(isOurs);
    this.polls = okOfKind(operations, 'poll').filter(({ call }) => call.as?.group === group);
    this.holdings = holdingsOf(okOfKind(operations, 'owns').filter(isOurs));
    this.#removals = operations.filter((op): op is Removal => {
      if (op.outcome === 'fail') return false;
      if (op.kind === 'deleteTopic') return true;
      const removes = op.kind === 'deleteOffsets' || op.kind === 'deleteGroup' || op.kind === 'mayExpireOffsets';
      return removes && op.call.group === group;
    });
    this.#endings = operations.filter((op): op is Ending => {
      const ends = op.kind === 'deleteGroup' || op.kind === 'mayExpireOffsets' || op.kind === 'mayForget';
      return ends && op.outcome !== 'fail' && op.call.group === group;
    });
    this.#crashSteps = ofKind(operations, 'crash').map(({ invoked }) => invoked.step);
    const isTelling = (op: Operation): op is Telling =>
      op.outcome === 'ok' && (op.kind === 'join' || op.kind === 'heartbeat') && op.call.group === group;
    this.#tellings = Map.groupBy(operations.filter(isTelling), ({ process }) => process);
    this.#refusals = operations.filter(
      (op) => op.outcome === 'fail' && REMOVED.includes(op.error) && 'group' in op.call && op.call.group === group,
    );
    this.#moves = [...ofKind(operations, 'join'), ...ofKind(operations, 'leave')].filter(isOurs);
    this.#protocols = protocolsOf(ofKind(operations, 'join').filter(isOurs));
    this.#beginnings = this.isMixed ? this.joins.filter((join) => this.#mayBegin(join)) : [];
  }

  /**
   * Whether a join may be the first of a group that had become empty, or the first after it that was answered: who comes to
   * one that is not empty is told a higher generation than anybody was told before. Of a static member, and of one that asked
   * before and was not answered, that is not known. What it was told itself before it was removed counts as what others were.
   */
  #mayBegin(join: OkOperation<'join'>): boolean {
    const { member, generation } = join.result;
    if (!this.isNew(join) && join.call.instance === undefined && join.call.protocol === 'classic') return false;
    const before = [...this.#tellings.values()].flat().filter(({ completed }) => completed.step < join.invoked.step);
    const own = before.findLast((told) => toldMember(told) === member);
    const wasHigher =
      before.some((told) => toldMember(told) !== member && told.result.generation >= generation) ||
      (own !== undefined && own.result.generation > generation && this.#mayBeRemoved(own, join));
    return wasHigher && ![...this.#tellings.keys()].some((process) => this.#isMemberDuring(process, join));
  }

  /** Whether a member may have been removed after it was told something for the last time, and before it joined again. */
  #mayBeRemoved(told: Telling, join: OkOperation<'join'>): boolean {
    const isSilent = join.completed.timeMs - told.invoked.timeMs >= SESSION_TIMEOUT_MS - ROUNDING_MS;
    const isRefused = this.#refusals.some(
      ({ process, invoked }) =>
        process === join.process && invoked.step > told.completed.step && invoked.step < join.invoked.step,
    );
    return isSilent || isRefused;
  }

  /**
   * Whether a client certainly is a member all the while that another one joins: it was before, and is accepted behind it, or
   * does what the group asks of it and was heard less than a session ago.
   */
  #isMemberDuring(process: number, join: OkOperation<'join'>): boolean {
    const tellings = this.#tellings.get(process)!;
    const last = tellings.findLast(({ completed }) => completed.step < join.invoked.step);
    if (process === join.process || last === undefined) return false;
    const staysUntil = ({ step }: Moment): boolean =>
      !this.#moves.some(
        (move) => move.process === process && move.invoked.step > last.invoked.step && move.invoked.step < step,
      );
    const next = tellings.find(({ kind, invoked }) => kind === 'heartbeat' && invoked.step > join.completed.step);
    if (next !== undefined && staysUntil(next.invoked)) return true;
    const pulses = this.pulses.get(process) ?? [];
    const at = pulses.findIndex(({ index }) => index === last.index);
    return this.keepsSession(pulses[at - 1], pulses[at], join.completed) && staysUntil(join.completed);
  }

  /**
   * Whether who sent two heartbeats, one behind the other, is a member until some moment: it was heard less than a session ago,
   * whatever time of day it is. It is heard at the earliest when it begins to ask. That both were accepted shows that it had
   * done what the group asks of it besides: it had joined the generation, and given up what it was to give up; for anything new
   * it has longer than a session. A sync alone it may owe all the while. In a static member's place may be another one by then.
   */
  keepsSession(
    first: Operation<'heartbeat'> | undefined,
    last: Operation<'heartbeat'> | undefined,
    until: Moment,
  ): boolean {
    if (first?.outcome !== 'ok' || last?.outcome !== 'ok' || last.result.mustRejoin) return false;
    if (last.call.instance !== undefined || first.call.member !== last.call.member) return false;
    const silentMs = until.timeMs - last.invoked.timeMs;
    if (silentMs >= SESSION_TIMEOUT_MS - ROUNDING_MS || this.wentDown(last.invoked, until)) return false;
    return !this.#mayOweSync(last, until);
  }

  /**
   * Whether a member may have been removed because it did not sync in time. In a group of the new protocol a classic member
   * that joins may stay in its generation: if it did not hear the answer, or that of its sync, it goes on as before, and is
   * accepted until its time for the sync is over. Kafka does the same. In a classic group a join that has a sync behind it
   * begins a generation, and the member would be refused. After a start of the broker no sync is owed.
   */
  #mayOweSync({ process, invoked: { step } }: OkOperation<'heartbeat'>, until: Moment): boolean {
    if (!this.isMixed) return false;
    const joins = this.#moves.filter(
      (move): move is Operation<'join'> =>
        move.kind === 'join' && move.process === process && move.outcome !== 'fail' && move.invoked.step < step,
    );
    const synced = joins.findLastIndex((join) => join.outcome === 'ok' && this.#hasSynced(join, step));
    return joins.slice(synced + 1).some(({ call, invoked }) => {
      const isOver = until.timeMs - invoked.timeMs >= REBALANCE_TIMEOUT_MS - ROUNDING_MS;
      return call.protocol === 'classic' && isOver && !this.wentDown(invoked, until);
    });
  }

  /** Whether it is the first of its member. */
  isNew({ index, result: { member } }: OkOperation<'join'>): boolean {
    return !this.joins.some((other) => other.index < index && other.result.member === member);
  }

  /** Whether its members spoke both protocols. */
  get isMixed(): boolean {
    return this.#protocols.size > 1;
  }

  /** Whether its members are all of the classic protocol, so that a generation is the whole group's. */
  get isClassic(): boolean {
    return !this.#protocols.has('consumer');
  }

  /** The step after which an operation cannot take effect any more: a request that was given up dies with the broker. */
  endOf({ outcome, completed }: Operation): number {
    if (outcome !== 'info') return completed.step;
    if (completed === null) return Infinity;
    return this.#crashSteps.find((step) => step > completed.step) ?? Infinity;
  }

  /** Whether the broker went down between two moments. */
  wentDown(from: Moment, to: Moment): boolean {
    return this.#crashSteps.some((step) => step > from.step && step < to.step);
  }

  /**
   * Whether what a join told still holds at some moment. A generation of the classic protocol is stored when its work is given
   * out: one that had only begun is forgotten when the broker goes down, with the static members that came back in it, and
   * the generation before is that of the group again. Kafka forgets it as well.
   */
  lasts(join: OkOperation<'join'>, until: Moment): boolean {
    if (join.call.protocol === 'consumer' || !this.wentDown(join.invoked, until)) return true;
    return this.#hasSynced(join, Infinity);
  }

  /** Whether a classic member noted what it was given after a join, before some step. */
  #hasSynced({ index, completed, result: { member, generation } }: OkOperation<'join'>, beforeStep: number): boolean {
    // Its work may have been given out in answer to a later join, when the generation had come again.
    const next = this.joins.find((later) => later.index > index && later.result.member === member);
    const endStep = Math.min(next?.invoked.step ?? Infinity, beforeStep);
    return this.holdings.some(
      ({ note: { call, invoked } }) =>
        call.member === member &&
        call.generation === generation &&
        invoked.step > completed.step &&
        invoked.step < endStep,
    );
  }

  /** What may have taken a place's offset away. */
  removalsOf(place: Place): Removal[] {
    return this.#removals.filter((op) => {
      if (op.kind === 'deleteTopic') return op.call.topic === place.topic;
      return op.kind !== 'deleteOffsets' || op.call.places.some((each) => placeName(each) === placeName(place));
    });
  }

  /** When the group last told a member of a mixed group anything, before it noted what it has: it may have slept in between. */
  toldBefore(note: OkOperation<'owns'>): Moment {
    if (!this.isMixed) return note.invoked;
    const tellings = this.#tellings.get(note.process) ?? [];
    return tellings.findLast(({ completed }) => completed.step < note.invoked.step)?.invoked ?? note.invoked;
  }

  /** Whether the group may have ended and begun anew between two moments, so that its generations count from the start. */
  mayBeginAnew(from: Moment, to: Moment): boolean {
    if (this.#beginnings.some((op) => op.invoked.step < to.step && op.completed.step > from.step)) return true;
    return this.#endings.some((op) => op.invoked.step < to.step && this.endOf(op) > from.step);
  }
}

/**
 * What those who joined spoke. One that was not answered may be a member all the same; and one that is only given its id makes
 * a classic group of one of the new protocol that is empty, as with Kafka.
 */
function protocolsOf(joins: readonly Operation<'join'>[]): Set<string> {
  const mayCount = joins.filter((join) => join.outcome !== 'fail' || join.error === 'MEMBER_ID_REQUIRED');
  return new Set(mayCount.map(({ call }) => call.protocol));
}

function toldMember(told: Telling): string {
  return told.kind === 'join' ? told.result.member : told.call.member;
}

export function groupNames({ operations }: History): string[] {
  const named = operations.flatMap(({ call }) => ('group' in call ? [call.group] : []));
  return [...new Set(named)].sort();
}

function holdingsOf(notes: readonly OkOperation<'owns'>[]): Holding[] {
  return notes.map((note, i) => {
    const isSame = ({ process }: { process: number }) => process === note.process;
    const next = notes.slice(i + 1).find(isSame);
    const before = new Set(notes.slice(0, i).findLast(isSame)?.call.places.map(placeName));
    const places = new Set(note.call.places.map(placeName));
    const isNew = [...places].some((place) => !before.has(place));
    return { note, places, isNew, untilStep: next?.invoked.step ?? Infinity };
  });
}
