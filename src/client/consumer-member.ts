import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import { randomUuid } from '../base/random.ts';
import type { Draft } from '../wire/codec.ts';
import type { ConsumerGroupHeartbeatResponse, Messages } from '../wire/messages.generated.ts';
import type { GroupLink } from './group-link.ts';
import type { GroupMember, MemberIdentity, PartitionOwner } from './group-member.ts';
import { byTopic, inOrder, type PartitionOfTopic } from './group-offsets.ts';
import type { Subscription } from './subscription.ts';
import { Wakeup } from './wakeup.ts';

export interface ConsumerMemberParts {
  link: GroupLink;
  owner: PartitionOwner;
  subscription: Subscription;
  instanceId: string | null;
  /** Null: the broker's choice. */
  serverAssignor: string | null;
  rebalanceTimeoutMs: number;
}

type Heartbeat = Draft<Messages['ConsumerGroupHeartbeat']['request']>;
type Assignment = NonNullable<ConsumerGroupHeartbeatResponse['assignment']>;

interface Wanted {
  wanted: PartitionOfTopic[];
  /** Topics that were made again under their names: what is owned of them is of the old ones. */
  renewed: ReadonlySet<string>;
  isWhole: boolean;
}

/** Until the broker says its own. */
const HEARTBEAT_INTERVAL_MS = 3_000;
const GIVING_UP_SHARE = 0.8;
const JOINING_EPOCH = 0;
const LEAVING_EPOCH = -1;
/** A static member's, which is to come back. */
const AWAY_EPOCH = -2;
/** The first version in which members name themselves, and subscribe by pattern. */
const OWN_ID_VERSION = 1;
/** The group does not know the member, or has gone on without it. */
const lostMembership: ReadonlySet<KafkaErrorName> = new Set(['UNKNOWN_MEMBER_ID', 'FENCED_MEMBER_EPOCH']);

/**
 * A member of a group in which the broker assigns (KIP-848). One heartbeat after another tells it what the member owns; the answers
 * tell the member what to own. Partitions are given up first; only then does the broker give them to another.
 */
export class ConsumerMember implements GroupMember {
  readonly protocol = 'consumer';
  readonly #parts: ConsumerMemberParts;
  readonly #due: Wakeup;
  /** Of the topics that were ever assigned, as the broker called them last. */
  readonly #ids = new Map<string, string>();
  #memberId = '';
  #epoch = -1;
  /** Raised when the membership is lost or left, so that what was going on for the last one ends. */
  #term = 0;
  /** What the broker wants owned and is not yet; null when nothing is to be done. */
  #target: Assignment | null = null;
  #reconciling = false;
  /** What is to be told in the next heartbeat: all, after a loss or a failure; what is owned, after that changed. */
  #tells: 'all' | 'owned' | 'nothing' = 'all';
  #intervalMs = HEARTBEAT_INTERVAL_MS;
  #stopped = false;
  #fail: (error: unknown) => void = () => {};

  constructor(parts: ConsumerMemberParts) {
    this.#parts = parts;
    this.#due = new Wakeup(parts.link.cluster.clock);
  }

  get identity(): MemberIdentity {
    // A commit is answered after the heartbeat that was asked before it.
    return { memberId: this.#memberId, generation: this.#epoch, isMovingOn: false };
  }

  async run(): Promise<void> {
    const failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    await Promise.race([this.#beat(), failed]);
  }

  stop(): void {
    this.#stopped = true;
    this.#due.wake();
  }

  async leave(forGood: boolean): Promise<void> {
    const { link, instanceId } = this.#parts;
    if (this.#memberId === '') return;
    const memberEpoch = instanceId !== null && !forGood ? AWAY_EPOCH : LEAVING_EPOCH;
    const asked = { groupId: link.group, memberId: this.#memberId, memberEpoch, instanceId };
    this.#term++;
    this.#epoch = -1;
    const response = await link.request('ConsumerGroupHeartbeat', asked);
    const fault = link.faultOf(response.errorCode, response.errorMessage);
    if (fault !== null && !['UNKNOWN_MEMBER_ID', 'GROUP_ID_NOT_FOUND'].includes(fault.kafka)) throw fault;
  }

  /** @throws what ends the membership. */
  async #beat(): Promise<void> {
    const { link } = this.#parts;
    let failures = 0;
    while (!this.#stopped) {
      try {
        await this.#once();
        failures = 0;
      } catch (error) {
        if (this.#stopped) return;
        if (!(error instanceof Fault)) throw error;
        // It may or may not have been heard: all is told again.
        this.#tells = 'all';
        if (lostMembership.has(error.kafka)) await this.#lose(error);
        else if (!error.retriable) throw error;
        link.cluster.logger.debug({ group: link.group, err: error }, 'a heartbeat failed and is tried again');
        failures++;
        await link.pause(failures);
        continue;
      }
      if (this.#tells === 'nothing') await this.#due.wait(this.#intervalMs);
      else this.#due.clear();
    }
  }

  async #once(): Promise<void> {
    const { link } = this.#parts;
    const term = this.#term;
    const version = (await link.connection()).versionOf('ConsumerGroupHeartbeat');
    // It has left, or was never in: it would join, and the group would wait for nobody until the session ends.
    if (this.#stopped && this.#epoch < 0) return;
    const response = await link.request('ConsumerGroupHeartbeat', this.#message(version));
    if (term !== this.#term) return;
    const fault = link.faultOf(response.errorCode, response.errorMessage);
    if (fault !== null) throw fault;
    this.#memberId = response.memberId ?? this.#memberId;
    // Also of one that was stopped meanwhile: its last commit is of this epoch.
    this.#epoch = response.memberEpoch;
    if (this.#stopped) return;
    this.#intervalMs = response.heartbeatIntervalMs;
    if (response.assignment !== null) {
      this.#target = response.assignment;
      this.#reconcile();
    } else if (this.#target !== null) this.#reconcile();
  }

  #message(version: number): Heartbeat {
    const { link, subscription, instanceId, serverAssignor, rebalanceTimeoutMs, owner } = this.#parts;
    if (this.#memberId === '' && version >= OWN_ID_VERSION) this.#memberId = randomUuid(link.cluster.random);
    const joins = this.#epoch < 0;
    const tells = this.#tells;
    this.#tells = 'nothing';
    const message = {
      groupId: link.group,
      memberId: this.#memberId,
      memberEpoch: joins ? JOINING_EPOCH : this.#epoch,
      instanceId,
    };
    if (tells === 'nothing') return message;
    const topicPartitions = this.#wireOwned(joins ? [] : owner.owned);
    if (tells === 'owned') return { ...message, topicPartitions };
    return {
      ...message,
      rebalanceTimeoutMs,
      ...('topics' in subscription
        ? { subscribedTopicNames: subscription.topics }
        : { subscribedTopicRegex: subscription.pattern }),
      serverAssignor,
      topicPartitions,
    };
  }

  #wireOwned(owned: readonly PartitionOfTopic[]): NonNullable<Heartbeat['topicPartitions']> {
    return [...byTopic(owned)].flatMap(([topic, partitions]) => {
      const topicId = this.#ids.get(topic);
      return topicId === undefined ? [] : [{ topicId, partitions: partitions.map(({ partition }) => partition) }];
    });
  }

  async #lose(why: Fault): Promise<void> {
    this.#term++;
    this.#epoch = -1;
    this.#target = null;
    await this.#parts.owner.lose(why);
  }

  /** Makes what is owned what the broker wants, one target at a time; heartbeats go on meanwhile. */
  #reconcile(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    this.#workOff()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#reconciling = false;
      });
  }

  async #workOff(): Promise<void> {
    let failures = 0;
    while (this.#target !== null && !this.#stopped) {
      const target = this.#target;
      try {
        const { wanted, renewed, isWhole } = await this.#named(target);
        await this.#own(wanted, renewed);
        this.#tells = this.#tells === 'all' ? 'all' : 'owned';
        // What the brokers cannot name yet is looked for again with the next heartbeat.
        if (!isWhole) return;
      } catch (error) {
        if (this.#stopped) return;
        if (!(error instanceof Fault && error.retriable)) throw error;
        const { link } = this.#parts;
        link.cluster.logger.warn({ group: link.group, err: error }, 'partitions cannot be taken over yet');
        failures++;
        await link.pause(failures);
        continue;
      }
      if (this.#target === target) this.#target = null;
      this.#due.wake();
    }
  }

  async #own(wanted: readonly PartitionOfTopic[], renewed: ReadonlySet<string>): Promise<void> {
    const { owner, rebalanceTimeoutMs } = this.#parts;
    const term = this.#term;
    const isIn = (one: PartitionOfTopic, list: readonly PartitionOfTopic[]): boolean =>
      list.some(({ topic, partition }) => topic === one.topic && partition === one.partition);
    const revoked = owner.owned.filter((one) => !isIn(one, wanted) || renewed.has(one.topic));
    if (revoked.length > 0) await owner.revoke(revoked, rebalanceTimeoutMs * GIVING_UP_SHARE);
    if (this.#stopped || term !== this.#term) return;
    const kept = owner.owned;
    await owner.assign(wanted.filter((one) => !isIn(one, kept)));
  }

  /** @throws Fault. */
  async #named({ topicPartitions }: Assignment): Promise<Wanted> {
    const { cluster, callTimeoutMs } = this.#parts.link;
    const ids = topicPartitions.map(({ topicId }) => topicId);
    const names = await cluster.retrying('naming assigned topics', callTimeoutMs, () => cluster.topicNames(ids));
    const renewed = new Set(
      [...names].filter(([id, name]) => (this.#ids.get(name) ?? id) !== id).map(([, name]) => name),
    );
    for (const name of renewed) cluster.forgetTopic(name);
    for (const [id, name] of names) this.#ids.set(name, id);
    const wanted = topicPartitions.flatMap(({ topicId, partitions }) => {
      const topic = names.get(topicId);
      return topic === undefined ? [] : partitions.map((partition) => ({ topic, partition }));
    });
    return { wanted: inOrder(wanted), renewed, isWhole: ids.every((id) => names.has(id)) };
  }
}
