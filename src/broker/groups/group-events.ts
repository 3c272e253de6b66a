import type { Uuid } from '../../base/random.ts';
import type { ConsumerGroupEvent } from './consumer/consumer-events.ts';

/** One partition's committed offset. Times are the broker's uptime (group-clock.ts), so that no clock can expire it. */
export interface CommittedOffset {
  readonly offset: number;
  /** -1 when the client did not say. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly committedAtMs: number;
  /** When it expires by its client's own wish (OffsetCommit 2 to 4); null: as the broker's settings say. */
  readonly expiresAtMs: number | null;
}

/** One partition's committed offset as the ledger has it, without names, since there are so many. */
export type StoredOffset = readonly [
  partition: number,
  offset: number,
  leaderEpoch: number,
  metadata: string,
  committedAtMs: number,
  expiresAtMs: number | null,
];

/** A member of a classic group as it survives a restart: with the metadata of the protocol that was chosen, and its work. */
export interface ClassicMemberRecord {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
}

/** A classic group as it survives a restart: a generation with its assignments, or with no members the fact of being empty. */
export interface ClassicGroupRecord {
  readonly generation: number;
  readonly protocolType: string;
  readonly protocolName: string | null;
  readonly leader: string | null;
  /** The uptime at which it came to be as it is. */
  readonly sinceMs: number;
  readonly members: readonly ClassicMemberRecord[];
}

/**
 * What must survive of groups. Members' sessions, waiting requests and every timer do not: they begin anew after a start.
 * An event for a group that is of another kind by now replaces it.
 */
export type GroupEvent =
  | {
      readonly type: 'offsets';
      readonly group: string;
      readonly topic: string;
      readonly topicId: Uuid;
      readonly partitions: readonly StoredOffset[];
    }
  /**
   * `partitions` null: all of the topic. Of another topic of that name (with another id) nothing is removed, and nothing
   * that was committed after `committedUntilMs` (null: whenever): it was on its way when the removal was decided.
   */
  | {
      readonly type: 'offsetsRemoved';
      readonly group: string;
      readonly topic: string;
      readonly topicId: Uuid;
      readonly partitions: readonly number[] | null;
      readonly committedUntilMs: number | null;
    }
  | { readonly type: 'allOffsetsRemoved'; readonly group: string }
  | ({ readonly type: 'classicGroup'; readonly group: string } & ClassicGroupRecord)
  | ConsumerGroupEvent
  /** The group itself, of whatever kind, without its offsets. */
  | { readonly type: 'groupRemoved'; readonly group: string }
  /** How long the broker has run, in all its runs together. */
  | { readonly type: 'uptime'; readonly ms: number };
