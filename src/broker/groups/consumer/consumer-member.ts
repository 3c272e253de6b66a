import type { Uuid } from '../../../base/random.ts';
import type { TopicPartitions } from './assignor.ts';

/**
 * Where a member stands on its way to its target:
 * - `stable`: it has what the target of its epoch gave it;
 * - `unrevoked`: it was told to give up partitions and has not yet said that it did;
 * - `unreleased`: it waits for partitions that others still have.
 */
export type MemberState = 'stable' | 'unrevoked' | 'unreleased';

/** Partitions by topic, each with the member epoch in which the member got it (KIP-1251: commits since then are good). */
export type Holdings = ReadonlyMap<Uuid, ReadonlyMap<number, number>>;

export const NO_HOLDINGS: Holdings = new Map();

/** A member that speaks the classic protocol within a group of the new one. */
export interface ClassicMember {
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

/** What a member said of itself. */
export interface MemberSubscription {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly rebalanceTimeoutMs: number;
  readonly clientId: string;
  readonly clientHost: string;
  /** Sorted, each once. */
  readonly topicNames: readonly string[];
  /** A pattern in RE2's syntax for whole names; empty for none. */
  readonly topicRegex: string;
  readonly serverAssignor: string | null;
  readonly classic: ClassicMember | null;
}

/** What a member has. */
export interface MemberProgress {
  /** -2 for a static member that is away. */
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly state: MemberState;
  readonly assigned: Holdings;
  /** Told to give up, and not yet said to be. Never a partition of `assigned`. */
  readonly revoking: Holdings;
}

export interface ConsumerMember extends MemberSubscription, MemberProgress {}

/** The epoch that a static member leaves with when it means to come back. */
export const STATIC_LEAVE_EPOCH = -2;
export const LEAVE_EPOCH = -1;
export const JOIN_EPOCH = 0;

export function newMember(memberId: string): ConsumerMember {
  return {
    memberId,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    clientId: '',
    clientHost: '',
    topicNames: [],
    topicRegex: '',
    serverAssignor: null,
    classic: null,
    epoch: JOIN_EPOCH,
    previousEpoch: JOIN_EPOCH,
    state: 'stable',
    assigned: NO_HOLDINGS,
    revoking: NO_HOLDINGS,
  };
}

/** Whether a member needs nothing more to be where the target of this epoch wants it. */
export function isReconciled(member: ConsumerMember, targetEpoch: number): boolean {
  return member.state === 'stable' && member.epoch === targetEpoch;
}

/** Without the epochs, each topic's partitions ascending. */
export function partitionsIn(holdings: Holdings): TopicPartitions {
  return new Map(Array.from(holdings, ([topic, partitions]) => [topic, [...partitions.keys()].sort((a, b) => a - b)]));
}

/** Two that share no partition, together. */
export function union(a: Holdings, b: Holdings): Holdings {
  const both = new Map(a);
  for (const [topic, partitions] of b) both.set(topic, new Map([...(both.get(topic) ?? []), ...partitions]));
  return both;
}

export function sameHoldings(a: Holdings, b: Holdings): boolean {
  if (a === b) return true;
  return (
    a.size === b.size &&
    [...a].every(([topic, partitions]) => {
      const others = b.get(topic);
      return (
        others?.size === partitions.size &&
        [...partitions].every(([partition, epoch]) => others.get(partition) === epoch)
      );
    })
  );
}

export function sameProgress(a: MemberProgress, b: MemberProgress): boolean {
  return (
    a.epoch === b.epoch &&
    a.previousEpoch === b.previousEpoch &&
    a.state === b.state &&
    sameHoldings(a.assigned, b.assigned) &&
    sameHoldings(a.revoking, b.revoking)
  );
}

export function sameSubscription(a: MemberSubscription, b: MemberSubscription): boolean {
  return (
    sameTopics(a, b) &&
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.serverAssignor === b.serverAssignor &&
    sameClassic(a.classic, b.classic)
  );
}

/** Whether two subscribe to the same topics, by name and by pattern. */
export function sameTopics(a: MemberSubscription, b: MemberSubscription): boolean {
  return a.topicRegex === b.topicRegex && sameNames(a.topicNames, b.topicNames);
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]));
}

function sameClassic(a: ClassicMember | null, b: ClassicMember | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    a.protocols.length === b.protocols.length &&
    a.protocols.every(({ name, metadata }, i) => {
      const other = b.protocols[i]!;
      return name === other.name && metadata.equals(other.metadata);
    })
  );
}
