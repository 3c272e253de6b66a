import { type Clock, systemClock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { OWN_CLIENT_NAME } from '../wire/own-apis.ts';
import { Admin } from './admin.ts';
import type { Backoff } from './backoff.ts';
import { Cluster } from './cluster.ts';
import { bytes } from './codecs.ts';
import { Consumer } from './consumer.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { Producer } from './producer.ts';
import type { ProducerOptions } from './producer-options.ts';
import { Reader } from './reader.ts';
import type { ReaderOptions } from './reader-options.ts';
import type { ReplayClient, ReplayClients } from './replay/preparation.ts';
import type { ReplayOptions, ReplayPlan, ReplayResult } from './replay/replay-options.ts';
import { tcpConnector } from './tcp-transport.ts';
import type { Address, Connector } from './transport.ts';
import { packageVersion } from './version.ts';
import { Worker } from './worker/worker.ts';
import type { Handler, WorkerOptions } from './worker/worker-options.ts';

export interface ClientOptions {
  /** How the client is called in the broker's logs and quotas. Default `millrace`. */
  clientId?: string;
  /** Default: silent. */
  logger?: Logger;
  /** How long one connection may take to come about. Default 10,000. */
  connectTimeoutMs?: number;
  /** How long the answer to one attempt of a request may take. Default 30,000. */
  requestTimeoutMs?: number;
  /** How long a call of `admin`, and the start of a reader, may take with all its attempts. Default 60,000. */
  callTimeoutMs?: number;
  /** Between attempts to connect to a broker. Default from 50 ms up to 1 s. */
  reconnectBackoff?: Backoff;
  /** Between attempts of a request. Default from 100 ms up to 1 s. */
  retryBackoff?: Backoff;
  /** After which topics are looked at again for new partitions. Default 300,000. */
  metadataMaxAgeMs?: number;
  /** Default the system's. */
  clock?: Clock;
  /** Default the system's. */
  random?: Random;
}

/** What a client is made of besides its options. */
export interface ClientParts {
  connector: Connector;
  /** Where to ask first. */
  seeds: readonly Address[];
  /** Called once, after the client was closed. */
  onClosed?: () => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 60_000;
const RETRY_BACKOFF: Backoff = { firstMs: 100, maxMs: 1000 };
const RECONNECT_BACKOFF: Backoff = { firstMs: 50, maxMs: 1000 };
const METADATA_MAX_AGE_MS = 300_000;
const DEFAULT_PORT = 9092;
/** Some time that no timer reaches. */
const HOLD_INTERVAL_MS = 0x7fffffff;

interface Closable {
  close(options?: { timeoutMs?: number }): Promise<void>;
}

/** A client of one broker or cluster: where producers, readers, consumers and the admin come from. */
export class Millrace implements AsyncDisposable {
  readonly admin: Admin;
  readonly #cluster: Cluster;
  readonly #requestTimeoutMs: number;
  readonly #callTimeoutMs: number;
  readonly #retryBackoff: Backoff;
  readonly #onClosed: () => Promise<void>;
  readonly #open = new Set<Closable>();
  /** Timers of a Clock do not keep a process alive, but a client that waits to try again must, as an open socket would. */
  readonly #hold = setInterval(() => {}, HOLD_INTERVAL_MS);
  /** How many have been given a lane of their own. */
  #lanes = 0;
  #closing: Promise<void> | null = null;

  /** Use `connect`, which also finds the brokers. */
  constructor({ connector, seeds, onClosed = async () => {} }: ClientParts, options: ClientOptions = {}) {
    this.#requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS;
    this.#retryBackoff = options.retryBackoff ?? RETRY_BACKOFF;
    this.#onClosed = onClosed;
    this.#cluster = new Cluster({
      connector,
      seeds,
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
      logger: options.logger ?? silentLogger,
      requestTimeoutMs: this.#requestTimeoutMs,
      backoff: options.reconnectBackoff ?? RECONNECT_BACKOFF,
      retryBackoff: this.#retryBackoff,
      metadataMaxAgeMs: options.metadataMaxAgeMs ?? METADATA_MAX_AGE_MS,
      software: { name: OWN_CLIENT_NAME, version: packageVersion },
    });
    this.admin = new Admin(this.#cluster, this.#callTimeoutMs);
  }

  /**
   * Connects to a Millrace server or an Apache Kafka cluster by the addresses of one or more of its brokers: `host:port`, several
   * in a list or between commas, IPv6 in brackets; the port is 9092 unless given.
   * @throws Fault connectionFailed when none of them answers within connectTimeoutMs, invalidArgument.
   */
  static async connect<C extends Millrace>(
    this: new (
      parts: ClientParts,
      options: ClientOptions,
    ) => C,
    bootstrap: string | readonly string[],
    options: ClientOptions = {},
  ): Promise<C> {
    const { clientId = OWN_CLIENT_NAME, clock = systemClock, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    const seeds = (typeof bootstrap === 'string' ? bootstrap.split(',') : bootstrap).map(addressOf);
    if (seeds.length === 0) throw new Fault('invalidArgument', { detail: 'name at least one address, host:port' });
    const client = new this({ connector: tcpConnector({ clientId, clock, connectTimeoutMs }), seeds }, options);
    try {
      await client.#cluster.retrying('connecting', connectTimeoutMs, () => client.#cluster.askMetadata([]));
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** @throws Fault invalidArgument. */
  producer<K = string, V = unknown>(options: ProducerOptions<K, V> = {}): Producer<K, V> {
    this.#checkOpen();
    const producer: Producer<K, V> = this.#producer(options, () => this.#open.delete(producer));
    this.#open.add(producer);
    return producer;
  }

  #producer<K, V>(options: ProducerOptions<K, V>, onClose: () => void): Producer<K, V> {
    return new Producer(options, {
      cluster: this.#cluster,
      requestTimeoutMs: this.#requestTimeoutMs,
      retryBackoff: this.#retryBackoff,
      onClose,
    });
  }

  /** @throws Fault invalidArgument. */
  reader<K = string, V = unknown>(options: ReaderOptions<K, V>): Reader<K, V> {
    this.#checkOpen();
    this.#lanes++;
    const reader: Reader<K, V> = new Reader(options, {
      cluster: this.#cluster,
      lane: `reader ${this.#lanes}`,
      callTimeoutMs: this.#callTimeoutMs,
      requestTimeoutMs: this.#requestTimeoutMs,
      retryBackoff: this.#retryBackoff,
      onClose: () => this.#open.delete(reader),
    });
    this.#open.add(reader);
    return reader;
  }

  /** @throws Fault invalidArgument. */
  consumer<K = string, V = unknown>(options: ConsumerOptions<K, V>): Consumer<K, V> {
    this.#checkOpen();
    const consumer: Consumer<K, V> = this.#consumer(options, () => this.#open.delete(consumer));
    this.#open.add(consumer);
    return consumer;
  }

  #consumer<K, V>(options: ConsumerOptions<K, V>, onClose: () => void): Consumer<K, V> {
    this.#lanes++;
    return new Consumer(options, {
      cluster: this.#cluster,
      lane: `consumer ${this.#lanes}`,
      callTimeoutMs: this.#callTimeoutMs,
      requestTimeoutMs: this.#requestTimeoutMs,
      retryBackoff: this.#retryBackoff,
      onClose,
    });
  }

  /**
   * Replays a range of a topic's records to another topic, here or at another broker, or to a handler; resolves when all are
   * stored or handled. With a checkpoint, a call with the same options goes on where the last one ended, however it ended: a topic
   * gets each record once, a handler at least once.
   * @throws Fault unknownTopic, replayIntoItself, replayRangeLost, replayDiverged, replayCheckpointMismatch, damagedCheckpoint,
   * invalidArgument and others; what the handler throws; the signal's reason.
   */
  async replay<K = Buffer, V = Buffer>(options: ReplayOptions<K, V>): Promise<ReplayResult> {
    const { replay } = await import('./replay/replay.ts');
    return this.#replaying(options, (clients) => replay(options, clients));
  }

  /** What `replay` would do with the same options. @throws as replay. */
  async planReplay<K = Buffer, V = Buffer>(options: ReplayOptions<K, V>): Promise<ReplayPlan> {
    const { planReplay } = await import('./replay/replay.ts');
    return this.#replaying(options, (clients) => planReplay(options, clients));
  }

  async #replaying<K, V, R>({ target }: ReplayOptions<K, V>, use: (clients: ReplayClients) => Promise<R>): Promise<R> {
    this.#checkOpen();
    const other: Millrace = (typeof target === 'function' ? null : target.client) ?? this;
    const clients = { source: this.#replayClient('source'), target: other.#replayClient('target') };
    try {
      return await use(clients);
    } finally {
      for (const { side } of Object.values(clients)) side.cluster.closeLane(side.lane);
    }
  }

  #replayClient(end: string): ReplayClient {
    this.#lanes++;
    const side = {
      cluster: this.#cluster,
      lane: `replay ${this.#lanes} ${end}`,
      callTimeoutMs: this.#callTimeoutMs,
      requestTimeoutMs: this.#requestTimeoutMs,
      retryBackoff: this.#retryBackoff,
    };
    return { side, admin: this.admin };
  }

  /**
   * Works the records of topics as a member of a group: many at a time, those of a key one after another, each until its handler
   * has ended well. It begins at once. @throws Fault invalidArgument.
   */
  worker<K = string, V = unknown>(
    topics: string | readonly string[],
    options: WorkerOptions<K, V>,
    handler: Handler<K, V>,
  ): Worker<K, V> {
    this.#checkOpen();
    const { clock, random, logger } = this.#cluster;
    const worker: Worker<K, V> = new Worker(topics, options, handler, {
      clock,
      random,
      logger,
      admin: this.admin,
      consumer: (given) => this.#consumer(given, () => {}),
      producer: () => this.#producer({ key: bytes, value: bytes }, () => {}),
      onClose: () => this.#open.delete(worker),
    });
    this.#open.add(worker);
    return worker;
  }

  /**
   * Drains workers, ends readers and consumers, lets producers deliver what was sent (for `timeoutMs` at most, then their records
   * are rejected), and ends all connections. Calling it again returns the same.
   */
  close(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: { timeoutMs?: number }): Promise<void> {
    try {
      // Their handlers may need the others until they end.
      const workers = [...this.#open].filter((one) => one instanceof Worker);
      await Promise.all(workers.map((one) => one.close(options)));
      await Promise.all([...this.#open].map((one) => one.close(options)));
    } finally {
      this.#cluster.close();
      clearInterval(this.#hold);
      await this.#onClosed();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Fault('clientClosed');
  }
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`. @throws Fault invalidArgument. */
function addressOf(text: string): Address {
  const found = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = found?.[1] ?? found?.[2];
  const port = found?.[3] === undefined ? DEFAULT_PORT : Number(found[3]);
  if (host !== undefined && port > 0 && port < 65536) return { host, port };
  throw new Fault('invalidArgument', { detail: `an address is host:port, not "${text}"` });
}
