import type { Fault } from '../base/faults.ts';
import type { GroupProtocol } from './consumer-options.ts';
import type { PartitionOfTopic } from './group-offsets.ts';

/** Who a member is to its coordinator, at one time. */
export interface MemberIdentity {
  readonly memberId: string;
  /** The generation of a classic group, or the member's epoch. */
  readonly generation: number;
  /** Whether an answer is awaited that may bring the next generation; the group may already be in it. */
  readonly isMovingOn: boolean;
}

/** One side of a group's protocol: sees to it that partitions are owned as the group says. */
export interface GroupMember {
  readonly protocol: GroupProtocol;
  readonly identity: MemberIdentity;
  /** Joins, and stays in the group until stopped. @throws what ends the membership for good. */
  run(): Promise<void>;
  /** No more is asked of the group but by `leave`. */
  stop(): void;
  /** Tells the group; a static member keeps its place unless it leaves for good. @throws Fault. */
  leave(forGood: boolean): Promise<void>;
}

/** What a member does with partitions: the consumer's side. */
export interface PartitionOwner {
  readonly owned: readonly PartitionOfTopic[];
  /** Takes partitions over. @throws what the hook throws, and what no repetition cures. */
  assign(partitions: readonly PartitionOfTopic[]): Promise<void>;
  /** Gives partitions up, within the time. @throws what the hook throws. */
  revoke(partitions: readonly PartitionOfTopic[], timeoutMs: number): Promise<void>;
  /** Forgets all partitions: they are another's. @throws what the hook throws. */
  lose(why: Fault): Promise<void>;
}
