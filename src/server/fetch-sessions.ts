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

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The partitions that a request means. @throws Fault fetchSessionNotFound, invalidFetchSessionEpoch */
  resolve(request: FetchRequest): FetchSession {
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === INITIAL_EPOCH) {
      this.#sessions.delete(sessionId);
      const partitions = new Map<string, FetchedPartition>();
      addWishes(partitions, request);
      const id = sessionEpoch === FINAL_EPOCH || partitions.size === 0 ? NO_SESSION : this.#keep(partitions);
      return { id, incremental: false, partitions };
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) throw new Fault('fetchSessionNotFound', { detail: String(sessionId) });
    if (session.nextEpoch !== sessionEpoch) {
      throw new Fault('invalidFetchSessionEpoch', { detail: `${sessionEpoch}, expected ${session.nextEpoch}` });
    }
    session.nextEpoch = sessionEpoch === 0x7fffffff ? 1 : sessionEpoch + 1;
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, session);
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) session.partitions.delete(keyOf(topic, topicId, partition));
    }
    addWishes(session.partitions, request);
    return { id: sessionId, incremental: true, partitions: session.partitions };
  }

  #keep(partitions: Map<string, FetchedPartition>): number {
    let id: number;
    do id = 1 + this.#random.below(ID_ENDNEXT - 1);
    while (this.#sessions.has(id));
    this.#sessions.set(id, { id, nextEpoch: 1, partitions });
    if (this.#sessions.size > limits.fetchSessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    return id;
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
