import { Fault } from '../base/faults.ts';
import type { Broker } from '../broker/broker.ts';
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
   * Null when the protocol wants no answer. What must keep the order of the requests happens before this returns, or by way of
   * the context's `inOrder`; the rest may follow. A thrown fault becomes the response's error code where it has one for all; else it ends the connection.
   */
  answer(request: Messages[A]['request'], context: RequestContext): Answer<A> | Promise<Answer<A>>;
  /** It changes nothing: a bug in it fails its request, not the broker. */
  readonly onlyReads: boolean;
}

export function handler<A extends ApiName>(
  api: A,
  versions: readonly [first: number, last: number],
  answer: (request: Messages[A]['request'], context: RequestContext) => Answer<A> | Promise<Answer<A>>,
): Handler {
  // One type for the list of them all: the dispatcher pairs a request with its own handler by the API's key.
  return { api, key: apis[api].key, versions, answer, onlyReads: false } as unknown as Handler;
}

/** A handler that changes nothing. What it might change on the way, it must guard by itself. */
export function readingHandler<A extends ApiName>(...parts: Parameters<typeof handler<A>>): Handler {
  return { ...handler(...parts), onlyReads: true };
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

/** As answerOr, where the operation only reads: a bug in it is the element's alone. */
export async function readOr<T>(
  broker: Broker,
  operation: () => T | Promise<T>,
  refuse: (fault: Fault) => T,
): Promise<T> {
  return answerOr(async () => {
    try {
      return await operation();
    } catch (error) {
      throw error instanceof Fault ? error : broker.failRead(error);
    }
  }, refuse);
}
