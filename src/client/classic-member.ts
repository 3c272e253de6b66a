import { sleep } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import type { Messages } from '../wire/messages.generated.ts';
import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  partitionsOfAssignment,
} from './assignment-bytes.ts';
import { type Assignor, gathered, spread } from './assignors/assignor.ts';
import type { GroupLink } from './group-link.ts';
import type { GroupMember, MemberIdentity, PartitionOwner } from './group-member.ts';
import type { PartitionOfTopic } from './group-offsets.ts';
import { partitionCounts, type Subscription, subscribedTopics } from './subscription.ts';
import { Wakeup } from './wakeup.ts';

export interface ClassicMemberParts {
  link: GroupLink;
  owner: PartitionOwner;
  subscription: Subscription;
  instanceId: string | null;
  /** In the order of preference; either all are cooperative or none. */
  assignors: readonly Assignor[];
  sessionTimeoutMs: number;
  heartbeatIntervalMs: number;
  rebalanceTimeoutMs: number;
  topicsMaxAgeMs: number;
}

type Joined = Messages['JoinGroup']['response'];

const PROTOCOL_TYPE = 'consumer';
const STATIC_MEMBERS_VERSION = 5;
/** The first versions that carry an instance id. */
const STATIC_HEARTBEAT_VERSION = 3;
/** Of the rebalance timeout, what is left for joining again after partitions were given up. */
const GIVING_UP_SHARE = 0.8;
/** The group does not know the member, or not in this generation: what it had is another's. */
const lostMembership: ReadonlySet<KafkaErrorName> = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION']);

/** A member of a classic group: it joins, one of the members plans who has what, and it does its part of that until things change. */
export class ClassicMember implements GroupMember {
  readonly protocol = 'classic';
  readonly #parts: ClassicMemberParts;
  readonly #isCooperative: boolean;
  readonly #changed: Wakeup;
  #memberId = '';
  #generation = -1;
  /** What was last owned, and when: eager members tell the sticky assignor after they have given it up. */
  #had: { owned: readonly PartitionOfTopic[]; generation: number } = { owned: [], generation: -1 };
  /** What the last join told of topics: when it no longer holds, the group has to plan again. */
  #told = '';
  /** As the leader, the topics of all members. */
  #plannedTopics: readonly string[] = [];
  /** While true the coordinator waits for us, not for our heartbeats. */
  #joining = false;
  #stopped = false;

  constructor(parts: ClassicMemberParts) {
    this.#parts = parts;
    this.#isCooperative = parts.assignors.every(({ isCooperative }) => isCooperative);
    this.#changed = new Wakeup(parts.link.cluster.clock);
  }

  get identity(): MemberIdentity {
    return { memberId: this.#memberId, generation: this.#generation, isMovingOn: this.#joining };
  }

  async run(): Promise<void> {
    const watching = Promise.all([this.#beat(), this.#watchTopics()]);
    // What ends either of them ends the membership.
    const failed = watching.then(() => new Promise<never>(() => {}));
    await Promise.race([this.#rebalance(), failed]);
  }

  stop(): void {
    this.#stopped = true;
    this.#changed.wake();
  }

  async leave(forGood: boolean): Promise<void> {
    const { link, instanceId } = this.#parts;
    if (this.#memberId === '' || (instanceId !== null && !forGood)) return;
    const memberId = this.#memberId;
    this.#generation = -1;
    const version = (await link.connection()).versionOf('LeaveGroup');
    const leaving =
      version >= 3 ? { members: [{ memberId, groupInstanceId: instanceId, reason: null }] } : { memberId };
    const response = await link.request('LeaveGroup', { groupId: link.group, ...leaving });
    const fault = link.faultOf(response.errorCode || (response.members[0]?.errorCode ?? 0));
    if (fault !== null && fault.kafka !== 'UNKNOWN_MEMBER_ID') throw fault;
    // Not before: whoever asks to leave again after a failure is still a member.
    this.#memberId = '';
  }

  /** Round after round: join, do as planned, wait for a change. */
  async #rebalance(): Promise<void> {
    const { owner, link, rebalanceTimeoutMs } = this.#parts;
    let failures = 0;
    while (!this.#stopped) {
      this.#changed.clear();
      try {
        if (!this.#isCooperative) await owner.revoke(owner.owned, rebalanceTimeoutMs * GIVING_UP_SHARE);
        const assigned = await this.#join();
        failures = 0;
        if (assigned !== null && !this.#stopped) await this.#takeOver(assigned);
        if (!this.#stopped) await this.#changed.wait();
      } catch (error) {
        if (this.#stopped) return;
        await this.#recover(error);
        failures++;
        await link.pause(failures);
      }
    }
  }

  /** @throws what no repetition cures. */
  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof Fault)) throw error;
    if (lostMembership.has(error.kafka) && error.fault !== 'notAssigned') await this.#lose(error);
    else if (!error.retriable && !['REBALANCE_IN_PROGRESS', 'MEMBER_ID_REQUIRED'].includes(error.kafka)) throw error;
    const { link } = this.#parts;
    link.cluster.logger.debug({ group: link.group, err: error }, 'joining the group failed and is tried again');
  }

  async #lose(why: Fault): Promise<void> {
    if (why.kafka === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
    this.#generation = -1;
    this.#had = { owned: [], generation: -1 };
    await this.#parts.owner.lose(why);
    this.#changed.wake();
  }

  /** What the plan gives this member. @throws Fault. */
  async #join(): Promise<readonly PartitionOfTopic[]> {
    this.#joining = true;
    try {
      const joined = await this.#joinRound();
      this.#memberId = joined.memberId;
      this.#generation = joined.generationId;
      return await this.#sync(joined);
    } finally {
      this.#joining = false;
    }
  }

  async #joinRound(): Promise<Joined> {
    const { link, subscription, assignors, sessionTimeoutMs, rebalanceTimeoutMs, instanceId } = this.#parts;
    const topics = await subscribedTopics(link.cluster, subscription);
    this.#plannedTopics = [];
    this.#told = await this.#topicsNow(topics);
    const owned = this.#isCooperative ? this.#parts.owner.owned : [];
    const had = this.#isCooperative ? { owned, generation: this.#generation } : this.#had;
    const protocols = assignors.map((assignor) => ({
      name: assignor.name,
      metadata: encodeSubscription({
        topics,
        userData: assignor.userData(gathered(had.owned), had.generation),
        owned: gathered(owned),
        generation: this.#generation,
      }),
    }));
    const connection = await link.connection(true);
    if (instanceId !== null && connection.versionOf('JoinGroup') < STATIC_MEMBERS_VERSION) {
      throw new Fault('notSupportedByBroker', { detail: 'static members, since Apache Kafka 2.3' });
    }
    for (;;) {
      const asked = {
        groupId: link.group,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupInstanceId: instanceId,
        protocolType: PROTOCOL_TYPE,
        protocols,
      };
      // The answer comes when all members have joined, or the time for that is over.
      const timeoutMs = rebalanceTimeoutMs + link.requestTimeoutMs;
      const joined = await link.request('JoinGroup', asked, { slow: true, timeoutMs });
      const fault = link.faultOf(joined.errorCode);
      // Also of one that was stopped meanwhile: its last commit is of this generation.
      if (fault === null) return joined;
      if (fault.kafka !== 'MEMBER_ID_REQUIRED' || this.#stopped) throw fault;
      this.#memberId = joined.memberId;
    }
  }

  async #sync(joined: Joined): Promise<PartitionOfTopic[]> {
    const { link, instanceId } = this.#parts;
    const plansHere = joined.leader === joined.memberId && !joined.skipAssignment;
    const assignments = plansHere ? await this.#plan(joined) : [];
    const timeoutMs = this.#parts.rebalanceTimeoutMs + link.requestTimeoutMs;
    const connection = await link.connection(true);
    const answer = await link.request(
      'SyncGroup',
      {
        groupId: link.group,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupInstanceId: connection.versionOf('SyncGroup') >= STATIC_HEARTBEAT_VERSION ? instanceId : null,
        protocolType: PROTOCOL_TYPE,
        protocolName: joined.protocolName,
        assignments,
      },
      { slow: true, timeoutMs },
    );
    const fault = link.faultOf(answer.errorCode);
    if (fault !== null) throw fault;
    return spread(partitionsOfAssignment(answer.assignment));
  }

  /** As the group's leader. */
  async #plan({ protocolName, members }: Joined): Promise<{ memberId: string; assignment: Buffer }[]> {
    const { link, assignors } = this.#parts;
    const assignor = assignors.find(({ name }) => name === protocolName);
    if (assignor === undefined)
      throw new Fault('malformedResponse', { detail: `assignor ${protocolName} was not offered` });
    const known = members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      instanceId: groupInstanceId,
      subscribed: decodeSubscription(metadata),
    }));
    const topics = [...new Set(known.flatMap(({ subscribed }) => subscribed.topics))];
    const counts = await partitionCounts(link.cluster, topics);
    this.#plannedTopics = topics;
    this.#told = countsText(counts);
    const plan = assignor.assign(known, counts);
    link.cluster.logger.debug(
      { group: link.group, members: members.length, assignor: assignor.name },
      'planned the group',
    );
    return [...plan].map(([memberId, partitions]) => ({
      memberId,
      assignment: encodeAssignment(gathered(partitions)),
    }));
  }

  async #takeOver(assigned: readonly PartitionOfTopic[]): Promise<void> {
    const { owner, rebalanceTimeoutMs } = this.#parts;
    const generation = this.#generation;
    const isIn = (one: PartitionOfTopic, list: readonly PartitionOfTopic[]): boolean =>
      list.some(({ topic, partition }) => topic === one.topic && partition === one.partition);
    const before = owner.owned;
    const revoked = before.filter((one) => !isIn(one, assigned));
    if (revoked.length > 0) {
      await owner.revoke(revoked, rebalanceTimeoutMs * GIVING_UP_SHARE);
      // What was let go can be given to others now, which takes another round.
      this.#changed.wake();
    }
    // Lost meanwhile: it is not ours to take over.
    if (this.#stopped || this.#generation !== generation) return;
    this.#had = { owned: assigned, generation };
    await owner.assign(assigned.filter((one) => !isIn(one, before)));
  }

  /** Tells the coordinator that this member lives, however long a handler or a hook takes. @throws what ends the membership. */
  async #beat(): Promise<void> {
    const { link, heartbeatIntervalMs, instanceId, sessionTimeoutMs } = this.#parts;
    // One that is not answered leaves time for others, by another connection, before the member counts as dead.
    const timeoutMs = Math.min(link.requestTimeoutMs, sessionTimeoutMs / 3);
    while (!this.#stopped) {
      await sleep(link.cluster.clock, heartbeatIntervalMs);
      if (this.#stopped || this.#joining || this.#generation < 0) continue;
      const { memberId, generation } = this.identity;
      let fault: Fault | null;
      try {
        const version = (await link.connection()).versionOf('Heartbeat');
        const groupInstanceId = version >= STATIC_HEARTBEAT_VERSION ? instanceId : null;
        const asked = { groupId: link.group, generationId: generation, memberId, groupInstanceId };
        fault = link.faultOf((await link.request('Heartbeat', asked, { timeoutMs })).errorCode);
      } catch (error) {
        if (!(error instanceof Fault) || !(error.retriable || this.#stopped)) throw error;
        void link.cluster.refresh();
        continue;
      }
      // Of a generation that has passed meanwhile, or is being joined: the answer to that counts.
      if (fault === null || this.#stopped || this.#joining || generation !== this.#generation) continue;
      if (fault.kafka === 'REBALANCE_IN_PROGRESS') this.#changed.wake();
      else if (lostMembership.has(fault.kafka)) await this.#lose(fault);
      else if (!fault.retriable) throw fault;
    }
  }

  /** Joins again when topics have come or gone, or have more partitions. */
  async #watchTopics(): Promise<void> {
    const { link, subscription, topicsMaxAgeMs } = this.#parts;
    while (!this.#stopped) {
      await sleep(link.cluster.clock, topicsMaxAgeMs);
      if (this.#stopped || this.#joining || this.#generation < 0) continue;
      const before = this.#told;
      try {
        const topics = await subscribedTopics(link.cluster, subscription);
        const now = await this.#topicsNow([...new Set([...topics, ...this.#plannedTopics])]);
        if (now !== before && before === this.#told && !this.#joining) this.#changed.wake();
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        link.cluster.logger.warn({ group: link.group, err: error }, 'cannot look for new topics and partitions');
      }
    }
  }

  async #topicsNow(topics: readonly string[]): Promise<string> {
    return countsText(await partitionCounts(this.#parts.link.cluster, topics));
  }
}

function countsText(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .map(([topic, count]) => `${topic}:${count}`)
    .sort()
    .join();
}
