import type { Fault } from '../../base/faults.ts';
import type { Uuid } from '../../base/random.ts';
import type { GroupEvent } from './group-events.ts';

/** Who commits offsets, as OffsetCommit names it. A generation (or member epoch) below zero is that of no member. */
export interface Committer {
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Whether its version of the request says member epochs (9 and later), as members of the new protocol must. */
  readonly saysEpoch: boolean;
}

/** A partition that is committed. */
export interface CommittedPartition {
  readonly topic: { readonly id: Uuid };
  readonly partition: number;
}

/** A request that a group may let wait. The group only names it; whoever performs the group's effects answers it. */
export interface Ask<Answer> {
  readonly answered: (answer: Answer) => void;
}

/** What a group wants done, in this order. */
export type Effect =
  /** Make events durable, all or none; then go on with what `then` returns. It is told of a disk that refuses. */
  | {
      readonly type: 'store';
      readonly events: readonly GroupEvent[];
      readonly then: (refused: Fault | null, nowMs: number) => readonly Effect[];
    }
  | { readonly type: 'answer'; readonly ask: Ask<never>; readonly answer: object };

export function answer<Answer extends object>(ask: Ask<Answer>, answer: Answer): Effect {
  return { type: 'answer', ask: ask as Ask<never>, answer };
}

export function store(
  events: readonly GroupEvent[],
  then: (refused: Fault | null, nowMs: number) => readonly Effect[],
): Effect {
  return { type: 'store', events, then };
}

/**
 * A group of any kind, as the coordinator sees it: a state machine without I/O, which knows no time but the uptime it is told.
 *
 * This is the seam at which a kind of group plugs in. A kind has
 * - events of its own in group-events.ts, folded by group-state.ts when they are durable (and told again by its `live()`):
 *   what must survive a restart is made of these alone. Offsets are kept beside, the same way for all kinds;
 * - a class that implements Group, made from that folded state when the broker starts (GroupCoordinator.#takeUp). Its timers
 *   are no events: it names its next deadline in `wakeAtMs`, and is woken then;
 * - entry points on the coordinator for its own requests. There are two ways to write one. `GroupCoordinator.change`, for a
 *   kind whose whole state is folded events: one change of a group after the other, each deciding on all before it, groups
 *   side by side. Or effects, for a kind that is ahead of its events by rule, as the classic one is in a rebalance: it
 *   stores what must last and answers from `then`.
 *
 * Methods named `check…` throw the Fault that the client is to be told.
 */
export interface Group {
  readonly id: string;
  readonly kind: 'classic' | 'consumer';
  /** As ListGroups and DescribeGroups tell it: "Empty", "Stable", … */
  readonly stateName: string;
  /** Empty where the group's members never said, as when it only holds offsets. */
  readonly protocolType: string;
  /** Has no members: may be removed, and committed to from outside. */
  readonly isEmpty: boolean;
  /** Was never more than a name: is forgotten unless it holds offsets. */
  readonly isVoid: boolean;
  /** When it wants to be woken; Infinity for never. */
  readonly wakeAtMs: number;
  wake(nowMs: number): readonly Effect[];
  /** Whether this member may commit these now; a classic member's commit keeps its session alive. */
  checkCommit(committer: Committer, nowMs: number, partitions: readonly CommittedPartition[]): void;
  /** `memberEpoch` below zero with no member id: from outside. */
  checkFetch(memberId: string | null, memberEpoch: number): void;
  checkOffsetDelete(): void;
  checkDelete(): void;
  isSubscribedTo(topic: string): boolean;
  /** Since when an offset, of a topic that the group is not subscribed to, is not used; null: it is, or nobody can tell. */
  unusedSinceMs(committedAtMs: number): number | null;
}
