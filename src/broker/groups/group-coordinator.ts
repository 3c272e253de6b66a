import type { CancelTimer, Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import { Ledger } from '../../ledger/ledger.ts';
import type { LogContext } from '../../log/partition-log.ts';
import type { BrokerSettings } from '../broker-settings.ts';
import type { Topic } from '../topic.ts';
import type { Topics } from '../topics.ts';
import { ClassicGroup } from './classic-group.ts';
import { ConsumerGroups } from './consumer/consumer-groups.ts';
import { LiveConsumerGroup } from './consumer/live-consumer-group.ts';
import type { Committer, Effect, Group } from './group.ts';
import { GroupClock } from './group-clock.ts';
import type { CommittedOffset, GroupEvent } from './group-events.ts';
import { GroupState } from './group-state.ts';

/** One partition of a commit. `metadata` null is none. */
export interface OffsetCommit {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

/** What the coordinator needs of the broker. */
export interface CoordinatorContext {
  readonly settings: BrokerSettings;
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
  readonly #alarms = new Map<string, { atMs: number; cancel: CancelTimer }>();
  #stopped: Fault | null = null;

  private constructor(state: GroupState, ledger: Ledger<GroupEvent>, log: LogContext, context: CoordinatorContext) {
    this.#state = state;
    this.#ledger = ledger;
    this.#context = context;
    this.#clock = log.clock;
    this.#logger = log.logger;
    this.#uptime = new GroupClock(log.clock, state.uptimeMs);
    this.consumers = new ConsumerGroups(this, state.consumerGroups, { ...context, logger: log.logger }, () =>
      this.#uptime.uptimeMs(),
    );
    context.topics.whenDeleted((topic) => this.#forgetTopic(topic));
  }

  /** Opens the groups' ledger and takes up every group in it. @throws Fault damagedMetadata, folderTooNew */
  static async open(log: LogContext, context: CoordinatorContext): Promise<GroupCoordinator> {
    const state = new GroupState();
    const ledger = await Ledger.open<GroupEvent>('ledger/groups', log, state);
    const coordinator = new GroupCoordinator(state, ledger, log, context);
    await coordinator.consumers.open();
    for (const group of coordinator.consumers) coordinator.#watch(group);
    return coordinator;
  }

  /** Every group that has members, a past or offsets. */
  *groups(): Generator<Group> {
    yield* this.consumers;
    yield* this.#groups.values();
    for (const id of this.#state.offsets.groupIds()) {
      if (!this.#groups.has(id) && this.consumers.find(id) === null) yield new ClassicGroup(id);
    }
  }

  /** A group by its id, also one that only holds offsets; null when there is none. */
  find(id: string): Group | null {
    const group = this.consumers.find(id) ?? this.#groups.get(id);
    return group ?? (this.#state.offsets.has(id) ? new ClassicGroup(id) : null);
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
    if (group === null && committer.generation < 0) group = new ClassicGroup(id);
    if (group === null) throw new Fault('groupNotFound', { detail: JSON.stringify(id) });
    group.checkCommit(committer, nowMs);
    this.#watch(group);
    const expiresAtMs = retentionMs === null ? null : nowMs + retentionMs;
    const byTopic = Map.groupBy(commits, ({ topic }) => topic);
    await this.#append(
      Array.from(
        byTopic,
        ([{ id: topicId, name: topic }, ofTopic]): GroupEvent => ({
          type: 'offsets',
          group: id,
          topic,
          topicId,
          partitions: ofTopic.map(({ partition, offset, leaderEpoch, metadata }) => [
            partition,
            { offset, leaderEpoch, metadata: metadata ?? '', committedAtMs: nowMs, expiresAtMs },
          ]),
        }),
      ),
    );
  }

  /**
   * One change of a group after the other: `decide` sees the group with all earlier changes folded in (null when there is
   * none), and its events are folded before this resolves to its result. Changes of different groups share the disk's syncs.
   * @throws Fault what `decide` throws; coordinatorNotAvailable when the disk refuses
   */
  async change<Result>(
    id: string,
    decide: (group: Group | null, nowMs: number) => { events: readonly GroupEvent[]; result: Result },
  ): Promise<Result> {
    const before = this.#changes.get(id);
    const change = (async () => {
      if (before !== undefined) await before.catch(() => {});
      this.#checkServing(id);
      const { events, result } = decide(this.find(id), this.#uptime.uptimeMs());
      if (events.length > 0) await this.#append(events);
      return result;
    })();
    this.#changes.set(id, change);
    try {
      return await change;
    } finally {
      if (this.#changes.get(id) === change) this.#changes.delete(id);
      const group = this.find(id);
      if (group !== null) this.#watch(group);
    }
  }

  /** Ends at once, after a fatal failure; `close` is still to be called. */
  abort(fault: Fault): void {
    this.#stop(fault);
    this.#ledger.abort(fault);
  }

  /** Whatever was accepted is durable when it resolves. Requests that wait are not answered any more. */
  async close(): Promise<void> {
    this.#stop(new Fault('brokerStopped'));
    await this.#append([{ type: 'uptime', ms: this.#uptime.uptimeMs() }]).finally(() => this.#ledger.close());
  }

  /** What is committed of a topic that is gone goes too. */
  #forgetTopic({ id: topicId, name: topic }: Topic): void {
    const { offsets } = this.#state;
    const groups = Array.from(offsets.groupIds()).filter(
      (group) => offsets.ofGroup(group)?.get(topic)?.topicId === topicId,
    );
    const removals = groups.map(
      (group): GroupEvent => ({ type: 'offsetsRemoved', group, topic, topicId, partitions: null }),
    );
    if (removals.length === 0 || this.#stopped !== null) return;
    this.#append(removals).catch((err) =>
      this.#logger.warn({ err, topic }, 'offsets of a deleted topic are still there'),
    );
  }

  /** Does what a group decided, without waiting; what hangs on a store is done when it is decided. */
  #perform(group: Group, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'answer') {
        (effect.ask.answered as (answer: object) => void)(effect.answer);
        continue;
      }
      void this.#append(effect.events)
        .then(
          () => null,
          (error: unknown) => {
            if (!(error instanceof Fault)) throw error;
            return error;
          },
        )
        .then((refused) => this.#perform(group, effect.then(refused, this.#uptime.uptimeMs())))
        .catch((error: unknown) => this.#context.onBug(error));
    }
    this.#watch(group);
  }

  /** Sees to it that a group is woken in time. One that puts its deadline off is woken early once, which is cheaper. */
  #watch(group: Group): void {
    const { id, wakeAtMs } = group;
    const alarm = this.#alarms.get(id);
    if (this.#stopped !== null || wakeAtMs >= (alarm?.atMs ?? Infinity)) return;
    alarm?.cancel();
    const cancel = this.#clock.after(wakeAtMs - this.#uptime.uptimeMs(), () => {
      this.#alarms.delete(id);
      const current = this.find(id);
      if (current instanceof LiveConsumerGroup) this.#expire(current);
      else if (current !== null) this.#perform(current, current.wake(this.#uptime.uptimeMs()));
    });
    this.#alarms.set(id, { atMs: wakeAtMs, cancel });
  }

  #expire({ id }: Group): void {
    this.consumers.expire(id).catch((error: unknown) => {
      if (!(error instanceof Fault)) this.#context.onBug(error);
    });
  }

  #stop(fault: Fault): void {
    this.#stopped ??= fault;
    for (const { cancel } of this.#alarms.values()) cancel();
    this.#alarms.clear();
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
