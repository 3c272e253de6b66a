import { createConnection, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { type Draft, decodeResponse, encodeRequest } from '../wire/codec.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import type { ApiName, Messages } from '../wire/messages.generated.ts';
import { Fifo } from './fifo.ts';
import type { Address, Connector, Transport } from './transport.ts';

export interface TcpOptions {
  clientId: string;
  clock: Clock;
  /** How long a connection may take to come about. */
  connectTimeoutMs: number;
}

export function tcpConnector(options: TcpOptions): Connector {
  return { connect: (address) => connect(address, options) };
}

/** How long a connection is silent before the operating system asks whether the peer is still there. */
const KEEP_ALIVE_AFTER_MS = 60_000;

function connect({ host, port }: Address, { clientId, clock, connectTimeoutMs }: TcpOptions): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
    });
    const fail = (why: string, cause?: Error): void => {
      socket.destroy();
      reject(new Fault('connectionFailed', { detail: `${host}:${port}, ${why}`, cause }));
    };
    const cancelTimeout = clock.after(connectTimeoutMs, () => fail(`no connection within ${connectTimeoutMs} ms`));
    const onError = (error: Error): void => {
      cancelTimeout();
      fail(reasonOf(error), error);
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      cancelTimeout();
      socket.off('error', onError);
      resolve(new TcpTransport(socket, clientId, `${host}:${port}`));
    });
  });
}

/** A host with several addresses that all refuse fails with an AggregateError, whose own message is empty. */
function reasonOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map((one: Error) => one.message).join('; ') : error.message;
}

interface Waiting {
  readonly correlationId: number;
  readonly api: ApiName;
  readonly version: number;
  readonly resolve: (message: never) => void;
  readonly reject: (fault: Error) => void;
}

const CORRELATION_ID_LAST = 0x7fffffff;

/** Requests are pipelined; a Kafka broker answers those of one connection in the order in which they came. */
class TcpTransport implements Transport {
  readonly closed: Promise<Error>;
  readonly #socket: Socket;
  readonly #clientId: string;
  readonly #peer: string;
  readonly #splitter = new FrameSplitter(limits.responseBytesMax);
  readonly #waiting = new Fifo<Waiting>();
  readonly #resolveClosed: (fault: Error) => void;
  #nextCorrelationId = 0;
  /** Why the conversation ended; null while it goes on. */
  #ended: Error | null = null;

  constructor(socket: Socket, clientId: string, peer: string) {
    this.#socket = socket;
    this.#clientId = clientId;
    this.#peer = peer;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (cause) =>
      this.#end(new Fault('connectionClosed', { detail: `${peer}, ${cause.message}`, cause })),
    );
    socket.on('close', () => this.#end(new Fault('connectionClosed', { detail: `${peer} closed it` })));
  }

  request<A extends ApiName>(
    api: A,
    version: number,
    message: Draft<Messages[A]['request']>,
  ): Promise<Messages[A]['response']> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      const correlationId = this.#takeCorrelationId();
      const frame = encodeRequest(api, version, correlationId, this.#clientId, message);
      this.#waiting.push({ correlationId, api, version, resolve, reject });
      this.#write(frame);
    });
  }

  send<A extends ApiName>(api: A, version: number, message: Draft<Messages[A]['request']>): void {
    if (this.#ended !== null) throw this.#ended;
    this.#write(encodeRequest(api, version, this.#takeCorrelationId(), this.#clientId, message));
  }

  close(): void {
    this.#end(new Fault('connectionClosed', { detail: `${this.#peer}, by this client` }));
  }

  #takeCorrelationId(): number {
    const id = this.#nextCorrelationId;
    this.#nextCorrelationId = id === CORRELATION_ID_LAST ? 0 : id + 1;
    return id;
  }

  /** Corked, so that the pieces of a frame leave in one system call. */
  #write(frame: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of frame) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#splitter.push(chunk)) this.#onFrame(frame);
    } catch (error) {
      // What one frame was cannot be told, so nothing after it can be either.
      this.#end(new Fault('malformedResponse', { detail: `${this.#peer}, ${(error as Error).message}`, cause: error }));
    }
  }

  #onFrame(frame: Buffer): void {
    const waiting = this.#waiting.peek();
    if (waiting === undefined) {
      throw new Fault('malformedResponse', { detail: `${this.#peer} answered when nothing was asked` });
    }
    const { correlationId, message } = decodeResponse(waiting.api, waiting.version, frame);
    if (correlationId !== waiting.correlationId) {
      throw new Fault('malformedResponse', {
        detail: `${this.#peer} answered request ${correlationId} when ${waiting.correlationId} was due`,
      });
    }
    this.#waiting.shift();
    waiting.resolve(message as never);
  }

  #end(why: Error): void {
    if (this.#ended !== null) return;
    this.#ended = why;
    this.#socket.destroy();
    for (let waiting = this.#waiting.shift(); waiting !== undefined; waiting = this.#waiting.shift())
      waiting.reject(why);
    this.#resolveClosed(why);
  }
}
