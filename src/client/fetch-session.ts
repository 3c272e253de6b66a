import type { Uuid } from '../base/random.ts';
import type { PartitionOfTopic } from './group-offsets.ts';

/** What a fetch asks of one partition. */
export interface PartitionAsk extends PartitionOfTopic {
  readonly topicId: Uuid;
  readonly fetchOffset: number;
  readonly partitionMaxBytes: number;
}

export interface SessionAsk {
  sessionId: number;
  sessionEpoch: number;
  /** Partitions to ask for: all, or in a session those that differ from what the broker remembers. */
  asks: PartitionAsk[];
  /** Partitions that the broker should ask for no more. */
  forgotten: PartitionAsk[];
}

const NO_SESSION = 0;
/** Asks for everything and opens no session. */
const SESSIONLESS_EPOCH = -1;
const EPOCH_LAST = 0x7fffffff;

/**
 * A fetch session (KIP-227): the broker remembers which partitions it is asked for, so that a request names only what changed
 * and an answer only what has news. Epochs count the requests of a session, so that both sides notice one that was lost.
 */
export class FetchSession {
  #enabled: boolean;
  #id = NO_SESSION;
  #epoch = 0;
  #remembered = new Map<string, PartitionAsk>();

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** For a broker that knows no sessions. */
  disable(): void {
    this.#enabled = false;
    this.reset();
  }

  ask(wanted: readonly PartitionAsk[]): SessionAsk {
    if (!this.#enabled) {
      return { sessionId: NO_SESSION, sessionEpoch: SESSIONLESS_EPOCH, asks: [...wanted], forgotten: [] };
    }
    const before = this.#remembered;
    this.#remembered = new Map(wanted.map((ask) => [keyOf(ask), ask]));
    if (this.#id === NO_SESSION) return { sessionId: NO_SESSION, sessionEpoch: 0, asks: [...wanted], forgotten: [] };
    const asks = wanted.filter((ask) => {
      const known = before.get(keyOf(ask));
      return known?.fetchOffset !== ask.fetchOffset || known.partitionMaxBytes !== ask.partitionMaxBytes;
    });
    const forgotten = [...before].filter(([key]) => !this.#remembered.has(key)).map(([, ask]) => ask);
    return { sessionId: this.#id, sessionEpoch: this.#epoch, asks, forgotten };
  }

  /** A fetch was answered without an error of its own; a broker that has no room for a session answers with id 0. */
  answered(sessionId: number): void {
    if (!this.#enabled || sessionId === NO_SESSION) {
      this.reset();
      return;
    }
    this.#epoch = this.#id !== sessionId || this.#epoch === EPOCH_LAST ? 1 : this.#epoch + 1;
    this.#id = sessionId;
  }

  /** The next fetch opens a session anew. */
  reset(): void {
    this.#id = NO_SESSION;
    this.#epoch = 0;
  }
}

/** A topic that was made again is another one to the broker. */
function keyOf({ topic, topicId, partition }: PartitionAsk): string {
  return `${topic}:${topicId}:${partition}`;
}
