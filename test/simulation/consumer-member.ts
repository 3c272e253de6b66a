import type { Messages } from '../../src/wire/messages.generated.ts';
import { Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import { GroupMember, type MemberSetup, REBALANCE_TIMEOUT_MS } from './group-member.ts';
import { type Place, placeName } from './history.ts';
import { oneIn } from './random-streams.ts';

type Answer = Messages['ConsumerGroupHeartbeat']['response'];

const JOIN_EPOCH = 0;
const LEAVE_EPOCH = -1;
/** Of a static member that will be back. */
const AWAY_EPOCH = -2;

/** A member of the new protocol (KIP-848): it says what it has with its heartbeats, and is told what it is to have. */
export class ConsumerMember extends GroupMember {
  /** Whether the group is to be told all again: an answer was missing. */
  #saysAll = true;
  /** What it said last that it has. */
  #said = '';

  constructor(setup: MemberSetup) {
    super(setup);
    this.reader.isConsumer = true;
    this.memberId = setup.random.bytes(8).toString('hex');
  }

  protected async join(): Promise<void> {
    const { group, instance } = this.setup;
    const call = { group, member: this.memberId, protocol: 'consumer' as const };
    const pending = this.context.history.invoke(
      this.reader.process,
      'join',
      instance === null ? call : { ...call, instance },
    );
    this.#saysAll = true;
    try {
      const answer = await this.#ask(JOIN_EPOCH);
      if (answer.errorCode !== 0) {
        pending.fail(errorName(answer.errorCode));
        return;
      }
      pending.ok({ member: this.memberId, generation: answer.memberEpoch });
      await this.#take(answer);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
  }

  protected async heartbeat(): Promise<void> {
    const pending = this.context.history.invoke(this.reader.process, 'heartbeat', this.as);
    try {
      const answer = await this.#ask(this.generation);
      if (answer.errorCode !== 0) {
        pending.fail(errorName(answer.errorCode));
        await this.refused(errorName(answer.errorCode));
        return;
      }
      pending.ok({ generation: answer.memberEpoch, mustRejoin: false });
      await this.#take(answer);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
      this.#saysAll = true;
    }
  }

  #ask(memberEpoch: number): Promise<Answer> {
    const { group, instance, plans } = this.setup;
    const owned = memberEpoch === JOIN_EPOCH ? [] : this.#owned();
    const said = JSON.stringify(owned);
    const saysOwned = this.#saysAll || said !== this.#said;
    this.#said = said;
    return this.reader.client.request('ConsumerGroupHeartbeat', 1, {
      groupId: group,
      memberId: this.memberId,
      memberEpoch,
      instanceId: instance,
      rackId: null,
      rebalanceTimeoutMs: this.#saysAll ? REBALANCE_TIMEOUT_MS : -1,
      subscribedTopicNames: this.#saysAll ? plans.map(({ name }) => name) : null,
      serverAssignor: null,
      topicPartitions: saysOwned ? owned : null,
    });
  }

  #owned() {
    return [...Map.groupBy(this.places, ({ topic }) => topic)].map(([topic, places]) => ({
      topicId: this.setup.plans.find(({ name }) => name === topic)!.id,
      partitions: places.map(({ partition }) => partition).sort((a, b) => a - b),
    }));
  }

  /** First it gives up what it is not to have, and says so; what is new it takes at once. */
  async #take({ memberEpoch, assignment }: Answer): Promise<void> {
    this.#saysAll = false;
    this.generation = memberEpoch;
    if (assignment === null) return;
    const target = assignment.topicPartitions.flatMap(({ topicId, partitions }): Place[] => {
      const topic = this.setup.plans.find(({ id }) => id === topicId)?.name;
      return topic === undefined ? [] : partitions.map((partition) => ({ topic, partition }));
    });
    const names = new Set(target.map(placeName));
    const revoked = this.places.filter((place) => !names.has(placeName(place)));
    if (revoked.length > 0) await this.reader.commit(this.as, revoked);
    this.reader.hold(target, this.as);
  }

  protected async askToLeave(): Promise<number> {
    const willBeBack = this.setup.instance !== null && oneIn(this.random, 2);
    return (await this.#ask(willBeBack ? AWAY_EPOCH : LEAVE_EPOCH)).errorCode;
  }

  protected async refused(error: string): Promise<void> {
    // What it said went with the refusal, also that it gave something up: as Kafka's client it says all of it again.
    this.#saysAll = true;
    if (error === 'UNKNOWN_MEMBER_ID' || error === 'FENCED_MEMBER_EPOCH' || error === 'GROUP_ID_NOT_FOUND') this.lost();
    if (error === 'FENCED_INSTANCE_ID') {
      this.lost();
      this.isFenced = true;
    }
    // With STALE_MEMBER_EPOCH another heartbeat tells the epoch.
  }
}
