import type { Draft } from '../../src/wire/codec.ts';
import type { ApiName, Messages } from '../../src/wire/messages.generated.ts';
import type { RawClient } from './support.ts';

export const UNKNOWN_TOPIC = 3;
export const UNKNOWN_ID = 100;
export const STRANGE_ID = 'Zm9vYmFyZm9vYmFyZm9vYg';

/** What a walk may refer to. The topic has two partitions; the first holds three records. */
export interface Place {
  readonly topic: string;
  readonly topicId: string;
}

export interface Step<A extends ApiName> {
  readonly says: string;
  /** What must have been asked before. */
  readonly before?: (client: RawClient, place: Place) => Promise<unknown>;
  ask(version: number, place: Place): Draft<Messages[A]['request']>;
  /** Throws when the answer is not what was promised. */
  check(answer: Messages[A]['response'], version: number, place: Place): void;
}

export type Walk = { readonly [A in ApiName]?: readonly Step<A>[] };
