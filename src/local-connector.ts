import { Fault } from './base/faults.ts';
import type { Broker } from './broker/broker.ts';
import type { Connector, Transport } from './client/transport.ts';
import type { RequestContext } from './server/context.ts';
import { dispatch } from './server/dispatcher.ts';
import type { FetchSessions } from './server/fetch-sessions.ts';
import { complete, type Draft } from './wire/codec.ts';
import type { ApiName, Messages } from './wire/messages.generated.ts';

/** Where a client in the same process is told to connect to; the connector looks at no address. */
export const LOCAL_ADDRESS = { host: 'in-process', port: 1 };

/** Bytes of one answer; the reader's own limits are lower, and nothing is queued on the way. */
const RESPONSE_BYTES_MAX = 256 * 1024 * 1024;

/** Connects a client to a broker in the same process: messages go to the dispatcher as they are, no socket between. */
export function localConnector(broker: Broker, fetchSessions: FetchSessions, clientId: string): Connector {
  return { connect: async () => localTransport(broker, fetchSessions, clientId) };
}

function localTransport(broker: Broker, fetchSessions: FetchSessions, clientId: string): Transport {
  const gone = new AbortController();
  const ended = Promise.withResolvers<Error>();
  const end = (why: Error): void => {
    gone.abort();
    ended.resolve(why);
  };
  void broker.fatal.then(end);

  const order = new RequestOrder();

  async function request<A extends ApiName>(
    api: A,
    version: number,
    draft: Draft<Messages[A]['request']>,
  ): Promise<Messages[A]['response']> {
    if (gone.signal.aborted) throw new Fault('connectionClosed');
    const context: RequestContext = {
      broker,
      version,
      clientId,
      clientHost: '/127.0.0.1',
      advertised: LOCAL_ADDRESS,
      fetchSessions,
      signal: gone.signal,
      lendsRecords: false,
      inOrder: (work) => order.hold(work),
      mayWait: true,
      onSent: null,
      responseBytesMax: () => RESPONSE_BYTES_MAX,
    };
    // Async: what is wrong with it is told to who asked, not to the request that it waited for.
    const answer = await order.start(async () => dispatch(api, complete(api, 'request', draft), context));
    return complete(api, 'response', answer ?? ({} as Draft<Messages[A]['response']>));
  }

  return {
    request,
    // As over TCP, all that a refusal of what is not answered can do is to end the conversation.
    send: (api, version, draft) => void request(api, version, draft).catch(end),
    closed: ended.promise,
    close: () => end(new Fault('connectionClosed')),
  };
}

/**
 * Starts one request after the other; while one has work that comes before what is asked later, those wait. They start also if it
 * fails: the SDK sends nothing behind the first batch of an idempotent producer, and later ones are refused without it.
 */
class RequestOrder {
  #holds = false;
  readonly #waiting: (() => void)[] = [];

  start<T>(request: () => Promise<T>): Promise<T> {
    if (!this.#holds && this.#waiting.length === 0) return request();
    return new Promise((resolve) => this.#waiting.push(() => resolve(request())));
  }

  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#holds = true;
    try {
      return await work();
    } finally {
      this.#holds = false;
      while (!this.#holds && this.#waiting.length > 0) this.#waiting.shift()!();
    }
  }
}
