import { Fault } from '../../../base/faults.ts';
import { limits } from '../../../base/limits.ts';
import type { Logger } from '../../../base/logger.ts';
import { type Random, randomUuid } from '../../../base/random.ts';
import type { BrokerSettings } from '../../broker-settings.ts';
import type { GroupSettings } from '../../group-settings.ts';
import { listWords } from '../../topic-settings.ts';
import type { Topics } from '../../topics.ts';
import { ClassicGroup } from '../classic-group.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  refusedJoin,
  refusedSync,
  type SyncAnswer,
  type SyncRequest,
} from '../classic-member.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import type { GroupEvent } from '../group-events.ts';
import { assignors, isAssignor } from './assignor.ts';
import type { ConsumerGroupEvent } from './consumer-events.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH } from './consumer-member.ts';
import type { ConsumerGroupSettings } from './decide.ts';
import { type ConsumerHeartbeat, checkHeartbeat, type HeartbeatReply } from './heartbeat-request.ts';
import { type ConsumerGroupContext, LiveConsumerGroup } from './live-consumer-group.ts';
import { upgradeEvents } from './migration.ts';
import { TopicPatterns } from './topic-patterns.ts';

export interface ConsumerGroupsContext {
  readonly settings: BrokerSettings;
  readonly groupSettings: GroupSettings;
  readonly topics: Topics;
  readonly random: Random;
  readonly logger: Logger;
}

/** The groups of the new protocol (KIP-848): their requests, performed by the coordinator. */
export class ConsumerGroups {
  readonly #coordinator: GroupCoordinator;
  /** As their events made them. */
  readonly #states: ReadonlyMap<string, ConsumerGroup>;
  readonly #live = new WeakMap<ConsumerGroup, LiveConsumerGroup>();
  readonly #context: ConsumerGroupsContext;
  readonly #patterns: TopicPatterns;
  readonly #groupContext: ConsumerGroupContext;
  readonly #uptimeMs: () => number;

  constructor(
    coordinator: GroupCoordinator,
    states: ReadonlyMap<string, ConsumerGroup>,
    context: ConsumerGroupsContext,
    uptimeMs: () => number,
  ) {
    this.#coordinator = coordinator;
    this.#states = states;
    this.#context = context;
    this.#uptimeMs = uptimeMs;
    const { topics } = context;
    this.#patterns = new TopicPatterns(topics);
    this.#groupContext = {
      topics: {
        get version() {
          return topics.version;
        },
        find: (name) => {
          const topic = topics.find(name);
          return topic && { id: topic.id, partitions: topic.partitions.length };
        },
        nameOf: (id) => topics.findById(id)?.name ?? null,
        matching: (pattern) => this.#patterns.matching(pattern),
      },
      settings: (group) => this.#settings(group),
      mayHaveClassicMembers: () => this.#migrationPolicy !== 'disabled',
      mayBecomeClassic: (members) =>
        ['bidirectional', 'downgrade'].includes(this.#migrationPolicy) &&
        members <= context.settings.number('group.max.size'),
    };
  }

  /** Before the groups of an earlier run are used. */
  async open(): Promise<void> {
    const subscribe = Array.from(this.#states.values()).some(({ members }) =>
      Array.from(members.values()).some(({ topicRegex }) => topicRegex !== ''),
    );
    if (subscribe) await this.#patterns.load();
  }

  *[Symbol.iterator](): Generator<LiveConsumerGroup> {
    for (const state of this.#states.values()) yield this.#liveOf(state);
  }

  find(id: string): LiveConsumerGroup | null {
    const state = this.#states.get(id);
    return state === undefined ? null : this.#liveOf(state);
  }

  /**
   * A sign of life of a member, a join or a leave. `memberIdRequired`: whether members give themselves their ids, as they do
   * since version 1. @throws Fault invalidRequest, unsupportedAssignor, invalidRegularExpression, groupNotFound, groupFull,
   * unknownMember, fencedMemberEpoch, unreleasedInstance, fencedInstance, policyViolation when there are too many groups
   */
  async heartbeat(beat: ConsumerHeartbeat, memberIdRequired: boolean): Promise<HeartbeatReply> {
    checkHeartbeat(beat, memberIdRequired);
    const { groupId, memberEpoch } = beat;
    if (beat.topicRegex !== null && beat.topicRegex !== '') await this.#patterns.check(beat.topicRegex);
    if (memberEpoch === LEAVE_EPOCH || memberEpoch === STATIC_LEAVE_EPOCH) {
      return this.#coordinator.change(groupId, (_, nowMs) => this.get(groupId).leave(beat, nowMs));
    }
    const memberId = beat.memberId === '' ? randomUuid(this.#context.random) : beat.memberId;
    return this.#coordinator.change(groupId, (found, nowMs) => {
      if (found instanceof LiveConsumerGroup) return found.heartbeat(beat, memberId, nowMs);
      if (memberEpoch !== JOIN_EPOCH) throw notFound(groupId);
      if (this.#states.size >= limits.groupsMax) {
        throw new Fault('policyViolation', { detail: `there are ${limits.groupsMax} groups` });
      }
      // A classic group, or one that only holds offsets, becomes one of the new protocol.
      const removed: GroupEvent[] = found === null ? [] : [{ type: 'groupRemoved', group: groupId }];
      const upgraded = found instanceof ClassicGroup && !found.isEmpty ? this.#upgrade(found) : [];
      const state = new ConsumerGroup(groupId);
      for (const event of upgraded) state.apply(event);
      const live = new LiveConsumerGroup(state, this.#groupContext, nowMs);
      const { events, result } = live.heartbeat(beat, memberId, nowMs);
      return { events: [...removed, ...upgraded, ...events], result, ends: found };
    });
  }

  /** A member that speaks the classic protocol joins a group of the new one. */
  async classicJoin(groupId: string, request: JoinRequest): Promise<JoinAnswer> {
    try {
      return await this.#coordinator.change(groupId, (_, nowMs) => this.#mixed(groupId).classic.join(request, nowMs));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return refusedJoin(error, error.fault === 'memberIdRequired' ? request.newMemberId : request.memberId);
    }
  }

  async classicSync(groupId: string, request: SyncRequest): Promise<SyncAnswer> {
    try {
      return await this.#coordinator.change(groupId, (_, nowMs) => {
        return { events: [], result: this.#mixed(groupId).classic.sync(request, nowMs) };
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return refusedSync(error);
    }
  }

  /** @throws Fault rebalanceInProgress when the group has become a classic one, or empty: the member is to join that */
  #mixed(id: string): LiveConsumerGroup {
    const group = this.find(id);
    if (group === null || group.isEmpty) throw new Fault('rebalanceInProgress');
    return group;
  }

  /** @throws Fault groupNotFound */
  get(id: string): LiveConsumerGroup {
    const group = this.find(id);
    if (group === null) throw notFound(id);
    return group;
  }

  /** Removes the members of a group that missed a deadline. @throws Fault coordinatorNotAvailable when the disk refuses */
  async expire(id: string): Promise<void> {
    const missed = await this.#coordinator.change(id, (_, nowMs) => {
      const group = this.find(id);
      return group === null ? { events: [], result: new Map<string, string>() } : group.expire(nowMs);
    });
    for (const [member, deadline] of missed) {
      this.#context.logger.info({ group: id, member, deadline }, 'a member missed a deadline and is removed');
    }
  }

  /** @throws Fault groupNotFound where the classic group must stay as it is */
  #upgrade(classic: ClassicGroup): ConsumerGroupEvent[] {
    const { settings } = this.#context;
    const source = classic.source();
    const mayUpgrade = ['bidirectional', 'upgrade'].includes(this.#migrationPolicy);
    const events =
      mayUpgrade && source.members.length <= settings.number('group.consumer.max.size')
        ? upgradeEvents(source, this.#groupContext.topics)
        : null;
    if (events === null) throw notFound(classic.id);
    return events;
  }

  get #migrationPolicy(): string {
    return this.#context.settings.value('group.consumer.migration.policy').toLowerCase();
  }

  #liveOf(state: ConsumerGroup): LiveConsumerGroup {
    let live = this.#live.get(state);
    if (live === undefined) {
      live = new LiveConsumerGroup(state, this.#groupContext, this.#uptimeMs());
      this.#live.set(state, live);
    }
    return live;
  }

  #settings(group: string): ConsumerGroupSettings {
    const { settings, groupSettings } = this.#context;
    const named = listWords(settings.value('group.consumer.assignors')).filter(isAssignor);
    return {
      sessionTimeoutMs: groupSettings.number(group, 'consumer.session.timeout.ms'),
      heartbeatIntervalMs: groupSettings.number(group, 'consumer.heartbeat.interval.ms'),
      assignmentIntervalMs: groupSettings.number(group, 'consumer.assignment.interval.ms'),
      sizeMax: settings.number('group.consumer.max.size'),
      assignors: named.length > 0 ? named : (Object.keys(assignors) as (keyof typeof assignors)[]),
    };
  }
}

function notFound(id: string): Fault {
  return new Fault('groupNotFound', { detail: JSON.stringify(id) });
}
