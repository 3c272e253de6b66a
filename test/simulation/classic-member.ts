import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  partitionsOfAssignment,
  type TopicPartitions,
} from '../../src/client/assignment-bytes.ts';
import { assignors } from '../../src/client/assignors/index.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import { GroupMember, type MemberSetup, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS } from './group-member.ts';
import { type Place, placeName } from './history.ts';
import { pick } from './random-streams.ts';

type JoinAnswer = Messages['JoinGroup']['response'];
export type ClassicFlow = 'eager' | 'cooperative';

/** The answer to a join waits for all others. */
const JOIN_TIMEOUT_MS = REBALANCE_TIMEOUT_MS + 3000;

/**
 * A member of the classic protocol. Eager: it gives up all it has before it joins a rebalance. Cooperative (KIP-429): it keeps
 * what it has, gives up what it is not assigned any more, and joins again for that to be given to others.
 */
export class ClassicMember extends GroupMember {
  readonly #flow: ClassicFlow;
  readonly #joinVersion: number;
  #isKnown = false;

  constructor(setup: MemberSetup, flow: ClassicFlow) {
    super(setup);
    this.#flow = flow;
    this.#joinVersion = pick(setup.random, [5, 9]);
  }

  get #assignor() {
    return assignors[this.#flow === 'eager' ? 'range' : 'cooperative-sticky'];
  }

  protected async join(): Promise<void> {
    const { group, instance } = this.setup;
    const call = { group, protocol: 'classic' as const, ...(instance === null ? {} : { instance }) };
    const pending = this.context.history.invoke(
      this.reader.process,
      'join',
      this.#isKnown ? { ...call, member: this.memberId } : call,
    );
    let answer: JoinAnswer;
    try {
      answer = await this.#askToJoin();
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
      return;
    }
    const error = errorName(answer.errorCode);
    if (answer.errorCode === 0) {
      pending.ok({ member: answer.memberId, generation: answer.generationId });
      this.memberId = answer.memberId;
      this.#isKnown = true;
      await this.#sync(answer);
      return;
    }
    pending.fail(error);
    if (error === 'MEMBER_ID_REQUIRED') {
      this.memberId = answer.memberId;
      this.#isKnown = true;
    } else await this.refused(error);
  }

  #askToJoin(): Promise<JoinAnswer> {
    const { group, instance, plans } = this.setup;
    const topics = plans.map(({ name }) => name);
    const owned = this.#flow === 'eager' ? [] : byTopic(this.places);
    const userData = this.#assignor.userData(owned, this.generation);
    const metadata = encodeSubscription({ topics, userData, owned, generation: this.generation });
    const request = {
      groupId: group,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      memberId: this.#isKnown ? this.memberId : '',
      groupInstanceId: instance,
      protocolType: 'consumer',
      protocols: [{ name: this.#assignor.name, metadata }],
      reason: null,
    };
    return this.reader.client.request('JoinGroup', this.#joinVersion, request, JOIN_TIMEOUT_MS);
  }

  async #sync(joined: JoinAnswer): Promise<void> {
    let answer: Messages['SyncGroup']['response'];
    try {
      answer = await this.#askToSync(joined);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      return;
    }
    if (answer.errorCode !== 0) {
      await this.refused(errorName(answer.errorCode));
      return;
    }
    this.generation = joined.generationId;
    await this.#take(spread(partitionsOfAssignment(answer.assignment)));
  }

  #askToSync(joined: JoinAnswer): Promise<Messages['SyncGroup']['response']> {
    const leads = joined.leader === joined.memberId && joined.members.length > 0 && !joined.skipAssignment;
    const request = {
      groupId: this.setup.group,
      generationId: joined.generationId,
      memberId: this.memberId,
      groupInstanceId: this.setup.instance,
      protocolType: 'consumer',
      protocolName: this.#assignor.name,
      assignments: leads ? this.#assign(joined) : [],
    };
    return this.reader.client.request('SyncGroup', 5, request, JOIN_TIMEOUT_MS);
  }

  #assign({ members }: JoinAnswer): { memberId: string; assignment: Buffer }[] {
    const counts = new Map(this.setup.plans.map(({ name, partitions }) => [name, partitions]));
    const described = members.map(({ memberId, groupInstanceId, metadata }) => {
      return { memberId, instanceId: groupInstanceId, subscribed: decodeSubscription(metadata) };
    });
    const plan = this.#assignor.assign(described, counts);
    return [...plan].map(([memberId, places]) => ({ memberId, assignment: encodeAssignment(byTopic(places)) }));
  }

  async #take(assigned: readonly Place[]): Promise<void> {
    const names = new Set(assigned.map(placeName));
    const revoked = this.places.filter((place) => !names.has(placeName(place)));
    if (revoked.length > 0) await this.reader.commit(this.as, revoked);
    this.reader.hold(assigned, this.as);
    if (revoked.length > 0) await this.join();
  }

  protected async heartbeat(): Promise<void> {
    const { as } = this;
    const pending = this.context.history.invoke(this.reader.process, 'heartbeat', as);
    try {
      const { errorCode } = await this.reader.client.request('Heartbeat', 4, {
        groupId: this.setup.group,
        generationId: this.generation,
        memberId: this.memberId,
        groupInstanceId: this.setup.instance,
      });
      const error = errorName(errorCode);
      if (errorCode === 0 || error === 'REBALANCE_IN_PROGRESS') {
        pending.ok({ generation: this.generation, mustRejoin: errorCode !== 0 });
      } else pending.fail(error);
      if (errorCode !== 0) await this.refused(error);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
  }

  protected async askToLeave(): Promise<number> {
    const members = [{ memberId: this.memberId, groupInstanceId: this.setup.instance, reason: null }];
    const answer = await this.reader.client.request('LeaveGroup', 5, { groupId: this.setup.group, members });
    return answer.errorCode || answer.members[0]!.errorCode;
  }

  protected async refused(error: string): Promise<void> {
    switch (error) {
      case 'REBALANCE_IN_PROGRESS':
        if (this.#flow === 'eager' && this.places.length > 0) {
          await this.reader.commit(this.as);
          this.reader.hold([], this.as);
        }
        return this.join();
      case 'UNKNOWN_MEMBER_ID':
        this.#isKnown = false;
        this.lost();
        return;
      case 'ILLEGAL_GENERATION':
      case 'INCONSISTENT_GROUP_PROTOCOL':
        this.lost();
        return;
      case 'FENCED_INSTANCE_ID':
        this.lost();
        this.isFenced = true;
        return;
      default:
    }
  }
}

function byTopic(places: readonly Place[]): TopicPartitions[] {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, some]) => {
    return { topic, partitions: some.map(({ partition }) => partition).sort((a, b) => a - b) };
  });
}

function spread(assigned: readonly TopicPartitions[]): Place[] {
  return assigned.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}
