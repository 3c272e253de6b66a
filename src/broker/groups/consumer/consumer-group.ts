import { invariant } from '../../../base/invariant.ts';
import type { Uuid } from '../../../base/random.ts';
import { NO_PARTITIONS, type PartitionCounts, type TopicPartitions } from './assignor.ts';
import { type ConsumerGroupEvent, epochEvent, memberEvent, memberOf, targetEvent } from './consumer-events.ts';
import { type ConsumerMember, type Holdings, isReconciled, sameNames } from './consumer-member.ts';

export type ConsumerGroupStateName = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable';

/** A group of the new protocol (KIP-848), as its events make it. */
export class ConsumerGroup {
  readonly groupId: string;
  /** Raised whenever a subscription, a subscribed topic or the set of members changes. */
  epoch = 0;
  /** The epoch that the target was computed for: the group's, or an older one while a new target waits to be computed. */
  targetEpoch = 0;
  /** The topics that the members subscribe to, as they were when the epoch was raised. */
  topics: PartitionCounts = new Map();
  readonly #members = new Map<string, ConsumerMember>();
  readonly #targets = new Map<string, TopicPartitions>();
  readonly #memberIdByInstance = new Map<string, string>();
  /** Who has a partition, or has not yet given it up. */
  readonly #owners = new Map<Uuid, Map<number, string>>();
  /** Those of the member that was put last. */
  #topicNames: readonly string[] = [];
  #dropped = false;

  constructor(groupId: string) {
    this.groupId = groupId;
  }

  get members(): ReadonlyMap<string, ConsumerMember> {
    return this.#members;
  }

  get targets(): ReadonlyMap<string, TopicPartitions> {
    return this.#targets;
  }

  get stateName(): ConsumerGroupStateName {
    if (this.#members.size === 0) return 'Empty';
    if (this.epoch > this.targetEpoch) return 'Assigning';
    for (const member of this.#members.values()) if (!isReconciled(member, this.targetEpoch)) return 'Reconciling';
    return 'Stable';
  }

  staticMember(instanceId: string): ConsumerMember | null {
    const memberId = this.#memberIdByInstance.get(instanceId);
    return memberId === undefined ? null : this.#members.get(memberId)!;
  }

  target(memberId: string): TopicPartitions {
    return this.#targets.get(memberId) ?? NO_PARTITIONS;
  }

  /** The member that has a partition or has not yet given it up; null when it is free. */
  owner(topic: Uuid, partition: number): string | null {
    return this.#owners.get(topic)?.get(partition) ?? null;
  }

  apply(event: ConsumerGroupEvent): void {
    switch (event.type) {
      case 'consumerEpoch':
        this.epoch = event.epoch;
        if (event.topics !== undefined) this.topics = new Map(event.topics);
        return;
      case 'consumerTarget':
        this.targetEpoch = event.epoch;
        for (const [memberId, target] of event.members) this.#targets.set(memberId, new Map(target));
        return;
      case 'consumerMember':
        this.#put(memberOf(event.member));
        return;
      case 'consumerMemberRemoved':
        this.#remove(event.memberId);
        return;
    }
  }

  /** The group is removed: whoever is telling its live state stops. */
  drop(): void {
    this.#dropped = true;
  }

  *live(): Generator<ConsumerGroupEvent> {
    const { groupId } = this;
    yield epochEvent(groupId, this.epoch, this.topics);
    for (const member of this.#members.values()) {
      if (this.#dropped) return;
      yield memberEvent(groupId, member);
    }
    for (const target of this.#targets) {
      if (this.#dropped) return;
      yield targetEvent(groupId, this.targetEpoch, [target]);
    }
    if (!this.#dropped) yield targetEvent(groupId, this.targetEpoch, []);
  }

  #put(member: ConsumerMember): void {
    const { memberId, instanceId } = member;
    const before = this.#members.get(memberId);
    this.#release(before);
    // It may have been another one.
    this.#forgetInstance(before);
    this.#own(member.assigned, null, memberId);
    this.#own(member.revoking, null, memberId);
    this.#members.set(memberId, this.#sharingNames(member));
    if (instanceId !== null) this.#memberIdByInstance.set(instanceId, memberId);
  }

  /** Members mostly subscribe alike: equal names are one array, which takes less room and is compared at once. */
  #sharingNames(member: ConsumerMember): ConsumerMember {
    const { topicNames } = member;
    if (!sameNames(topicNames, this.#topicNames)) this.#topicNames = topicNames;
    return { ...member, topicNames: this.#topicNames };
  }

  #remove(memberId: string): void {
    const member = this.#members.get(memberId);
    this.#release(member);
    this.#members.delete(memberId);
    this.#targets.delete(memberId);
    this.#forgetInstance(member);
  }

  #forgetInstance(member: ConsumerMember | undefined): void {
    const instanceId = member?.instanceId ?? null;
    if (instanceId !== null && this.#memberIdByInstance.get(instanceId) === member!.memberId) {
      this.#memberIdByInstance.delete(instanceId);
    }
  }

  #release(member: ConsumerMember | undefined): void {
    if (member === undefined) return;
    this.#own(member.assigned, member.memberId, null);
    this.#own(member.revoking, member.memberId, null);
  }

  /** No partition ever has two owners: it is taken only when it is free, and freed only by who had it. */
  #own(holdings: Holdings, from: string | null, to: string | null): void {
    for (const [topic, partitions] of holdings) {
      let owners = this.#owners.get(topic);
      if (owners === undefined) this.#owners.set(topic, (owners = new Map()));
      for (const partition of partitions.keys()) {
        const owner = owners.get(partition) ?? null;
        invariant(owner === from, 'a partition changed hands unasked', { topic, partition, owner, from, to });
        if (to === null) owners.delete(partition);
        else owners.set(partition, to);
      }
      if (owners.size === 0) this.#owners.delete(topic);
    }
  }
}
