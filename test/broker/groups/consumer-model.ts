import { expect } from 'vitest';
import { Fault } from '../../../src/base/faults.ts';
import { NO_PARTITIONS, type TopicPartitions } from '../../../src/broker/groups/consumer/assignor.ts';
import type { ConsumerGroupEvent } from '../../../src/broker/groups/consumer/consumer-events.ts';
import { ConsumerGroup } from '../../../src/broker/groups/consumer/consumer-group.ts';
import type { ConsumerGroupSettings } from '../../../src/broker/groups/consumer/decide.ts';
import type { ConsumerHeartbeat, HeartbeatReply } from '../../../src/broker/groups/consumer/heartbeat-request.ts';
import { type Decided, LiveConsumerGroup } from '../../../src/broker/groups/consumer/live-consumer-group.ts';

/** Topics that a test makes and deletes by name; a topic's id is its name and the number of topics made before. */
export class TestTopics {
  version = 0;
  readonly #topics = new Map<string, { id: string; partitions: number }>();
  #made = 0;

  make(name: string, partitions: number): void {
    const known = this.#topics.get(name);
    this.#topics.set(name, { id: known?.id ?? `${name}#${this.#made++}`, partitions });
    this.version++;
  }

  delete(name: string): void {
    if (this.#topics.delete(name)) this.version++;
  }

  find(name: string): { id: string; partitions: number } | null {
    return this.#topics.get(name) ?? null;
  }

  nameOf(id: string): string | null {
    return Array.from(this.#topics).find(([, topic]) => topic.id === id)?.[0] ?? null;
  }

  matching(regex: string): string[] {
    return [...this.#topics.keys()].filter((name) => new RegExp(`^(?:${regex})$`).test(name));
  }

  get names(): Map<string, number> {
    return new Map(Array.from(this.#topics.values(), ({ id, partitions }) => [id, partitions]));
  }
}

export const testSettings: ConsumerGroupSettings = {
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 5000,
  assignmentIntervalMs: 0,
  sizeMax: 100,
  assignors: ['uniform', 'range'],
};

export function beat(memberId: string, more: Partial<ConsumerHeartbeat> = {}): ConsumerHeartbeat {
  return {
    groupId: 'g',
    memberId,
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    topicNames: null,
    topicRegex: null,
    serverAssignor: null,
    owned: null,
    clientId: 'client',
    clientHost: '/host',
    ...more,
  };
}

export const joinBeat = (memberId: string, topicNames: readonly string[], more: Partial<ConsumerHeartbeat> = {}) =>
  beat(memberId, { topicNames, owned: NO_PARTITIONS, rebalanceTimeoutMs: 30_000, ...more });

/** A group over a ledger in memory: what is decided is durable at once. */
export class TestGroup {
  readonly topics = new TestTopics();
  readonly events: ConsumerGroupEvent[] = [];
  settings = testSettings;
  nowMs = 0;
  becomesClassic = false;
  group = new ConsumerGroup('g');
  live: LiveConsumerGroup;

  constructor() {
    this.live = this.#start();
  }

  #start(): LiveConsumerGroup {
    return new LiveConsumerGroup(
      this.group,
      {
        topics: this.topics,
        settings: () => this.settings,
        mayHaveClassicMembers: () => true,
        mayBecomeClassic: () => this.becomesClassic,
      },
      this.nowMs,
    );
  }

  /** The broker starts again: all that is left are the events. */
  restart(): void {
    this.group = this.folded(this.events);
    this.live = this.#start();
  }

  folded(events: Iterable<ConsumerGroupEvent>): ConsumerGroup {
    const group = new ConsumerGroup('g');
    for (const event of events) group.apply(structuredClone(event));
    return group;
  }

  perform<Result>({ events, result, whenStored }: Decided<Result>): Result {
    const { epoch, targetEpoch } = this.group;
    for (const event of events as readonly ConsumerGroupEvent[]) {
      this.events.push(event);
      this.group.apply(event);
    }
    expect(this.group.epoch).toBeGreaterThanOrEqual(epoch);
    expect(this.group.targetEpoch).toBeGreaterThanOrEqual(targetEpoch);
    expect(this.group.targetEpoch).toBeLessThanOrEqual(this.group.epoch);
    whenStored?.(this.nowMs);
    return result;
  }

  heartbeat(beat: ConsumerHeartbeat): HeartbeatReply {
    return this.perform(this.live.heartbeat(beat, beat.memberId, this.nowMs));
  }

  /** The disk refuses what the group decides: nothing of it happens. */
  refuse(beat: ConsumerHeartbeat): void {
    this.live.heartbeat(beat, beat.memberId, this.nowMs);
  }

  leave(beat: ConsumerHeartbeat): HeartbeatReply {
    return this.perform(this.live.leave(beat, this.nowMs));
  }

  pass(ms: number): string[] {
    this.nowMs += ms;
    return [...this.perform(this.live.expire(this.nowMs)).keys()];
  }
}

/** A group's state as plain values: two that are equal are the same state. */
export function plain(group: ConsumerGroup): object {
  const members = Array.from(group.members.values(), (member) => ({
    ...member,
    assigned: sorted(Array.from(member.assigned, ([topic, some]) => [topic, sorted([...some])])),
    revoking: sorted(Array.from(member.revoking, ([topic, some]) => [topic, sorted([...some])])),
  })).sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const targets = Array.from(group.targets, ([id, target]) => [id, sorted([...target])]);
  const { epoch, targetEpoch, topics } = group;
  return { epoch, targetEpoch, topics: sorted([...topics]), members, targets: sorted(targets) };
}

function sorted(entries: unknown[][]): unknown[][] {
  return entries.sort((a, b) => (`${a[0]}`.padStart(9) < `${b[0]}`.padStart(9) ? -1 : 1));
}

/** A client as KIP-848 wants it: it uses what it has taken up of what it was told, until it has dropped it and says so. */
export class TestMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  epoch = 0;
  topics: readonly string[];
  /** What it may read now. */
  owned: TopicPartitions = NO_PARTITIONS;
  /** What it was told and has not taken up yet: its listener for rebalances is at work. */
  #pending: TopicPartitions | null = null;
  #told: readonly string[] | null = null;
  #saidOwned: TopicPartitions | null = null;

  constructor(memberId: string, topics: readonly string[], instanceId: string | null) {
    this.memberId = memberId;
    this.topics = topics;
    this.instanceId = instanceId;
  }

  /** What it sends: all of itself after a join or a lost answer, else what changed. */
  beat(): ConsumerHeartbeat {
    const { memberId, instanceId, epoch: memberEpoch } = this;
    if (memberEpoch === 0) return joinBeat(memberId, this.topics, { instanceId });
    const changed = this.#saidOwned !== this.owned || this.#told === null;
    return beat(memberId, {
      memberEpoch,
      instanceId,
      owned: changed ? this.owned : null,
      topicNames: this.#told === this.topics ? null : this.topics,
      rebalanceTimeoutMs: this.#told === null ? 30_000 : -1,
    });
  }

  answered(sent: ConsumerHeartbeat, reply: HeartbeatReply): void {
    this.epoch = reply.memberEpoch;
    this.#told = this.topics;
    this.#saidOwned = sent.owned ?? this.#saidOwned;
    if (reply.assignment !== null) this.#pending = reply.assignment;
  }

  /** Drops and takes up what it was told. */
  takeUp(): void {
    this.owned = this.#pending ?? this.owned;
    this.#pending = null;
  }

  /** No answer came: it cannot know what the broker took in, nor whether what it was to take up is still its own. */
  unanswered(): void {
    this.#pending = null;
    this.#told = null;
    this.#saidOwned = null;
  }

  /** It was told that it is no member any more. */
  fenced(): void {
    this.epoch = 0;
    this.owned = NO_PARTITIONS;
    this.unanswered();
  }
}

/** Sends a member's heartbeat. It may be that its answer never comes, or that the disk refuses what it would change. */
export function exchange(
  group: TestGroup,
  member: TestMember,
  fate: 'answered' | 'lost' | 'refused' = 'answered',
): void {
  const sent = member.beat();
  try {
    if (fate === 'refused') group.refuse(sent);
    const reply = fate === 'refused' ? null : group.heartbeat(sent);
    if (reply === null || fate === 'lost') member.unanswered();
    else member.answered(sent, reply);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    expect(['unknownMember', 'fencedMemberEpoch', 'unreleasedInstance', 'fencedInstance']).toContain(error.fault);
    member.fenced();
  }
}
