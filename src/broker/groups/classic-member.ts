import type { Fault } from '../../base/faults.ts';
import type { Ask } from './group.ts';
import type { ClassicMemberRecord } from './group-events.ts';

/** An assignment strategy that a member offers, and what it has to say to a leader that uses it. */
export interface ClassicProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface JoinRequest {
  /** Empty for a member that is new, or that was forgotten. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly ClassicProtocol[];
  /** The id that the member gets if it has none. */
  readonly newMemberId: string;
  /** Whether a new member must join again with the id it is given (KIP-394, JoinGroup 4). */
  readonly mustKnowId: boolean;
  /** Whether a leader can be told that the assignment stays as it is (KIP-814, JoinGroup 9). */
  readonly maySkipAssignment: boolean;
}

/** What a join ends in. On a refusal only the member id counts. */
export interface JoinAnswer {
  readonly refused: Fault | null;
  readonly memberId: string;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  /** Told to the leader alone, who divides the work among them. */
  readonly members: readonly { memberId: string; instanceId: string | null; metadata: Uint8Array }[];
}

export interface SyncRequest {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Null where the client is too old to say. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** The leader's division of the work; empty from all others. */
  readonly assignments: readonly { memberId: string; assignment: Uint8Array }[];
}

export interface SyncAnswer {
  readonly refused: Fault | null;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

/** Who leaves: by its member id, by its instance id alone (an operator removes it), or by both. */
export interface Leaver {
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** A member of a classic group. */
export interface ClassicMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly ClassicProtocol[];
  assignment: Uint8Array;
  /** Its JoinGroup that waits for the others. */
  joinAsk: Ask<JoinAnswer> | null;
  /** Its SyncGroup that waits for the leader. */
  syncAsk: Ask<SyncAnswer> | null;
  /** Has not been told its member id by an answered join yet, so that no heartbeat can be expected of it. */
  isNew: boolean;
  /** When its session ends. Infinity while it waits for an answer: whoever answers sets it anew. */
  deadlineMs: number;
}

export const NO_BYTES = new Uint8Array(0);

export function refusedJoin(refused: Fault, memberId: string): JoinAnswer {
  const nothing = { generation: -1, protocolType: null, protocolName: null, leader: '', skipAssignment: false };
  return { refused, memberId, ...nothing, members: [] };
}

export function refusedSync(refused: Fault): SyncAnswer {
  return { refused, protocolType: null, protocolName: null, assignment: NO_BYTES };
}

export function metadataOf(member: ClassicMember, protocol: string | null): Uint8Array {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? NO_BYTES;
}

/** Whether a member says again what it said before. */
export function sameProtocols(before: readonly ClassicProtocol[], now: readonly ClassicProtocol[]): boolean {
  return (
    before.length === now.length &&
    before.every(({ name, metadata }, i) => name === now[i]!.name && Buffer.compare(metadata, now[i]!.metadata) === 0)
  );
}

export function recordOf(member: ClassicMember, protocol: string | null, assignment: Uint8Array): ClassicMemberRecord {
  const { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs } = member;
  const told = { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs };
  return { ...told, metadata: metadataOf(member, protocol), assignment };
}
