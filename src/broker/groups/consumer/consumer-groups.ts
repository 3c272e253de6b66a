import { Fault } from '../../../base/faults.ts';
import type { Logger } from '../../../base/logger.ts';
import { type Random, randomUuid } from '../../../base/random.ts';
import type { BrokerSettings } from '../../broker-settings.ts';
import type { GroupSettings } from '../../group-settings.ts';
import { listWords } from '../../topic-settings.ts';
import type { Topics } from '../../topics.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import type { GroupEvent } from '../group-events.ts';
import { assignors, isAssignor } from './assignor.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH } from './consumer-member.ts';
import type { ConsumerGroupSettings } from './decide.ts';
import { type ConsumerHeartbeat, checkHeartbeat, type HeartbeatReply } from './heartbeat-request.ts';
import { type ConsumerGroupContext, LiveConsumerGroup } from './live-consumer-group.ts';
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
    this.#patterns = new TopicPatterns(() => ({
      version: topics.version,
      names: Array.from(topics, ({ name }) => name),
    }));
    this.#groupContext = {
      topics: {
        get version() {
          return topics.version;
        },
        find: (name) => {
          const topic = topics.find(name);
          return topic && { id: topic.id, partitions: topic.partitions.length };
        },
        matching: (pattern) => this.#patterns.matching(pattern),
      },
      settings: (group) => this.#settings(group),
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
   * unknownMember, fencedMemberEpoch, unreleasedInstance, fencedInstance
   */
  async heartbeat(beat: ConsumerHeartbeat, memberIdRequired: boolean): Promise<HeartbeatReply> {
    checkHeartbeat(beat, memberIdRequired);
    const { groupId, memberEpoch } = beat;
    if (beat.topicRegex !== null && beat.topicRegex !== '') await this.#patterns.check(beat.topicRegex);
    if (memberEpoch === LEAVE_EPOCH || memberEpoch === STATIC_LEAVE_EPOCH) {
      return this.#coordinator.change(groupId, () => this.get(groupId).leave(beat));
    }
    const memberId = beat.memberId === '' ? randomUuid(this.#context.random) : beat.memberId;
    return this.#coordinator.change(groupId, (found, nowMs) => {
      if (found instanceof LiveConsumerGroup) return found.heartbeat(beat, memberId, nowMs);
      if (memberEpoch !== JOIN_EPOCH || found?.isEmpty === false) throw notFound(groupId);
      // A group that only holds offsets, or one of the classic protocol without members, becomes one of the new.
      const removed: GroupEvent[] = found === null ? [] : [{ type: 'groupRemoved', group: groupId }];
      const state = new ConsumerGroup(groupId);
      const { events, result } = new LiveConsumerGroup(state, this.#groupContext, nowMs).heartbeat(
        beat,
        memberId,
        nowMs,
      );
      return { events: [...removed, ...events], result };
    });
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
