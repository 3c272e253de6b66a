import { Fault } from '../../../base/faults.ts';
import type { Uuid } from '../../../base/random.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  type Leaver,
  NO_BYTES,
  type SyncAnswer,
  type SyncRequest,
} from '../classic-member.ts';
import { CONSUMER_PROTOCOL } from '../classic-subscription.ts';
import type { GroupEvent } from '../group-events.ts';
import type { TopicPartitions } from './assignor.ts';
import { type ConsumerMember, newMember, STATIC_LEAVE_EPOCH } from './consumer-member.ts';
import { checkInstance, replacing, type Stepping } from './decide.ts';
import { decodeSubscription, type EmbeddedSubscription, type NamedPartitions } from './embedded-protocol.ts';
import type { ConsumerGroupContext, Decided, LiveConsumerGroup } from './live-consumer-group.ts';
import type { MemberDeadlines } from './member-deadlines.ts';
import { embeddedAssignment, subscribing } from './migration.ts';

/**
 * Members of a group of the new protocol that speak the classic one: each is led through JoinGroup and SyncGroup as if it
 * were in a rebalance, and is never the leader, since it is the broker that divides the partitions.
 */
export class ClassicSpeakers {
  readonly #group: LiveConsumerGroup;
  readonly #context: ConsumerGroupContext;
  readonly #deadlines: MemberDeadlines;

  constructor(group: LiveConsumerGroup, context: ConsumerGroupContext, deadlines: MemberDeadlines) {
    this.#group = group;
    this.#context = context;
    this.#deadlines = deadlines;
  }

  /** @throws Fault groupFull, inconsistentGroupProtocol, memberIdRequired, fencedInstance, unknownMember */
  join(request: JoinRequest, nowMs: number): Decided<JoinAnswer> {
    const { protocols, sessionTimeoutMs, rebalanceTimeoutMs } = request;
    this.#group.checkRoom(request.memberId);
    if (!this.#context.mayHaveClassicMembers() || !this.#supports(request))
      throw new Fault('inconsistentGroupProtocol');
    const memberId = request.memberId === '' ? request.newMemberId : request.memberId;
    const subscription = decodeSubscription(protocols[0]!.metadata);
    if (subscription === null) {
      throw new Fault('inconsistentGroupProtocol', { detail: 'the subscription cannot be read' });
    }
    const { before, replaced } = this.#joining(request, memberId);
    const said: ConsumerMember = {
      ...before,
      ...subscribing(subscription),
      memberId,
      instanceId: request.instanceId ?? before.instanceId,
      topicRegex: '',
      clientId: request.clientId,
      clientHost: request.clientHost,
      rebalanceTimeoutMs,
      classic: {
        sessionTimeoutMs,
        protocols: protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
      },
    };
    const owned = this.#owned(subscription);
    const { member, events } = this.#group.step({ before, replaced, said, owned }, nowMs);
    const result: JoinAnswer = {
      refused: null,
      memberId,
      generation: member.epoch,
      protocolType: CONSUMER_PROTOCOL,
      protocolName: protocols[0]!.name,
      leader: '',
      skipAssignment: false,
      members: [],
    };
    if (replaced !== null && this.#group.becomesClassic(new Set([replaced.memberId]), [member])) {
      return { events: this.#group.asClassic(events, nowMs), result };
    }
    // Who was refused by the disk has not joined, and is to do that in the time it has; who joined can sync from then on.
    const whenStored = (storedMs: number): void => {
      this.#deadlines.clear(memberId, 'join');
      this.#deadlines.set(memberId, 'sync', storedMs + rebalanceTimeoutMs);
    };
    return { events, result, whenStored };
  }

  /** @throws Fault unknownMember, fencedInstance, illegalGeneration, inconsistentGroupProtocol, rebalanceInProgress */
  sync(request: SyncRequest, nowMs: number): SyncAnswer {
    const { memberId, instanceId, generation, protocolType, protocolName } = request;
    const member = this.#speaker(memberId, instanceId, generation);
    const { name } = member.classic!.protocols[0]!;
    const isOther = (said: string | null, is: string): boolean => said !== null && said !== is;
    if (isOther(protocolType, CONSUMER_PROTOCOL) || isOther(protocolName, name)) {
      throw new Fault('inconsistentGroupProtocol');
    }
    if (this.#group.state.epoch > member.epoch && member.state !== 'unrevoked') throw this.#mustJoin(member, nowMs);
    this.#deadlines.clear(memberId, 'sync');
    this.#keepAlive(member, nowMs);
    const assignment = embeddedAssignment(member, this.#context.topics);
    return { refused: null, protocolType, protocolName, assignment: assignment.length === 0 ? NO_BYTES : assignment };
  }

  /** @throws Fault unknownMember, fencedInstance, illegalGeneration, rebalanceInProgress */
  heartbeat(memberId: string, instanceId: string | null, generation: number, nowMs: number): void {
    const member = this.#speaker(memberId, instanceId, generation);
    this.#keepAlive(member, nowMs);
    const { epoch } = this.#group.state;
    const isFree = member.state === 'unreleased' && !this.#waitsForOthers(member);
    if (member.epoch < epoch || member.state === 'unrevoked' || isFree) throw this.#mustJoin(member, nowMs);
  }

  /** What each leaver is told, in their order. An operator removes members of the new protocol in this way too. */
  leave(leavers: readonly Leaver[], nowMs: number): Decided<(Fault | null)[]> {
    const { state } = this.#group;
    const gone = new Set<string>();
    const result = leavers.map(({ memberId, instanceId }) => {
      const known = instanceId === null ? state.members.get(memberId) : state.staticMember(instanceId);
      if (known == null || gone.has(known.memberId)) return new Fault('unknownMember');
      // Named by its instance alone, an operator removes it.
      if (instanceId !== null && memberId !== '' && memberId !== known.memberId) return new Fault('fencedInstance');
      gone.add(known.memberId);
      return null;
    });
    const events: readonly GroupEvent[] = gone.size === 0 ? [] : this.#group.without(gone, nowMs);
    return { events, result };
  }

  /** Who joins: known, new, or a static member that comes back, from the new protocol as well. */
  #joining(request: JoinRequest, memberId: string): Pick<Stepping, 'before' | 'replaced'> {
    const { state } = this.#group;
    const { instanceId } = request;
    if (instanceId === null) {
      if (request.memberId === '' && request.mustKnowId) throw new Fault('memberIdRequired');
      return { before: state.members.get(memberId) ?? newMember(memberId), replaced: null };
    }
    const known = state.staticMember(instanceId);
    if (request.memberId !== '') return { before: checkInstance(known, memberId, instanceId), replaced: null };
    return known === null ? { before: newMember(memberId), replaced: null } : replacing(known, memberId, state.epoch);
  }

  /** One of its strategies must be one that all other classic members have. */
  #supports({ protocolType, protocols }: JoinRequest): boolean {
    if (protocolType !== CONSUMER_PROTOCOL) return false;
    const others = Array.from(this.#group.state.members.values()).flatMap(({ classic }) => classic ?? []);
    return protocols.some(({ name }) => others.every((other) => other.protocols.some((each) => each.name === name)));
  }

  #speaker(memberId: string, instanceId: string | null, generation: number): ConsumerMember {
    const { state } = this.#group;
    const member =
      instanceId === null
        ? state.members.get(memberId)
        : checkInstance(state.staticMember(instanceId), memberId, instanceId);
    if (member === undefined || member.classic === null || member.epoch === STATIC_LEAVE_EPOCH) {
      throw new Fault('unknownMember');
    }
    if (generation !== member.epoch) throw new Fault('illegalGeneration');
    return member;
  }

  #owned({ owned }: EmbeddedSubscription): TopicPartitions {
    return new Map(
      owned.flatMap(([name, partitions]: NamedPartitions): [Uuid, readonly number[]][] => {
        const topic = this.#context.topics.find(name);
        return topic === null ? [] : [[topic.id, partitions]];
      }),
    );
  }

  #waitsForOthers({ memberId, assigned }: ConsumerMember): boolean {
    const { state } = this.#group;
    return [...state.target(memberId)].some(([topic, partitions]) =>
      partitions.some((partition) => {
        return assigned.get(topic)?.has(partition) !== true && state.owner(topic, partition) !== null;
      }),
    );
  }

  #keepAlive({ memberId, classic }: ConsumerMember, nowMs: number): void {
    this.#deadlines.set(memberId, 'session', nowMs + classic!.sessionTimeoutMs);
  }

  #mustJoin({ memberId, rebalanceTimeoutMs }: ConsumerMember, nowMs: number): Fault {
    if (!this.#deadlines.has(memberId, 'join')) this.#deadlines.set(memberId, 'join', nowMs + rebalanceTimeoutMs);
    return new Fault('rebalanceInProgress');
  }
}
