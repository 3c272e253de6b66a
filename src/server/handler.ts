import { Fault } from '../base/faults.ts';
import type { Draft } from '../wire/codec.ts';
import { type ApiName, apis, type Messages } from '../wire/messages.generated.ts';
import type { RequestContext } from './context.ts';

type Answer<A extends ApiName> = Draft<Messages[A]['response']> | null;

/** What serves one API: decodes the wish, makes one call of the broker, encodes the outcome. */
export interface Handler<A extends ApiName = ApiName> {
  readonly api: A;
  readonly key: number;
  /** The versions served; both inclusive. */
  readonly versions: readonly [first: number, last: number];
  /**
   * Null when the protocol wants no answer. What must keep the order of the requests happens before this returns; the rest
   * may follow. A thrown fault becomes the response's error code where it has one for all; else it ends the connection.
   */
  answer(request: Messages[A]['request'], context: RequestContext): Answer<A> | Promise<Answer<A>>;
}

export function handler<A extends ApiName>(
  api: A,
  versions: readonly [first: number, last: number],
  answer: (request: Messages[A]['request'], context: RequestContext) => Answer<A> | Promise<Answer<A>>,
): Handler {
  // One type for the list of them all: the dispatcher pairs a request with its own handler by the API's key.
  return { api, key: apis[api].key, versions, answer } as unknown as Handler;
}

/** The fault that an operation on one element ends in, or null. A failure of one never fails the others. */
export async function faultOf(operation: () => unknown): Promise<Fault | null> {
  try {
    await operation();
    return null;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** Those that occur more than once in a request that may name each but once. */
export function duplicatesIn<T>(names: readonly T[]): ReadonlySet<T> {
  const seen = new Set<T>();
  return new Set(names.filter((name) => seen.size === seen.add(name).size));
}

/** An element's answer, or what `refuse` makes of the fault it ends in. */
export async function answerOr<T>(operation: () => T | Promise<T>, refuse: (fault: Fault) => T): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof Fault) return refuse(error);
    throw error;
  }
}
