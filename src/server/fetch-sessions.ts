import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import type { FetchPartition, FetchRequest } from '../wire/messages.generated.ts';

/** Requests outside a session (KIP-227). */
const NO_SESSION = 0;
const FINAL_EPOCH = -1;
const INITIAL_EPOCH = 0;
const ID_ENDNEXT = 0x7fffffff;

/** One partition that is fetched: the client's last wish, and what it was last told. */
export interface FetchedPartition {
  readonly topic: string;
  readonly topicId: string;
  wish: FetchPartition;
  toldHighWatermark: number;
  toldLogStart: number;
  toldFault: boolean;
}

export interface FetchSession {
  readonly id: number;
  /** Whether only what changed is answered. */
  readonly incremental: boolean;
  readonly partitions: Map<string, FetchedPartition>;
}

interface KeptSession {
  readonly id: number;
  nextEpoch: number;
  /** Whether its requests name topics by their ids, as later versions do. */
  readonly byId: boolean;
  readonly partitions: Map<string, FetchedPartition>;
}

/**
 * Fetch sessions: clients that ask for the same partitions again and again name only what changed, and are told only what
 * changed. Kept in memory; a client whose session is gone is told so and begins a new one.
 */
export class FetchSessions {
  readonly #random: Random;
  /** The one used last is last. */
  readonly #sessions = new Map<number, KeptSession>();
  /** Partitions in all of them. */
  #partitions = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * The partitions that a request means; `byId` says how its version names topics.
   * @throws Fault fetchSessionNotFound, invalidFetchSessionEpoch, fetchSessionTopicIds
   */
  resolve(request: FetchRequest, byId: boolean): FetchSession {
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === INITIAL_EPOCH) {
      this.#drop(sessionId);
      const partitions = new Map<string, FetchedPartition>();
      addWishes(partitions, request);
      const id = sessionEpoch === FINAL_EPOCH ? NO_SESSION : this.#begin(partitions, byId);
      return { id, incremental: false, partitions };
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) throw new Fault('fetchSessionNotFound', { detail: String(sessionId) });
    if (session.nextEpoch !== sessionEpoch) {
      throw new Fault('invalidFetchSessionEpoch', { detail: `${sessionEpoch}, expected ${session.nextEpoch}` });
    }
    if (session.byId !== byId) throw new Fault('fetchSessionTopicIds');
    this.#drop(sessionId);
    session.nextEpoch = sessionEpoch === 0x7fffffff ? 1 : sessionEpoch + 1;
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) session.partitions.delete(keyOf(topic, topicId, partition));
    }
    addWishes(session.partitions, request);
    // One of which nothing is left has ended.
    const kept = session.partitions.size > 0 && this.#keep(session);
    return { id: kept ? sessionId : NO_SESSION, incremental: true, partitions: session.partitions };
  }

  #begin(partitions: Map<string, FetchedPartition>, byId: boolean): number {
    let id: number;
    do id = 1 + this.#random.below(ID_ENDNEXT - 1);
    while (this.#sessions.has(id));
    return this.#keep({ id, nextEpoch: 1, byId, partitions }) ? id : NO_SESSION;
  }

  /** Puts a session last in line to be dropped for others; false for one that is larger than all may be. */
  #keep(session: KeptSession): boolean {
    const { fetchSessionsMax, fetchSessionPartitionsMax } = limits;
    if (session.partitions.size > fetchSessionPartitionsMax) return false;
    this.#sessions.set(session.id, session);
    this.#partitions += session.partitions.size;
    while (this.#sessions.size > fetchSessionsMax || this.#partitions > fetchSessionPartitionsMax) {
      this.#drop(this.#sessions.keys().next().value!);
    }
    return true;
  }

  #drop(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    this.#partitions -= session.partitions.size;
  }
}

function keyOf(topic: string, topicId: string, partition: number): string {
  return `${topicId}/${topic}/${partition}`;
}

function addWishes(partitions: Map<string, FetchedPartition>, request: FetchRequest): void {
  for (const { topic, topicId, partitions: wishes } of request.topics) {
    for (const wish of wishes) {
      const key = keyOf(topic, topicId, wish.partition);
      const known = partitions.get(key);
      if (known !== undefined) known.wish = wish;
      else {
        partitions.set(key, { topic, topicId, wish, toldHighWatermark: -1, toldLogStart: -1, toldFault: false });
      }
    }
  }
}
