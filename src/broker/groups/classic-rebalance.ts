import { Fault } from '../../base/faults.ts';
import {
  type ClassicMember,
  type JoinAnswer,
  metadataOf,
  NO_BYTES,
  recordOf,
  refusedJoin,
  refusedSync,
  type SyncAnswer,
  type SyncRequest,
} from './classic-member.ts';
import { ClassicRoster } from './classic-roster.ts';
import { CONSUMER_PROTOCOL } from './classic-subscription.ts';
import { type Ask, answer, type Effect, store } from './group.ts';
import type { GroupEvent } from './group-events.ts';

/** After which time it is tried again to store that a group is empty. */
const STORE_AGAIN_MS = 1000;

/** Broker settings as a group reads them, each time anew. */
export interface ClassicSettings {
  readonly initialRebalanceDelayMs: number;
  readonly membersMax: number;
}

export type ClassicState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable';

/** When joining ends whoever has come. The first time it may be put off while new members come, for `leftMs` more. */
interface JoinDeadline {
  readonly atMs: number;
  readonly initial: { readonly delayMs: number; readonly leftMs: number } | null;
}

/**
 * How a classic group comes from members to one assignment of one generation. What is stored is the last assignment, or that
 * the group is empty: a restart takes up there, and members that are in no rebalance notice nothing of it.
 *
 *   Empty ── join ──▶ PreparingRebalance ── all have joined, or time is up ──▶ CompletingRebalance ── the leader's
 *     ▲                      ▲                                                        │     assignment is stored
 *     └── nobody joined ─────┤◀── join, leave, a session ends ────────────────────────┴──────────▶ Stable
 */
export class ClassicRebalance {
  readonly id: string;
  protected readonly settings: ClassicSettings;
  protected readonly roster = new ClassicRoster();
  /** Ids that were given out and not joined with yet, and when they lapse. */
  protected readonly pending = new Map<string, number>();
  /** Members that were told the generation and have not asked for their assignment. */
  protected readonly pendingSync = new Set<string>();
  protected state: ClassicState = 'Empty';
  protected currentGeneration = 0;
  protected chosenType: string | null = null;
  protected chosenProtocol: string | null = null;
  /** What consumers are subscribed to; null when that is not known. */
  protected topics: ReadonlySet<string> | null = null;
  /** When it came to its state. */
  protected sinceMs = 0;
  protected joinDeadline: JoinDeadline | null = null;
  protected newMemberAdded = false;
  #syncDeadlineMs = Infinity;
  #storeAgainMs = Infinity;
  /** The leader has sent this generation's assignment, which is on its way to the disk. */
  #storing = false;
  #wakeAtMs = Infinity;

  constructor(id: string, settings: ClassicSettings) {
    this.id = id;
    this.settings = settings;
  }

  get stateName(): ClassicState {
    return this.state;
  }

  get protocolType(): string {
    return this.chosenType ?? '';
  }

  get generation(): number {
    return this.currentGeneration;
  }

  get isEmpty(): boolean {
    return this.state === 'Empty';
  }

  get wakeAtMs(): number {
    return this.#wakeAtMs;
  }

  sync(ask: Ask<SyncAnswer>, request: SyncRequest, nowMs: number): readonly Effect[] {
    const out: Effect[] = [];
    const fault = this.#syncRefusal(request);
    if (fault !== null) return [answer(ask, refusedSync(fault))];
    const member = this.roster.get(request.memberId)!;
    this.pendingSync.delete(member.memberId);
    if (this.pendingSync.size === 0) this.#syncDeadlineMs = Infinity;
    if (this.state === 'Stable') {
      out.push(answer(ask, this.#assignmentOf(member)));
      return out;
    }
    if (member.syncAsk !== null) out.push(answer(member.syncAsk, refusedSync(new Fault('rebalanceInProgress'))));
    member.syncAsk = ask;
    if (member.memberId === this.roster.leader && !this.#storing) this.#storeAssignment(request, nowMs, out);
    return out;
  }

  wake(nowMs: number): readonly Effect[] {
    const out: Effect[] = [];
    const lapsed = Array.from(this.pending).filter(([, deadlineMs]) => deadlineMs <= nowMs);
    for (const [memberId] of lapsed) this.pending.delete(memberId);
    if (lapsed.length > 0) this.considerJoined(nowMs, out);
    const silent = Array.from(this.roster).filter(({ deadlineMs }) => deadlineMs <= nowMs);
    for (const member of silent) {
      // A member that waits for its answer need not say that it lives, but for one that cannot say so.
      const waits = !member.isNew && (member.joinAsk !== null || member.syncAsk !== null);
      if (waits) member.deadlineMs = Infinity;
      else this.dismiss(member, out);
    }
    if (silent.some(({ memberId }) => this.roster.get(memberId) === undefined)) this.changed(nowMs, out);
    if (this.joinDeadline !== null && this.joinDeadline.atMs <= nowMs)
      this.#joinTimeIsUp(this.joinDeadline, nowMs, out);
    if (this.#syncDeadlineMs <= nowMs) this.#syncTimeIsUp(nowMs, out);
    if (this.#storeAgainMs <= nowMs) this.#storeEmpty(nowMs, out);
    this.#wakeAtMs = Infinity;
    for (const deadlineMs of this.pending.values()) this.deadline(deadlineMs);
    for (const { deadlineMs } of this.roster) this.deadline(deadlineMs);
    this.deadline(Math.min(this.joinDeadline?.atMs ?? Infinity, this.#syncDeadlineMs, this.#storeAgainMs));
    return out;
  }

  // Rebalances

  /** Who is a member, or what one offers, has changed. */
  protected changed(nowMs: number, out: Effect[]): void {
    if (this.state === 'PreparingRebalance') {
      this.considerJoined(nowMs, out);
      return;
    }
    if (this.roster.size === 0 && this.isEmpty) return;
    const wasEmpty = this.isEmpty;
    if (this.state === 'CompletingRebalance') this.#refuseSyncs(new Fault('rebalanceInProgress'), nowMs, out);
    this.pendingSync.clear();
    this.#syncDeadlineMs = Infinity;
    this.#storing = false;
    this.#enter('PreparingRebalance', nowMs);
    if (wasEmpty) {
      const delayMs = this.settings.initialRebalanceDelayMs;
      const leftMs = Math.max(this.roster.rebalanceTimeoutMs - delayMs, 0);
      this.newMemberAdded = false;
      this.#awaitJoins({ atMs: nowMs + delayMs, initial: { delayMs, leftMs } });
    } else {
      this.#awaitJoins({ atMs: nowMs + this.roster.rebalanceTimeoutMs, initial: null });
      this.considerJoined(nowMs, out);
    }
  }

  #awaitJoins(deadline: JoinDeadline): void {
    this.joinDeadline = deadline;
    this.deadline(deadline.atMs);
  }

  protected considerJoined(nowMs: number, out: Effect[]): void {
    if (this.state !== 'PreparingRebalance' || this.joinDeadline?.initial != null || this.pending.size > 0) return;
    if (this.roster.joined === this.roster.size) this.#completeJoin(nowMs, out);
  }

  #joinTimeIsUp({ initial }: JoinDeadline, nowMs: number, out: Effect[]): void {
    if (initial === null || !this.newMemberAdded || initial.leftMs === 0) {
      this.#completeJoin(nowMs, out);
      return;
    }
    this.newMemberAdded = false;
    const delayMs = Math.min(this.settings.initialRebalanceDelayMs, initial.leftMs);
    const leftMs = Math.max(initial.leftMs - initial.delayMs, 0);
    this.#awaitJoins({ atMs: nowMs + delayMs, initial: { delayMs, leftMs } });
  }

  #completeJoin(nowMs: number, out: Effect[]): void {
    this.joinDeadline = null;
    const missing = Array.from(this.roster).filter(({ joinAsk }) => joinAsk === null);
    // A static member may be restarting: its session alone decides.
    for (const { instanceId, memberId } of missing) if (instanceId === null) this.remove(memberId);
    if (this.roster.size === 0) {
      this.currentGeneration += 1;
      this.chosenProtocol = null;
      this.#enter('Empty', nowMs);
      this.topics = this.topicsOfMembers();
      this.#storeEmpty(nowMs, out);
      return;
    }
    if (!this.roster.electLeader()) {
      this.#awaitJoins({ atMs: nowMs + this.roster.rebalanceTimeoutMs, initial: null });
      return;
    }
    this.currentGeneration += 1;
    this.chosenProtocol = this.roster.chosenProtocol();
    this.topics = this.topicsOfMembers();
    this.#enter('CompletingRebalance', nowMs);
    for (const member of this.roster) {
      if (member.joinAsk !== null) out.push(answer(member.joinAsk, this.joined(member)));
      member.joinAsk = null;
      member.isNew = false;
      this.keepAlive(member, nowMs);
      this.pendingSync.add(member.memberId);
    }
    this.#syncDeadlineMs = nowMs + this.roster.rebalanceTimeoutMs;
    this.deadline(this.#syncDeadlineMs);
  }

  #storeAssignment({ assignments }: SyncRequest, nowMs: number, out: Effect[]): void {
    const assigned = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
    const generation = this.currentGeneration;
    this.#storing = true;
    this.sinceMs = nowMs;
    const then = (refused: Fault | null, laterMs: number): readonly Effect[] => {
      // A rebalance may have begun meanwhile.
      if (this.state !== 'CompletingRebalance' || this.currentGeneration !== generation) return [];
      const effects: Effect[] = [];
      this.#storing = false;
      if (refused !== null) {
        this.#refuseSyncs(refused, laterMs, effects);
        this.changed(laterMs, effects);
        return effects;
      }
      for (const member of this.roster) member.assignment = assigned.get(member.memberId) ?? NO_BYTES;
      this.#enter('Stable', laterMs);
      this.#answerSyncs((member) => this.#assignmentOf(member), laterMs, effects);
      return effects;
    };
    out.push(store([this.event(assigned)], then));
  }

  #refuseSyncs(fault: Fault, nowMs: number, out: Effect[]): void {
    for (const member of this.roster) member.assignment = NO_BYTES;
    this.#answerSyncs(() => refusedSync(fault), nowMs, out);
  }

  #answerSyncs(told: (member: ClassicMember) => SyncAnswer, nowMs: number, out: Effect[]): void {
    for (const member of this.roster) {
      if (member.syncAsk === null) continue;
      out.push(answer(member.syncAsk, told(member)));
      member.syncAsk = null;
      this.keepAlive(member, nowMs);
    }
  }

  #assignmentOf({ assignment }: ClassicMember): SyncAnswer {
    return { refused: null, protocolType: this.chosenType, protocolName: this.chosenProtocol, assignment };
  }

  /** Members that know the generation and do not ask for their work hold up nobody longer than a rebalance may take. */
  #syncTimeIsUp(nowMs: number, out: Effect[]): void {
    this.#syncDeadlineMs = Infinity;
    for (const memberId of this.pendingSync) this.remove(memberId);
    this.changed(nowMs, out);
  }

  #storeEmpty(nowMs: number, out: Effect[]): void {
    this.#storeAgainMs = Infinity;
    if (!this.isEmpty) return;
    const then = (refused: Fault | null, laterMs: number): readonly Effect[] => {
      if (refused !== null) this.deadline((this.#storeAgainMs = Math.max(laterMs, nowMs) + STORE_AGAIN_MS));
      return [];
    };
    out.push(store([this.event(new Map())], then));
  }

  protected event(assigned: ReadonlyMap<string, Uint8Array>): GroupEvent {
    return {
      type: 'classicGroup',
      group: this.id,
      generation: this.currentGeneration,
      protocolType: this.protocolType,
      protocolName: this.chosenProtocol,
      leader: this.roster.leader,
      sinceMs: this.sinceMs,
      members: Array.from(this.roster, (member) =>
        recordOf(member, this.chosenProtocol, assigned.get(member.memberId) ?? NO_BYTES),
      ),
    };
  }

  protected joined(member: ClassicMember): JoinAnswer {
    const leads = member.memberId === this.roster.leader;
    const members = Array.from(leads ? this.roster : [], (each) => ({
      memberId: each.memberId,
      instanceId: each.instanceId,
      metadata: metadataOf(each, this.chosenProtocol),
    }));
    return {
      refused: null,
      memberId: member.memberId,
      generation: this.currentGeneration,
      protocolType: this.chosenType,
      protocolName: this.chosenProtocol,
      leader: this.roster.leader ?? '',
      skipAssignment: false,
      members,
    };
  }

  #syncRefusal({ memberId, instanceId, generation, protocolType, protocolName }: SyncRequest): Fault | null {
    const fault = this.roster.refusal(memberId, instanceId);
    if (fault !== null) return fault;
    if (generation !== this.currentGeneration) return new Fault('illegalGeneration');
    const other = (theirs: string | null, ours: string | null) => theirs !== null && ours !== null && theirs !== ours;
    if (other(protocolType, this.chosenType) || other(protocolName, this.chosenProtocol)) {
      return new Fault('inconsistentGroupProtocol');
    }
    return this.state === 'PreparingRebalance' ? new Fault('rebalanceInProgress') : null;
  }

  /** Takes a member out; if it waits for an answer, it learns that it has to begin anew. */
  protected dismiss(member: ClassicMember, out: Effect[]): void {
    const unknown = new Fault('unknownMember');
    if (member.joinAsk !== null) out.push(answer(member.joinAsk, refusedJoin(unknown, '')));
    if (member.syncAsk !== null) out.push(answer(member.syncAsk, refusedSync(unknown)));
    member.joinAsk = member.syncAsk = null;
    this.remove(member.memberId);
  }

  protected remove(memberId: string): void {
    this.roster.remove(memberId);
    this.pending.delete(memberId);
    this.pendingSync.delete(memberId);
  }

  protected keepAlive(member: ClassicMember, nowMs: number): void {
    member.deadlineMs = nowMs + member.sessionTimeoutMs;
    this.deadline(member.deadlineMs);
  }

  protected topicsOfMembers(): ReadonlySet<string> | null {
    if (this.chosenType !== CONSUMER_PROTOCOL) return null;
    if (this.roster.size === 0) return new Set();
    return this.chosenProtocol === null ? null : this.roster.topics(this.chosenProtocol);
  }

  #enter(state: ClassicState, nowMs: number): void {
    this.state = state;
    this.sinceMs = nowMs;
  }

  protected deadline(atMs: number): void {
    if (atMs < this.#wakeAtMs) this.#wakeAtMs = atMs;
  }
}
