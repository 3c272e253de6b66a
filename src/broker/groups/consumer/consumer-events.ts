import type { Uuid } from '../../../base/random.ts';
import type { PartitionCounts, TopicPartitions } from './assignor.ts';
import type { ConsumerMember, Holdings, MemberState, MemberSubscription } from './consumer-member.ts';

/** `[topic id, partitions]`: how a map by topic lies in the ledger. */
type StoredPartitions = readonly (readonly [Uuid, readonly number[]])[];
/** `[topic id, partitions, the epoch of each]`. */
type StoredHoldings = readonly (readonly [Uuid, readonly number[], readonly number[]])[];

/** A member as it lies in the ledger: always whole, so that each event stands for itself. */
export interface StoredMember extends MemberSubscription {
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly state: MemberState;
  readonly assigned: StoredHoldings;
  readonly revoking: StoredHoldings;
}

/** What happens to a group of the new protocol, as it lies in the groups' ledger. */
export type ConsumerGroupEvent =
  /** The group's epoch. `topics`: what its members subscribe to, with partition counts; absent when that is as it was. */
  | {
      readonly type: 'consumerEpoch';
      readonly group: string;
      readonly epoch: number;
      readonly topics?: readonly (readonly [Uuid, number])[];
    }
  /** The target of an epoch: what each member is to have, of those for whom it changed. */
  | {
      readonly type: 'consumerTarget';
      readonly group: string;
      readonly epoch: number;
      readonly members: readonly (readonly [memberId: string, partitions: StoredPartitions])[];
    }
  | { readonly type: 'consumerMember'; readonly group: string; readonly member: StoredMember }
  | { readonly type: 'consumerMemberRemoved'; readonly group: string; readonly memberId: string };

export function epochEvent(group: string, epoch: number, topics?: PartitionCounts): ConsumerGroupEvent {
  return { type: 'consumerEpoch', group, epoch, ...(topics !== undefined && { topics: [...topics] }) };
}

export function targetEvent(
  group: string,
  epoch: number,
  changed: Iterable<readonly [string, TopicPartitions]>,
): ConsumerGroupEvent {
  const members = Array.from(changed, ([memberId, target]) => [memberId, [...target]] as const);
  return { type: 'consumerTarget', group, epoch, members };
}

export function memberEvent(group: string, member: ConsumerMember): ConsumerGroupEvent {
  const { assigned, revoking, ...rest } = member;
  const stored = { ...rest, assigned: storedHoldings(assigned), revoking: storedHoldings(revoking) };
  return { type: 'consumerMember', group, member: stored };
}

export function memberOf({ assigned, revoking, classic, ...rest }: StoredMember): ConsumerMember {
  return {
    ...rest,
    assigned: holdingsOf(assigned),
    revoking: holdingsOf(revoking),
    // MessagePack gives views of the whole event.
    classic: classic && {
      ...classic,
      protocols: classic.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
    },
  };
}

function storedHoldings(holdings: Holdings): StoredHoldings {
  return Array.from(holdings, ([topic, partitions]) => [topic, [...partitions.keys()], [...partitions.values()]]);
}

function holdingsOf(stored: StoredHoldings): Holdings {
  return new Map(
    stored.map(([topic, partitions, epochs]) => [
      topic,
      new Map(partitions.map((partition, i) => [partition, epochs[i]!])),
    ]),
  );
}
