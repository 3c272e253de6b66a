import { Fault } from '../base/faults.ts';
import type { Broker } from '../broker/broker.ts';
import type { Draft } from '../wire/codec.ts';
import type { ApiName, Messages } from '../wire/messages.generated.ts';
import { apiSchema } from '../wire/schema.ts';
import type { RequestContext } from './context.ts';
import type { Handler } from './handler.ts';
import { handlers } from './handlers/index.ts';

const handlerByApi = new Map<ApiName, Handler>(handlers.map((handler) => [handler.api, handler]));

/** Whether an API is served in this version. */
export function serves(api: ApiName, version: number): boolean {
  const handler = handlerByApi.get(api);
  return handler !== undefined && handler.versions[0] <= version && version <= handler.versions[1];
}

/**
 * Answers one request, wherever it came from: null when the protocol wants no answer. Whatever must keep the order of the
 * requests has happened when this returns its promise, or when what was given to the context's `inOrder` has ended.
 * @throws Fault unsupportedVersion; brokerStopped; whatever an API without a common error code could not say otherwise
 */
export async function dispatch<A extends ApiName>(
  api: A,
  request: Messages[A]['request'],
  context: RequestContext,
): Promise<Draft<Messages[A]['response']> | null> {
  if (!serves(api, context.version)) throw new Fault('unsupportedVersion', { detail: `${api} ${context.version}` });
  const { broker } = context;
  if (broker.stopped !== null) throw broker.stopped;
  const handler = handlerByApi.get(api)!;
  try {
    const answer = await handler.answer(request, context);
    // Whether what it says of the disk is true nobody knows any more.
    if (broker.failed !== null) throw broker.failed;
    return answer as Draft<Messages[A]['response']> | null;
  } catch (error) {
    if (!(error instanceof Fault) && !handler.onlyReads) throw broker.fail(error);
    const fault = error instanceof Fault ? error : broker.failRead(error);
    const refusal = refusalOf(api, context.version, fault, broker);
    if (refusal === null) throw fault;
    return refusal as Draft<Messages[A]['response']>;
  }
}

/** A response that says nothing but the fault, for those with an error code of their own; else null. */
function refusalOf(api: ApiName, version: number, fault: Fault, broker: Broker): object | null {
  // After it stopped itself the broker has nothing to say that a client could rely on.
  if (broker.stopped !== null) return null;
  const { fields: all } = apiSchema(api).response;
  const fields = all
    .filter(({ versions: { first, last } }) => first <= version && version <= last)
    .map(({ name }) => name);
  if (!fields.includes('errorCode')) return null;
  return fields.includes('errorMessage')
    ? { errorCode: fault.code, errorMessage: fault.message }
    : { errorCode: fault.code };
}
