import { Fault } from '../../base/faults.ts';
import { limits } from '../../base/limits.ts';
import {
  type ClassicMember,
  type JoinAnswer,
  type JoinRequest,
  type Leaver,
  NO_BYTES,
  refusedJoin,
  refusedSync,
  sameProtocols,
} from './classic-member.ts';
import { ClassicRebalance, type ClassicSettings } from './classic-rebalance.ts';
import { CONSUMER_PROTOCOL } from './classic-subscription.ts';
import type { ClassicSource } from './consumer/migration.ts';
import { type Ask, answer, type Committer, type Effect, type Group, store } from './group.ts';
import type { ClassicGroupRecord } from './group-events.ts';

/** How long a new member's join may wait: it knows no id yet with which it could show that it lives. Kafka's own. */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000;

/** A group of the classic protocol, or one that only holds offsets: a state machine without I/O. */
export class ClassicGroup extends ClassicRebalance implements Group {
  readonly kind = 'classic';

  /** A group as it was stored. Its members' sessions begin anew. */
  static load(id: string, record: ClassicGroupRecord, settings: ClassicSettings, nowMs: number): ClassicGroup {
    const group = new ClassicGroup(id, settings);
    const { protocolName } = record;
    for (const { metadata, ...member } of record.members) {
      const protocols = [{ name: protocolName ?? '', metadata }];
      const alive = { joinAsk: null, syncAsk: null, isNew: false, deadlineMs: nowMs + member.sessionTimeoutMs };
      group.roster.add({ ...member, protocols, ...alive });
      group.deadline(alive.deadlineMs);
    }
    group.roster.leader = record.leader;
    group.state = record.members.length === 0 ? 'Empty' : 'Stable';
    group.currentGeneration = record.generation;
    group.chosenType = record.protocolType === '' ? null : record.protocolType;
    group.chosenProtocol = protocolName;
    group.topics = group.topicsOfMembers();
    group.sinceMs = record.sinceMs;
    return group;
  }

  /** The protocol that the members use; empty while they have none. */
  get protocolName(): string {
    return this.state === 'Stable' ? (this.chosenProtocol ?? '') : '';
  }

  /**
   * A group that was stored with more members than it may have now begins a rebalance, in which some are turned away; so does
   * one that a group of the new protocol left without a leader.
   */
  takeUp(nowMs: number): readonly Effect[] {
    const out: Effect[] = [];
    if (this.roster.size > this.settings.membersMax || this.roster.leader === null) this.changed(nowMs, out);
    return out;
  }

  get members(): Iterable<ClassicMember> {
    return this.roster;
  }

  get isVoid(): boolean {
    return this.isEmpty && this.currentGeneration === 0 && this.pending.size === 0;
  }

  /** What a group of the new protocol takes over. */
  source(): ClassicSource {
    const { id, currentGeneration: generation, protocolType, chosenProtocol: protocol } = this;
    return { id, generation, protocolType, protocol, members: [...this.roster] };
  }

  /**
   * Another kind of group is to take its place: who waits is told to join again, which is that one or, if the disk refuses it,
   * still this one.
   */
  interrupt(nowMs: number): readonly Effect[] {
    const out: Effect[] = [];
    const again = new Fault('rebalanceInProgress');
    for (const member of this.roster) {
      if (member.joinAsk === null && member.syncAsk === null) continue;
      if (member.joinAsk !== null) out.push(answer(member.joinAsk, refusedJoin(again, member.memberId)));
      if (member.syncAsk !== null) out.push(answer(member.syncAsk, refusedSync(again)));
      member.joinAsk = member.syncAsk = null;
      member.isNew = false;
      this.keepAlive(member, nowMs);
    }
    return out;
  }

  join(ask: Ask<JoinAnswer>, request: JoinRequest, nowMs: number): readonly Effect[] {
    const out: Effect[] = [];
    const { memberId } = request;
    const refuse = (fault: Fault, id = memberId) => out.push(answer(ask, refusedJoin(fault, id)));
    if (!this.#hasRoomFor(memberId)) {
      this.remove(memberId);
      refuse(new Fault('groupFull'), '');
      this.considerJoined(nowMs, out);
    } else if (!this.#supports(request)) {
      refuse(new Fault('inconsistentGroupProtocol'));
    } else if (memberId === '') {
      this.#joinUnknown(ask, request, nowMs, out);
    } else if (this.pending.has(memberId) && request.instanceId === null) {
      this.#add(ask, request, memberId, nowMs, out);
    } else {
      const fault = this.roster.refusal(memberId, request.instanceId);
      if (fault !== null) refuse(fault);
      else this.#joinAgain(ask, request, this.roster.get(memberId)!, nowMs, out);
    }
    return out;
  }

  /** @throws Fault unknownMember, fencedInstance, illegalGeneration; rebalanceInProgress, which is for a member that lives */
  heartbeat(memberId: string, instanceId: string | null, generation: number, nowMs: number): void {
    this.#checkMember(memberId, instanceId, generation);
    this.keepAlive(this.roster.get(memberId)!, nowMs);
    if (this.state === 'PreparingRebalance') throw new Fault('rebalanceInProgress');
  }

  /** What each leaver is told, in their order, when the effects are done. */
  leave(leavers: readonly Leaver[], nowMs: number): { refusals: (Fault | null)[]; effects: readonly Effect[] } {
    const out: Effect[] = [];
    const refusals = leavers.map(({ memberId, instanceId }) => {
      const byInstance = memberId === '' && instanceId !== null ? this.roster.idOfInstance(instanceId) : undefined;
      const id = memberId === '' ? (byInstance ?? '') : memberId;
      if (this.pending.delete(id)) return null;
      const fault = this.roster.refusal(id, instanceId);
      if (fault === null) this.dismiss(this.roster.get(id)!, out);
      return fault;
    });
    if (refusals.includes(null)) this.changed(nowMs, out);
    return { refusals, effects: out };
  }

  checkCommit({ generation, memberId, instanceId }: Committer, nowMs: number): void {
    const outside = generation < 0 && memberId === '' && instanceId === null;
    if (this.isEmpty && generation < 0) return;
    if (outside) throw new Fault('unknownMember');
    this.#checkMember(memberId, instanceId, generation);
    if (this.state === 'CompletingRebalance') throw new Fault('rebalanceInProgress');
    this.keepAlive(this.roster.get(memberId)!, nowMs);
  }

  checkFetch(): void {}

  checkOffsetDelete(): void {
    if (!this.isEmpty && this.chosenType !== CONSUMER_PROTOCOL) throw new Fault('nonEmptyGroup');
  }

  checkDelete(): void {
    if (!this.isEmpty) throw new Fault('nonEmptyGroup');
  }

  isSubscribedTo(topic: string): boolean {
    return this.topics?.has(topic) ?? this.chosenType === CONSUMER_PROTOCOL;
  }

  unusedSinceMs(committedAtMs: number): number | null {
    if (this.chosenType === null) return committedAtMs;
    if (this.isEmpty) return Math.max(committedAtMs, this.sinceMs);
    // While consumers are at work, those of topics that they no longer read.
    const known = this.chosenType === CONSUMER_PROTOCOL && this.topics !== null && this.state === 'Stable';
    return known ? committedAtMs : null;
  }

  // Joining

  /**
   * While a rebalance is under way those who have joined count, not those who are expected: if the limit was lowered, the
   * last to come are turned away.
   */
  #hasRoomFor(memberId: string): boolean {
    const { membersMax } = this.settings;
    const member = this.roster.get(memberId);
    switch (this.state) {
      case 'Empty':
        return true;
      case 'PreparingRebalance':
        return (member !== undefined && member.joinAsk !== null) || this.roster.joined < membersMax;
      default:
        return member !== undefined || this.roster.size < membersMax;
    }
  }

  #supports({ protocolType, protocols }: JoinRequest): boolean {
    if (this.isEmpty) return protocolType !== '' && protocols.length > 0;
    return protocolType === this.chosenType && protocols.some(({ name }) => this.roster.allOffer(name));
  }

  #joinUnknown(ask: Ask<JoinAnswer>, request: JoinRequest, nowMs: number, out: Effect[]): void {
    const { instanceId, newMemberId, mustKnowId, sessionTimeoutMs } = request;
    const oldId = instanceId === null ? undefined : this.roster.idOfInstance(instanceId);
    if (oldId !== undefined) {
      this.#joinInPlaceOf(ask, request, this.roster.get(oldId)!, nowMs, out);
    } else if (instanceId === null && mustKnowId) {
      if (this.pending.size >= limits.groupPendingMembersMax) {
        out.push(answer(ask, refusedJoin(new Fault('groupFull', { detail: 'too many newcomers' }), '')));
        return;
      }
      this.pending.set(newMemberId, nowMs + sessionTimeoutMs);
      this.deadline(nowMs + sessionTimeoutMs);
      out.push(answer(ask, refusedJoin(new Fault('memberIdRequired'), newMemberId)));
    } else {
      this.#add(ask, request, newMemberId, nowMs, out);
    }
  }

  #add(ask: Ask<JoinAnswer>, request: JoinRequest, memberId: string, nowMs: number, out: Effect[]): void {
    if (this.joinDeadline?.initial != null) this.newMemberAdded = true;
    if (this.roster.size === 0) this.chosenType = request.protocolType;
    this.pending.delete(memberId);
    const deadlineMs = nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS;
    this.roster.add(memberOf(request, memberId, ask, deadlineMs));
    this.deadline(deadlineMs);
    this.changed(nowMs, out);
  }

  #joinAgain(ask: Ask<JoinAnswer>, request: JoinRequest, member: ClassicMember, nowMs: number, out: Effect[]): void {
    const unchanged = sameProtocols(member.protocols, request.protocols);
    // A leader that joins again wants a rebalance: it may have seen more partitions.
    const staysAsItIs =
      (this.state === 'CompletingRebalance' && unchanged) ||
      (this.state === 'Stable' && unchanged && member.memberId !== this.roster.leader);
    if (staysAsItIs) {
      out.push(answer(ask, this.joined(member)));
      return;
    }
    this.#update(member, request, ask, out);
    this.changed(nowMs, out);
  }

  #update(member: ClassicMember, request: JoinRequest, ask: Ask<JoinAnswer>, out: Effect[]): void {
    this.roster.setProtocols(member, request.protocols);
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    if (member.joinAsk !== null) {
      out.push(answer(member.joinAsk, refusedJoin(new Fault('rebalanceInProgress'), member.memberId)));
    }
    member.joinAsk = ask;
  }

  /** A static member comes back without its id: it gets a new one, and whoever still uses the old one is fenced (KIP-345). */
  #joinInPlaceOf(ask: Ask<JoinAnswer>, request: JoinRequest, old: ClassicMember, nowMs: number, out: Effect[]): void {
    const oldLeader = this.roster.leader;
    const fenced = new Fault('fencedInstance');
    if (old.joinAsk !== null) out.push(answer(old.joinAsk, refusedJoin(fenced, old.memberId)));
    if (old.syncAsk !== null) out.push(answer(old.syncAsk, refusedSync(fenced)));
    old.joinAsk = old.syncAsk = null;
    const deadlineMs = nowMs + request.sessionTimeoutMs;
    const member = {
      ...memberOf(request, request.newMemberId, ask, deadlineMs),
      assignment: old.assignment,
      isNew: false,
    };
    this.roster.replace(old, member);
    this.pendingSync.delete(old.memberId);
    this.deadline(deadlineMs);
    if (this.state !== 'Stable' || this.roster.chosenProtocol() !== this.chosenProtocol) {
      this.changed(nowMs, out);
      return;
    }
    const event = this.event(new Map(Array.from(this.roster, ({ memberId, assignment }) => [memberId, assignment])));
    out.push(
      store([event], (refused, laterMs) => {
        // A rebalance that began meanwhile answers it.
        if (member.joinAsk !== ask || this.state !== 'Stable') return [];
        member.joinAsk = null;
        if (refused !== null) return this.#putBack(member, old, refused, ask, laterMs);
        this.keepAlive(member, laterMs);
        if (!request.maySkipAssignment) {
          // Told the old leader's id, a new leader does not think that it has to assign.
          return [answer(ask, { ...this.joined(member), members: [], leader: oldLeader ?? '' })];
        }
        return [answer(ask, { ...this.joined(member), skipAssignment: member.memberId === this.roster.leader })];
      }),
    );
  }

  #putBack(
    member: ClassicMember,
    old: ClassicMember,
    refused: Fault,
    ask: Ask<JoinAnswer>,
    nowMs: number,
  ): readonly Effect[] {
    this.roster.replace(member, old);
    this.keepAlive(old, nowMs);
    return [answer(ask, refusedJoin(refused, ''))];
  }

  #checkMember(memberId: string, instanceId: string | null, generation: number): void {
    const fault = this.roster.refusal(memberId, instanceId);
    if (fault !== null) throw fault;
    if (generation !== this.currentGeneration) throw new Fault('illegalGeneration');
  }
}

function memberOf(request: JoinRequest, memberId: string, joinAsk: Ask<JoinAnswer>, deadlineMs: number): ClassicMember {
  const { instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = request;
  const told = { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols };
  return { ...told, assignment: NO_BYTES, joinAsk, syncAsk: null, isNew: true, deadlineMs };
}
