import net from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import type { Broker } from '../broker/broker.ts';
import { AnswerBudget } from './answer-budget.ts';
import { ByteBudget } from './byte-budget.ts';
import { Connection, ELEMENT_BYTES, type ServerShare } from './connection.ts';
import type { Address } from './context.ts';
import { FetchSessions } from './fetch-sessions.ts';
import type { PeerSocket } from './peer-socket.ts';
import { ReadBuffer } from './read-buffer.ts';

/** How long a stop waits for what has begun. */
const GRACE_MS = 10_000;

export interface ListenAddress extends Address {
  /** Where clients of this listener are told to connect to; by default, where they connected. */
  readonly advertise?: Address | undefined;
  /** An address that the machine need not have (IPv6's loopback): it is passed over then. */
  readonly optional?: boolean;
}

/** Of the heap, what requests in work may take: one part in so many. */
const HEAP_SHARE = 4;

export interface Budgets {
  readonly requestBytes?: number;
  readonly decodedBytes?: number;
  readonly responseBytes?: number;
}

/** The doors of a broker: listens, and keeps the connections. */
export class Server {
  readonly #share: ServerShare;
  readonly #listeners: net.Server[] = [];
  readonly #connections = new Set<Connection>();
  readonly #readBuffer = new ReadBuffer();

  /** `budgets`: bytes that all connections together may hold, of requests, of what they are decoded to, and of answers. */
  constructor(broker: Broker, random: Random, budgets: Budgets = {}) {
    const {
      requestBytes = limits.totalBytesInFlightMax,
      decodedBytes = Math.floor(getHeapStatistics().heap_size_limit / HEAP_SHARE),
      responseBytes = limits.totalResponseBytesQueuedMax,
    } = budgets;
    this.#share = {
      broker,
      fetchSessions: new FetchSessions(random),
      requestBytes: new ByteBudget(requestBytes),
      decodedBytes: new ByteBudget(decodedBytes),
      requestElementsMax: Math.min(limits.requestElementsMax, Math.floor(decodedBytes / ELEMENT_BYTES)),
      responseBytes: new AnswerBudget(responseBytes),
    };
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Listens on one address; port 0 takes a free one. Resolves to what it listens on; null for an optional address that the
   * machine lacks. @throws Fault portInUse, addressUnavailable
   */
  async listen(address: ListenAddress): Promise<Address | null> {
    const { host, port, advertise, optional } = address;
    // Half open: a client that has said all it has to say is still answered.
    const options = { noDelay: true, keepAlive: true, allowHalfOpen: true, pauseOnConnect: true };
    const listener = net.createServer(options, (accepted) => {
      const { localAddress = '127.0.0.1', localPort = 0 } = accepted;
      this.accept(this.#readBuffer.serve(accepted), advertise ?? { host: plainAddress(localAddress), port: localPort });
    });
    try {
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen({ host, port, exclusive: true }, resolve);
      });
    } catch (error) {
      if (optional && (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return null;
      throw listenFault(error as NodeJS.ErrnoException, host, port);
    }
    listener.on('error', (err) => this.#share.broker.logger.error({ err, host, port }, 'a listener failed'));
    this.#listeners.push(listener);
    return { host, port: (listener.address() as net.AddressInfo).port };
  }

  /** Takes no more clients, answers what has begun (for 10 s at most), closes. */
  async close(): Promise<void> {
    const closed = this.#listeners.map((listener) => new Promise((resolve) => listener.close(resolve)));
    for (const connection of this.#connections) connection.end();
    const cancel = this.#share.broker.clock.after(GRACE_MS, () => {
      for (const connection of this.#connections) connection.destroy();
    });
    await Promise.all(closed);
    cancel();
  }

  /** Serves one client; `advertised` is where it is told to connect to. */
  accept(socket: PeerSocket, advertised: Address): void {
    const connectionsMax = Math.min(limits.connectionsMax, this.#share.broker.settings.number('max.connections'));
    if (this.#connections.size >= connectionsMax) {
      this.#share.broker.logger.warn(
        { connections: this.#connections.size },
        'a client was turned away: too many are connected',
      );
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#share, advertised);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}

/** An IPv4 client of an IPv6 listener is told the address in its own form. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function listenFault(error: NodeJS.ErrnoException, host: string, port: number): Fault {
  const facts = { detail: `${host}:${port}`, cause: error };
  if (error.code === 'EADDRINUSE') return new Fault('portInUse', facts);
  const why = error.syscall === 'getaddrinfo' ? 'no machine of this name is known' : (error.code ?? error.message);
  return new Fault('addressUnavailable', { ...facts, detail: `${host}:${port} (${why})` });
}
