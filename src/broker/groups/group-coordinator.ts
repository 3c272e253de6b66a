import type { CancelTimer, Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import { limits } from '../../base/limits.ts';
import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import { Ledger } from '../../ledger/ledger.ts';
import type { LogContext } from '../../log/log-context.ts';
import type { BrokerSettings } from '../broker-settings.ts';
import type { GroupSettings } from '../group-settings.ts';
import type { Topic } from '../topic.ts';
import type { Topics } from '../topics.ts';
import { ClassicGroup } from './classic-group.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  type Leaver,
  refusedJoin,
  refusedSync,
  type SyncAnswer,
  type SyncRequest,
} from './classic-member.ts';
import type { ClassicSettings } from './classic-rebalance.ts';
import { type OffsetCommit, offsetEvents } from './committed-offsets.ts';
import { ConsumerGroups } from './consumer/consumer-groups.ts';
import { type Decided, LiveConsumerGroup } from './consumer/live-consumer-group.ts';
import type { Ask, Committer, Effect, Group } from './group.ts';
import { GroupAlarms } from './group-alarms.ts';
import { GroupClock } from './group-clock.ts';
import type { CommittedOffset, GroupEvent } from './group-events.ts';
import { GroupState } from './group-state.ts';
import { expiredOffsets } from './offset-expiry.ts';

const MS_PER_MINUTE = 60_000;

/** What the coordinator needs of the broker. */
export interface CoordinatorContext {
  readonly settings: BrokerSettings;
  readonly groupSettings: GroupSettings;
  readonly topics: Topics;
  readonly random: Random;
  /** A bug of ours: the broker stops. */
  readonly onBug: (error: unknown) => void;
}

/**
 * The coordinator of all groups: keeps them, wakes them at their deadlines, and performs what they decide, durable first,
 * answer second. What is told of offsets is told from what is durable.
 */
export class GroupCoordinator {
  /** The groups of the new protocol, and their requests. */
  readonly consumers: ConsumerGroups;
  readonly #state: GroupState;
  readonly #ledger: Ledger<GroupEvent>;
  readonly #context: CoordinatorContext;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #uptime: GroupClock;
  readonly #groups = new Map<string, Group>();
  /** Groups whose removal is on its way to the disk: until it is decided they are no longer there to be used. */
  readonly #removing = new Set<string>();
  /** The last change of each group that has one under way. */
  readonly #changes = new Map<string, Promise<unknown>>();
  readonly #alarms: GroupAlarms;
  readonly #classicSettings: ClassicSettings;
  #cleaning: CancelTimer | null = null;
  #stopped: Fault | null = null;

  private constructor(state: GroupState, ledger: Ledger<GroupEvent>, log: LogContext, context: CoordinatorContext) {
    this.#state = state;
    this.#ledger = ledger;
    this.#context = context;
    this.#clock = log.clock;
    this.#logger = log.logger;
    this.#uptime = new GroupClock(log.clock, state.uptimeMs);
    this.#alarms = new GroupAlarms(log.clock, this.#uptime, (id, nowMs) => this.#wake(id, nowMs));
    this.consumers = new ConsumerGroups(this, state.consumerGroups, { ...context, logger: log.logger }, () =>
      this.#uptime.uptimeMs(),
    );
    const { settings, topics } = context;
    this.#classicSettings = {
      get initialRebalanceDelayMs() {
        return settings.number('group.initial.rebalance.delay.ms');
      },
      get membersMax() {
        return settings.number('group.max.size');
      },
    };
    topics.whenDeleted((topic) => this.#forgetTopic(topic));
  }

  /**
   * Opens the groups' ledger and takes up every group in it. `mayBeNew`: whether there may be none yet.
   * @throws Fault damagedMetadata, folderTooNew
   */
  static async open(log: LogContext, context: CoordinatorContext, mayBeNew = true): Promise<GroupCoordinator> {
    const state = new GroupState();
    const ledger = await Ledger.open<GroupEvent>('ledger/groups', log, state, { mayBeNew });
    const coordinator = new GroupCoordinator(state, ledger, log, context);
    try {
      await coordinator.consumers.open();
    } catch (error) {
      const stopped = new Fault('brokerStopped');
      coordinator.#stop(stopped);
      ledger.abort(stopped);
      await ledger.close();
      throw error;
    }
    for (const group of coordinator.consumers) coordinator.#alarms.watch(group);
    for (const id of state.classicGroups.keys()) coordinator.#takeUp(id);
    coordinator.#cleanLater();
    return coordinator;
  }

  /** Every group that has members, a past or offsets. */
  *groups(): Generator<Group> {
    yield* this.consumers;
    yield* this.#groups.values();
    for (const id of this.#state.offsets.groupIds()) {
      if (!this.#groups.has(id) && this.consumers.find(id) === null) yield this.#begin(id);
    }
  }

  /** A group by its id, also one that only holds offsets; null when there is none. */
  find(id: string): Group | null {
    const group = this.consumers.find(id) ?? this.#groups.get(id);
    return group ?? this.#takeUp(id) ?? (this.#state.offsets.has(id) ? this.#begin(id) : null);
  }

  #begin(id: string): ClassicGroup {
    return new ClassicGroup(id, this.#classicSettings);
  }

  #beginNew(id: string): ClassicGroup {
    if (this.#groups.size >= limits.groupsMax || this.#state.offsets.size >= limits.groupsMax) {
      throw new Fault('policyViolation', { detail: `there are ${limits.groupsMax} groups` });
    }
    return this.#begin(id);
  }

  /** An id for a new member, which begins with what it calls itself. */
  newMemberId(name: string): string {
    const hex = this.#context.random.bytes(16).toString('hex');
    return `${name}-${[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')}`;
  }

  /** Joins a classic group; resolves when its members know each other, which the slowest of them decides. */
  async join(id: string, request: JoinRequest): Promise<JoinAnswer> {
    // It may be on its way to another kind, or out. One of the new protocol puts its own changes in their order.
    for (let change = this.#changes.get(id); change !== undefined; change = this.#changes.get(id)) {
      if (this.consumers.find(id)?.isEmpty === false) break;
      await change.catch(() => {});
    }
    this.#checkServing(id);
    let group = this.find(id);
    if (group instanceof LiveConsumerGroup && group.isEmpty && request.memberId === '') {
      await this.#removeUnlessUsed(id);
      group = this.find(id);
    }
    group ??= request.memberId === '' ? this.#beginNew(id) : null;
    if (group === null) return refusedJoin(new Fault('unknownMember'), request.memberId);
    if (group instanceof LiveConsumerGroup && !group.isEmpty) return this.consumers.classicJoin(id, request);
    if (group instanceof LiveConsumerGroup) return refusedJoin(new Fault('unknownMember'), request.memberId);
    if (!(group instanceof ClassicGroup)) return refusedJoin(new Fault('inconsistentGroupProtocol'), request.memberId);
    return this.#ask(group, (ask, nowMs) => group.join(ask, request, nowMs));
  }

  /** An empty group goes, but for its offsets, unless somebody joins it or removes it meanwhile. */
  async #removeUnlessUsed(id: string): Promise<void> {
    try {
      await this.#remove(id, []);
    } catch (error) {
      const overtaken = error instanceof Fault && ['nonEmptyGroup', 'groupNotFound'].includes(error.fault);
      if (!overtaken) throw error;
    }
  }

  /** Resolves to the member's assignment, when the leader's division of the work is durable. */
  sync(id: string, request: SyncRequest): Promise<SyncAnswer> {
    this.#checkServing(id);
    const group = this.find(id);
    if (group instanceof LiveConsumerGroup) return this.consumers.classicSync(id, request);
    if (!(group instanceof ClassicGroup)) return Promise.resolve(refusedSync(new Fault('unknownMember')));
    return this.#ask(group, (ask, nowMs) => group.sync(ask, request, nowMs));
  }

  /** @throws Fault unknownMember, fencedInstance, illegalGeneration, rebalanceInProgress */
  async heartbeat(id: string, memberId: string, instanceId: string | null, generation: number): Promise<void> {
    this.#checkServing(id);
    const beat = (group: Group | null, nowMs: number): void => {
      if (group instanceof LiveConsumerGroup) group.classic.heartbeat(memberId, instanceId, generation, nowMs);
      else if (group instanceof ClassicGroup) group.heartbeat(memberId, instanceId, generation, nowMs);
      else throw new Fault('unknownMember');
    };
    // In its turn: the member's removal may be on its way to the disk.
    if (this.consumers.find(id) !== null) {
      await this.change(id, (group, nowMs) => ({ events: [], result: beat(group, nowMs) }));
      return;
    }
    const group = this.find(id);
    beat(group, this.#uptime.uptimeMs());
    if (group !== null) this.#alarms.watch(group);
  }

  /** What each leaver is told, in their order. @throws Fault coordinatorNotAvailable */
  async leave(id: string, leavers: readonly Leaver[]): Promise<(Fault | null)[]> {
    this.#checkServing(id);
    const group = this.find(id);
    if (group instanceof LiveConsumerGroup) {
      return this.change(id, (_, nowMs) => this.consumers.get(id).classic.leave(leavers, nowMs));
    }
    if (!(group instanceof ClassicGroup)) return leavers.map(() => new Fault('unknownMember'));
    const { refusals, effects } = group.leave(leavers, this.#uptime.uptimeMs());
    const refused = await this.#perform(group, effects);
    if (refused !== null) throw refused;
    return refusals;
  }

  /** Removes a group and its offsets. @throws Fault groupNotFound, nonEmptyGroup, coordinatorNotAvailable */
  async remove(id: string): Promise<void> {
    await this.#remove(id, [{ type: 'allOffsetsRemoved', group: id }]);
  }

  async #remove(id: string, andMore: readonly GroupEvent[]): Promise<void> {
    try {
      await this.change(id, (group) => {
        if (group === null) throw new Fault('groupNotFound', { detail: JSON.stringify(id) });
        group.checkDelete();
        this.#removing.add(id);
        return { events: [{ type: 'groupRemoved', group: id }, ...andMore], result: undefined };
      });
      this.#groups.delete(id);
      this.#alarms.forget(id);
    } finally {
      this.#removing.delete(id);
    }
  }

  /**
   * Removes committed offsets of topics that the group does not read; resolves to what each topic is refused with, or null.
   * @throws Fault groupNotFound, nonEmptyGroup, coordinatorNotAvailable
   */
  removeOffsets(
    id: string,
    wanted: readonly { topic: string; partitions: readonly number[] }[],
  ): Promise<(Fault | null)[]> {
    return this.change(id, (group) => {
      if (group === null) throw new Fault('groupNotFound', { detail: JSON.stringify(id) });
      group.checkOffsetDelete();
      const refusals = wanted.map(({ topic }) => (group.isSubscribedTo(topic) ? new Fault('groupSubscribed') : null));
      const events: GroupEvent[] = [];
      for (const [i, { topic, partitions }] of wanted.entries()) {
        const topicId = this.#context.topics.find(topic)?.id;
        if (refusals[i] !== null || topicId === undefined) continue;
        events.push({ type: 'offsetsRemoved', group: id, topic, topicId, partitions, committedUntilMs: null });
      }
      return { events, result: refusals };
    });
  }

  /** Resolves when every commit that came before is durable, or refused. */
  settled(): Promise<void> {
    return this.#ledger.settled();
  }

  /** What a group has committed, by topic name; topics that are gone are left out. @throws Fault as the group's kind says */
  offsets(
    id: string,
    memberId: string | null,
    memberEpoch: number,
  ): ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>> {
    this.find(id)?.checkFetch(memberId, memberEpoch);
    const found = new Map<string, ReadonlyMap<number, CommittedOffset>>();
    for (const [topic, { topicId, partitions }] of this.#state.offsets.ofGroup(id) ?? []) {
      // Those of a topic that is gone go soon; one of the same name has none.
      if (this.#context.topics.find(topic)?.id === topicId) found.set(topic, partitions);
    }
    return found;
  }

  /**
   * Commits offsets for a group; resolves when they are durable. Commits of one group take effect in the order of the calls.
   * `retentionMs` null: as long as the broker's settings say. @throws Fault before anything is written when the committer
   * may not; coordinatorNotAvailable when the disk refuses
   */
  async commit(
    id: string,
    committer: Committer,
    commits: readonly OffsetCommit[],
    retentionMs: number | null,
  ): Promise<void> {
    const nowMs = this.#uptime.uptimeMs();
    this.#checkServing(id);
    let group = this.find(id);
    // Who is no member may begin a group that only holds offsets.
    if (group === null && committer.generation < 0) group = this.#beginNew(id);
    if (group === null) throw new Fault('groupNotFound', { detail: JSON.stringify(id) });
    group.checkCommit(committer, nowMs, commits);
    this.#alarms.watch(group);
    // When each was refused for itself, as with too much metadata, there is nothing to write.
    if (commits.length === 0) return;
    const expiresAtMs = retentionMs === null ? null : nowMs + retentionMs;
    await this.#append(offsetEvents(id, commits, nowMs, expiresAtMs));
  }

  /**
   * One change of a group after the other: `decide` sees the group with all earlier changes folded in (null when there is
   * none), and its events are folded before this resolves to its result, and before `whenStored` is called. Changes of
   * different groups share the disk's syncs.
   * @throws Fault what `decide` throws; coordinatorNotAvailable when the disk refuses
   */
  async change<Result>(
    id: string,
    decide: (group: Group | null, nowMs: number) => Decided<Result> & { ends?: Group | null },
  ): Promise<Result> {
    const before = this.#changes.get(id);
    const change = (async () => {
      if (before !== undefined) await before.catch(() => {});
      this.#checkServing(id);
      const { events, result, ends, whenStored } = decide(this.find(id), this.#uptime.uptimeMs());
      if (ends instanceof ClassicGroup) await this.#appendInPlaceOf(ends, events);
      else if (events.length > 0) await this.#append(events);
      whenStored?.(this.#uptime.uptimeMs());
      return result;
    })();
    this.#changes.set(id, change);
    try {
      return await change;
    } finally {
      if (this.#changes.get(id) === change) this.#changes.delete(id);
      // One that became a group of the new protocol is that alone.
      if (this.consumers.find(id) !== null) this.#groups.delete(id);
      const group = this.find(id);
      if (group !== null) this.#alarms.watch(group);
    }
  }

  /**
   * The events replace a classic group: none of its own comes after them. If the disk refuses, it goes on as it is: what it told
   * its members is not all stored.
   */
  async #appendInPlaceOf(group: ClassicGroup, events: readonly GroupEvent[]): Promise<void> {
    const { id } = group;
    this.#removing.add(id);
    void this.#perform(group, group.interrupt(this.#uptime.uptimeMs()));
    this.#groups.delete(id);
    try {
      await this.#append(events);
    } catch (error) {
      if (!group.isVoid) this.#groups.set(id, group);
      throw error;
    } finally {
      this.#removing.delete(id);
    }
  }

  /** A classic group that was stored and that nobody has in hand: of an earlier run, or one of the new protocol became it. */
  #takeUp(id: string): ClassicGroup | null {
    const record = this.#state.classicGroups.get(id);
    if (record === undefined || this.#stopped !== null || this.#removing.has(id)) return null;
    const nowMs = this.#uptime.uptimeMs();
    const group = ClassicGroup.load(id, record, this.#classicSettings, nowMs);
    this.#groups.set(id, group);
    void this.#perform(group, group.takeUp(nowMs));
    return group;
  }

  #ask<Answer>(group: Group, step: (ask: Ask<Answer>, nowMs: number) => readonly Effect[]): Promise<Answer> {
    return new Promise((resolve) => {
      this.#groups.set(group.id, group);
      void this.#perform(group, step({ answered: resolve }, this.#uptime.uptimeMs()));
    });
  }

  /** Ends at once, after a fatal failure; `close` is still to be called. */
  abort(fault: Fault): void {
    this.#stop(fault);
    this.#ledger.abort(fault);
  }

  /** Whatever was accepted is durable when it resolves. Requests that wait are not answered any more. */
  async close(): Promise<void> {
    this.#stop(new Fault('brokerStopped'));
    // On a full disk: offsets are kept for a little longer.
    const noted = this.#append([{ type: 'uptime', ms: this.#uptime.uptimeMs() }]);
    await noted.catch((err) => this.#logger.warn({ err }, 'how long the broker ran could not be noted'));
    await this.#ledger.close();
  }

  /** What is committed of a topic that is gone goes too. */
  #forgetTopic({ id: topicId, name: topic }: Topic): void {
    const { offsets } = this.#state;
    const groups = Array.from(offsets.groupIds()).filter(
      (group) => offsets.ofGroup(group)?.get(topic)?.topicId === topicId,
    );
    const removal = { type: 'offsetsRemoved', topic, topicId, partitions: null, committedUntilMs: null } as const;
    const removals = groups.map((group) => ({ ...removal, group }));
    if (removals.length === 0 || this.#stopped !== null) return;
    this.#append(removals).catch((err) =>
      this.#logger.warn({ err, topic }, 'offsets of a deleted topic are still there'),
    );
  }

  #cleanLater(): void {
    this.#cleaning = this.#clock.after(this.#context.settings.number('offsets.retention.check.interval.ms'), () => {
      this.#clean()
        .catch((err) => {
          if (!(err instanceof Fault)) this.#context.onBug(err);
          this.#logger.warn({ err }, 'expired offsets could not be removed; it is tried again');
        })
        .finally(() => {
          if (this.#stopped === null) this.#cleanLater();
        });
    });
  }

  /** Removes offsets that have expired, and groups of which then nothing is left. */
  async #clean(): Promise<void> {
    const { settings, topics } = this.#context;
    const nowMs = this.#uptime.uptimeMs();
    const retentionMs = settings.number('offsets.retention.minutes') * MS_PER_MINUTE;
    const exists = (topicId: string) => topics.findById(topicId) !== null;
    const expired = Array.from(this.#state.offsets.groupIds()).flatMap((id) => {
      return expiredOffsets(this.find(id)!, this.#state.offsets.ofGroup(id)!, nowMs, retentionMs, exists);
    });
    await this.#append([{ type: 'uptime', ms: nowMs }, ...expired]);
    for (const { id, isEmpty, wakeAtMs } of [...this.groups()]) {
      const unused = isEmpty && wakeAtMs === Infinity && !this.#state.offsets.has(id);
      if (unused && this.#stopped === null) await this.#removeUnlessUsed(id);
    }
  }

  /** Does what a group decided. Resolves when all that it stores is decided: to the refusal, if there was one. */
  async #perform(group: Group, effects: readonly Effect[]): Promise<Fault | null> {
    const stores: Promise<Fault | null>[] = [];
    for (const effect of effects) {
      if (effect.type === 'answer') (effect.ask.answered as (answer: object) => void)(effect.answer);
      else stores.push(this.#store(group, effect));
    }
    this.#alarms.watch(group);
    if (group.isVoid && this.#groups.get(group.id) === group) this.#groups.delete(group.id);
    const refusals = await Promise.all(stores);
    return refusals.find((refused) => refused !== null) ?? null;
  }

  async #store(group: Group, { events, then }: Extract<Effect, { type: 'store' }>): Promise<Fault | null> {
    try {
      let refused: Fault | null = null;
      await this.#append(events).catch((error: unknown) => {
        if (!(error instanceof Fault)) throw error;
        refused = error;
      });
      void this.#perform(group, then(refused, this.#uptime.uptimeMs()));
      return refused;
    } catch (error) {
      this.#context.onBug(error);
      return new Fault('brokerStopped', { cause: error });
    }
  }

  #wake(id: string, nowMs: number): void {
    const group = this.find(id);
    try {
      if (group instanceof LiveConsumerGroup) this.#expire(group);
      else if (group !== null) void this.#perform(group, group.wake(nowMs));
    } catch (error) {
      this.#context.onBug(error);
    }
  }

  #expire({ id }: Group): void {
    this.consumers.expire(id).catch((error: unknown) => {
      if (!(error instanceof Fault)) this.#context.onBug(error);
    });
  }

  #stop(fault: Fault): void {
    this.#stopped ??= fault;
    this.#cleaning?.();
    this.#alarms.stop();
  }

  #checkServing(id: string): void {
    if (this.#stopped !== null) throw this.#stopped;
    if (this.#removing.has(id)) throw new Fault('coordinatorNotAvailable', { detail: 'the group is being removed' });
  }

  /** What a client can do about a disk that refuses is to try again. */
  async #append(events: readonly GroupEvent[]): Promise<void> {
    try {
      await this.#ledger.append(events);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Fault('coordinatorNotAvailable', { detail: error.message, cause: error });
    }
  }
}
