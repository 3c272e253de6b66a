import { Fault } from '../../../base/faults.ts';
import type { CommittedPartition, Committer, Effect, Group } from '../group.ts';
import type { GroupEvent } from '../group-events.ts';
import type { AssignorName } from './assignor.ts';
import { ClassicSpeakers } from './classic-speakers.ts';
import type { ConsumerGroupEvent } from './consumer-events.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { type ConsumerMember, partitionsIn, STATIC_LEAVE_EPOCH, sameHoldings } from './consumer-member.ts';
import {
  type ConsumerGroupSettings,
  checkInstance,
  decideStep,
  preferredAssignor,
  removalEvents,
  type Step,
  type Stepping,
  staticLeaveEvents,
  stepping,
} from './decide.ts';
import { type ConsumerHeartbeat, type HeartbeatReply, isFull } from './heartbeat-request.ts';
import { MemberDeadlines } from './member-deadlines.ts';
import { downgradeEvents } from './migration.ts';
import type { TopicsView } from './topics-view.ts';

/** Groups of more members have a target that stands for a millisecond a member at least, whatever the settings say. */
const TARGET_AT_ONCE_MEMBERS_MAX = 200;

/** How long after the disk refused the removal of a silent member it is tried again. */
const REMOVAL_RETRY_MS = 1000;

export interface Decided<Result> {
  readonly events: readonly GroupEvent[];
  readonly result: Result;
  /** What else is so once the events are durable: what is not stored. */
  readonly whenStored?: (nowMs: number) => void;
}

/** What a group of the new protocol knows of the broker around it. */
export interface ConsumerGroupContext {
  readonly topics: TopicsView;
  settings(groupId: string): ConsumerGroupSettings;
  /** Whether members that speak the classic protocol may join. */
  mayHaveClassicMembers(): boolean;
  /** Whether a group of so many members may become a classic one. */
  mayBecomeClassic(members: number): boolean;
}

/**
 * A group of the new protocol at work: what its events made (which is all that a decision changes, once it is durable), and
 * the deadlines of its members. They, and the age of the target, begin anew at a start.
 */
export class LiveConsumerGroup implements Group {
  readonly kind = 'consumer';
  readonly protocolType = 'consumer';
  readonly isVoid = false;
  readonly id: string;
  readonly state: ConsumerGroup;
  readonly #context: ConsumerGroupContext;
  readonly #deadlines = new MemberDeadlines();
  readonly classic: ClassicSpeakers;
  #topicsVersion: number | null = null;
  #assignedAtMs = -Infinity;

  constructor(state: ConsumerGroup, context: ConsumerGroupContext, nowMs: number) {
    this.id = state.groupId;
    this.state = state;
    this.#context = context;
    this.classic = new ClassicSpeakers(this, context, this.#deadlines);
    for (const member of state.members.values()) this.#keepAlive(member, member, nowMs);
  }

  get stateName(): string {
    return this.state.stateName;
  }

  get assignorName(): AssignorName {
    return preferredAssignor(this.state.members.values(), this.#settings.assignors);
  }

  get isEmpty(): boolean {
    return this.state.members.size === 0;
  }

  get wakeAtMs(): number {
    return this.#deadlines.earliestMs;
  }

  /** @throws Fault groupFull, unknownMember, fencedMemberEpoch, unreleasedInstance, fencedInstance */
  heartbeat(beat: ConsumerHeartbeat, memberId: string, nowMs: number): Decided<HeartbeatReply> {
    this.checkRoom(memberId);
    const { before, member, events } = this.step(stepping(this.state, memberId, beat), nowMs);
    const told = isFull(beat) || !sameHoldings(before.assigned, member.assigned);
    const assignment = told ? partitionsIn(member.assigned) : null;
    const { heartbeatIntervalMs } = this.#settings;
    return { events, result: { memberId, memberEpoch: member.epoch, heartbeatIntervalMs, assignment } };
  }

  /** @throws Fault groupFull */
  checkRoom(memberId: string): void {
    const { sizeMax } = this.#settings;
    if (this.state.members.size >= sizeMax && !this.state.members.has(memberId)) {
      throw new Fault('groupFull', { detail: `${sizeMax} members` });
    }
  }

  /** @throws Fault unknownMember, fencedInstance */
  leave({ memberId, instanceId, memberEpoch }: ConsumerHeartbeat, nowMs: number): Decided<HeartbeatReply> {
    const member = this.#known(memberId, instanceId);
    const result = { memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null };
    const returns = instanceId !== null && memberEpoch === STATIC_LEAVE_EPOCH;
    const gone = new Set([member.memberId]);
    return { events: returns ? staticLeaveEvents(this.state, member) : this.without(gone, nowMs), result };
  }

  /** Moves a member on. */
  step(stepping: Stepping, nowMs: number): Step {
    const { topics } = this.#context;
    const settings = this.#settings;
    const mayAssign = nowMs >= this.#assignedAtMs + this.#targetStandsMs;
    const topicsSeen = this.#topicsVersion === topics.version;
    const step = decideStep(this.state, stepping, { topics, topicsSeen, mayAssign, settings });
    if (step.assigned) this.#assignedAtMs = nowMs;
    // What was seen to have changed is seen again until it is durable.
    if (!step.events.some(({ type }) => type === 'consumerEpoch')) this.#topicsVersion = topics.version;
    this.#keepAlive(step.before, step.member, nowMs);
    return step;
  }

  /** What makes the group go on without some members; a classic one, if only classic members stay. */
  without(gone: ReadonlySet<string>, nowMs: number): GroupEvent[] {
    const { topics } = this.#context;
    if (this.becomesClassic(gone)) return downgradeEvents(this.state, gone, topics, nowMs, true);
    return removalEvents(this.state, gone, topics);
  }

  /** Whether it is left to members who all speak the classic protocol. `joining` comes as they go. */
  becomesClassic(gone: ReadonlySet<string>, joining: readonly ConsumerMember[] = []): boolean {
    const members = [...this.state.members.values(), ...joining];
    const staying = members.filter(({ memberId }) => !gone.has(memberId));
    const wasMixed = members.some(({ memberId, classic }) => gone.has(memberId) && classic === null);
    const isClassic = staying.length > 0 && staying.every(({ classic }) => classic !== null);
    return wasMixed && isClassic && this.#context.mayBecomeClassic(staying.length);
  }

  /** The classic group that it becomes after these events, in which a classic member took the last other one's place. */
  asClassic(events: readonly ConsumerGroupEvent[], nowMs: number): GroupEvent[] {
    const after = new ConsumerGroup(this.id);
    for (const event of [...this.state.live(), ...events]) after.apply(event);
    return downgradeEvents(after, new Set(), this.#context.topics, nowMs, false);
  }

  /** Removes the members that missed a deadline. */
  expire(nowMs: number): Decided<ReadonlyMap<string, string>> {
    const missed = new Map<string, string>();
    for (const [memberId, name] of this.#deadlines.missed(nowMs)) {
      const member = this.state.members.get(memberId);
      if (member === undefined) this.#deadlines.forget(memberId);
      else if (name === 'revocation' && member.revoking.size === 0) this.#deadlines.clear(memberId, name);
      else {
        missed.set(memberId, name);
        this.#deadlines.set(memberId, name, nowMs + REMOVAL_RETRY_MS);
      }
    }
    return { events: missed.size === 0 ? [] : this.without(new Set(missed.keys()), nowMs), result: missed };
  }

  /** Its coordinator calls `expire` instead, whose events must be decided after all that is on its way. */
  wake(): readonly Effect[] {
    return [];
  }

  /**
   * An epoch before the member's own is good for partitions that it has had since then (KIP-1251): its answer with the new
   * epoch may be on its way.
   */
  checkCommit(committer: Committer, _nowMs: number, partitions: readonly CommittedPartition[]): void {
    const { generation, memberId, saysEpoch } = committer;
    if (generation < 0 && this.isEmpty) return;
    const member = this.#known(memberId, null);
    if (member.classic === null && !saysEpoch) {
      throw new Fault('unsupportedVersion', { detail: 'a member of the new protocol commits with version 9 or later' });
    }
    if (generation === member.epoch) return;
    const isOwn = ({ topic: { id }, partition }: CommittedPartition): boolean => {
      const since = member.assigned.get(id)?.get(partition) ?? member.revoking.get(id)?.get(partition);
      return since !== undefined && since <= generation;
    };
    if (generation > member.epoch || !partitions.every(isOwn)) throw staleEpoch(member);
  }

  checkFetch(memberId: string | null, memberEpoch: number): void {
    if (memberId === null && memberEpoch < 0) return;
    const member = this.#known(memberId ?? '', null);
    if (memberEpoch === member.epoch) return;
    throw staleEpoch(member);
  }

  checkOffsetDelete(): void {}

  checkDelete(): void {
    if (!this.isEmpty) throw new Fault('nonEmptyGroup');
  }

  isSubscribedTo(topic: string): boolean {
    const found = this.#context.topics.find(topic);
    return found !== null && this.state.topics.has(found.id);
  }

  unusedSinceMs(committedAtMs: number): number | null {
    return committedAtMs;
  }

  /** A target of many members takes a while to compute: a storm of joins must not take the whole processor. */
  get #targetStandsMs(): number {
    const { size } = this.state.members;
    return Math.max(this.#settings.assignmentIntervalMs, size > TARGET_AT_ONCE_MEMBERS_MAX ? size : 0);
  }

  get #settings(): ConsumerGroupSettings {
    return this.#context.settings(this.id);
  }

  #known(memberId: string, instanceId: string | null): ConsumerMember {
    if (instanceId !== null) return checkInstance(this.state.staticMember(instanceId), memberId, instanceId);
    const member = this.state.members.get(memberId);
    if (member === undefined) throw new Fault('unknownMember', { detail: JSON.stringify(memberId) });
    return member;
  }

  /** The session begins anew; who is newly told to give up partitions has its rebalance timeout for that. */
  #keepAlive(before: ConsumerMember, member: ConsumerMember, nowMs: number): void {
    const { memberId, classic } = member;
    this.#deadlines.set(memberId, 'session', nowMs + (classic?.sessionTimeoutMs ?? this.#settings.sessionTimeoutMs));
    if (classic === null) {
      this.#deadlines.clear(memberId, 'join');
      this.#deadlines.clear(memberId, 'sync');
    }
    if (classic !== null || member.revoking.size === 0) this.#deadlines.clear(memberId, 'revocation');
    else if (!this.#deadlines.has(memberId, 'revocation') || !sameHoldings(before.revoking, member.revoking)) {
      this.#deadlines.set(memberId, 'revocation', nowMs + member.rebalanceTimeoutMs);
    }
  }
}

function staleEpoch({ classic, epoch }: ConsumerMember): Fault {
  return new Fault(classic === null ? 'staleMemberEpoch' : 'illegalGeneration', { detail: `it is at ${epoch}` });
}
