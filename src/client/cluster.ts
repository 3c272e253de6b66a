import { type Clock, sleep } from '../base/clock.ts';
import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Random, Uuid } from '../base/random.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { Connection } from './connection.ts';
import { detailOf } from './fault-detail.ts';
import { Link, type LinkFacts } from './link.ts';
import { type BrokerMetadata, type ClusterMetadata, metadataOf, type TopicMetadata } from './metadata.ts';
import { within } from './timing.ts';
import type { Address } from './transport.ts';

export interface ClusterOptions extends LinkFacts {
  /** Where to ask first, and again when no known broker answers. */
  seeds: readonly Address[];
  /** Between attempts of a request. */
  retryBackoff: Backoff;
  /** After which what is known of topics is asked again, so that new partitions are found. */
  metadataMaxAgeMs: number;
}

/**
 * Requests of one lane share a connection to each broker. A Kafka broker works on one request of a connection at a time, so
 * what may wait long (a fetch for data, the making of a topic) has a lane of its own.
 */
export type Lane = string;

export interface TopicSearch {
  timeoutMs: number;
  /** How long brokers may say that there is no such topic before that is believed: one just made takes its time to be known. */
  unknownMs: number;
  /** Whether a broker that creates topics on demand should create it. */
  autoCreate: boolean;
}

/** The brokers, who leads which partition, and the connections to them. */
export class Cluster {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly #options: ClusterOptions;
  readonly #seeds: readonly Link[];
  readonly #links = new Map<Lane, Map<number, Link>>();
  #brokers: ReadonlyMap<number, BrokerMetadata> = new Map();
  #controllerId = -1;
  readonly #topics = new Map<string, TopicMetadata>();
  #refreshing: Promise<void> | null = null;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #lastFault: Error | null = null;
  #closed = false;

  constructor(options: ClusterOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
    this.#options = options;
    this.#seeds = options.seeds.map((seed) => new Link(`${seed.host}:${seed.port}`, () => seed, options));
  }

  get brokers(): ReadonlyMap<number, BrokerMetadata> {
    return this.#brokers;
  }

  /** The broker for requests that any of them takes; where there is a controller, that one. */
  get controllerId(): number {
    return this.#brokers.has(this.#controllerId) ? this.#controllerId : (this.#brokers.keys().next().value ?? -1);
  }

  /** What last went wrong in finding the brokers, if that has not succeeded since: the cause of many a timeout. */
  get lastFault(): Error | null {
    return this.#lastFault;
  }

  /** What was last heard of a topic that was looked for before. */
  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** @throws Fault connectionFailed, clientClosed. */
  connection(broker: number, lane: Lane): Promise<Connection> {
    return this.#link(broker, lane).connect();
  }

  /** Null when not connected now. */
  currentConnection(broker: number, lane: Lane): Connection | null {
    return this.#links.get(lane)?.get(broker)?.current ?? null;
  }

  /** Ends a lane's connections; the lane must not be used again. */
  closeLane(lane: Lane): void {
    for (const link of this.#links.get(lane)?.values() ?? []) link.close();
    this.#links.delete(lane);
  }

  close(): void {
    this.#closed = true;
    for (const seed of this.#seeds) seed.close();
    for (const lane of [...this.#links.keys()]) this.closeLane(lane);
  }

  #link(broker: number, lane: Lane): Link {
    if (this.#closed) throw new Fault('clientClosed');
    let links = this.#links.get(lane);
    if (links === undefined) this.#links.set(lane, (links = new Map()));
    let link = links.get(broker);
    if (link === undefined) {
      link = new Link(`broker ${broker}`, () => this.#addressOf(broker), this.#namingAddress(broker));
      links.set(broker, link);
    }
    return link;
  }

  #addressOf(broker: number): Address {
    const address = this.#brokers.get(broker);
    if (address !== undefined) return address;
    throw new Fault('connectionFailed', { detail: `broker ${broker} is not, or no longer, part of the cluster` });
  }

  /** A broker that was found but cannot be reached mostly advertises the wrong address, which its fault should say. */
  #namingAddress(broker: number): LinkFacts {
    const { connector } = this.#options;
    return {
      ...this.#options,
      connector: {
        connect: (address) =>
          connector.connect(address).catch((cause: unknown) => {
            if (!(cause instanceof Fault)) throw cause;
            const detail = `broker ${broker} advertises ${detailOf(cause)}`;
            throw new Fault('connectionFailed', { detail, cause });
          }),
      },
    };
  }

  /** Asks for topics once, of the first broker that can be reached; null asks for all. @throws Fault connectionFailed and others. */
  async askMetadata(topics: readonly string[] | null, autoCreate = false): Promise<ClusterMetadata> {
    const { connection, done } = await this.#anyConnection();
    try {
      const response = await connection.request('Metadata', {
        topics: topics === null ? null : topics.map((name) => ({ name })),
        allowAutoTopicCreation: autoCreate,
      });
      const fault = faultFromKafka(response.errorCode);
      if (fault !== null) throw fault;
      const metadata = metadataOf(response);
      if (metadata.brokers.size > 0) this.#brokers = metadata.brokers;
      this.#controllerId = metadata.controllerId;
      this.#lastFault = null;
      return metadata;
    } catch (error) {
      this.#lastFault = error as Error;
      throw error;
    } finally {
      done();
    }
  }

  /** The names of topics by their ids; those that the brokers do not know are left out. @throws Fault connectionFailed and others. */
  async topicNames(ids: readonly Uuid[]): Promise<Map<Uuid, string>> {
    const known = new Map([...this.#topics.values()].map(({ id, name }) => [id, name]));
    const names = new Map(ids.flatMap((id) => (known.has(id) ? [[id, known.get(id)!] as const] : [])));
    const missing = ids.filter((id) => !names.has(id));
    if (missing.length === 0) return names;
    const { connection, done } = await this.#anyConnection();
    try {
      const topics = missing.map((topicId) => ({ topicId, name: null }));
      const response = await connection.request('Metadata', { topics, allowAutoTopicCreation: false });
      for (const { topicId, name, errorCode } of response.topics) {
        if (errorCode === 0 && name !== null) names.set(topicId, name);
      }
      return names;
    } finally {
      done();
    }
  }

  /** A broker there is a connection to, else one that is known, else a seed; a seed's connection serves only this once. */
  async #anyConnection(): Promise<{ connection: Connection; done: () => void }> {
    const done = (): void => {};
    for (const link of this.#links.get('main')?.values() ?? []) {
      if (link.current !== null) return { connection: link.current, done };
    }
    const tried: string[] = [];
    const attempt = async (link: Link): Promise<Connection | null> => {
      try {
        return await link.connect();
      } catch (error) {
        if (this.#closed || !(error instanceof Fault)) throw error;
        tried.push(error.fault === 'connectionFailed' ? detailOf(error) : error.message);
        return null;
      }
    };
    for (const broker of shuffled(this.#brokers.keys(), this.random)) {
      const connection = await attempt(this.#link(broker, 'main'));
      if (connection !== null) return { connection, done };
    }
    for (const seed of shuffled(this.#seeds, this.random)) {
      const connection = await attempt(seed);
      if (connection !== null) return { connection, done: () => seed.disconnect() };
    }
    this.#lastFault = new Fault('connectionFailed', { detail: tried.join('; ') });
    throw this.#lastFault;
  }

  /**
   * A topic with its leaders.
   * @throws Fault unknownTopic, invalidTopicName, connectionFailed and others.
   */
  async findTopic(name: string, { timeoutMs, unknownMs, autoCreate }: TopicSearch): Promise<TopicMetadata> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    let unknownSinceMs: number | null = null;
    return this.retrying(`finding topic ${name}`, timeoutMs, async () => {
      const topic = (await this.askMetadata([name], autoCreate)).topics.get(name);
      if (topic !== undefined && !(topic instanceof Fault)) {
        this.#topics.set(name, topic);
        return topic;
      }
      if (topic !== undefined && topic.fault !== 'unknownPartition') throw topic;
      const nowMs = this.clock.monotonicMs();
      unknownSinceMs ??= nowMs;
      throw new Fault(nowMs - unknownSinceMs >= unknownMs ? 'unknownTopic' : 'unknownPartition', { detail: name });
    });
  }

  /**
   * Asks again for every topic that was looked for. Callers share one attempt at a time, and there is a pause between two.
   * Never rejects: who waits for a leader has a deadline of his own.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Starts a refresh when what is known is old. */
  refreshIfStale(): void {
    if (this.clock.monotonicMs() - this.#refreshedAtMs > this.#options.metadataMaxAgeMs) void this.refresh();
  }

  async #refresh(): Promise<void> {
    const pauseMs = this.#refreshedAtMs + this.#options.retryBackoff.firstMs - this.clock.monotonicMs();
    if (pauseMs > 0) await sleep(this.clock, pauseMs);
    try {
      if (!this.#closed) this.#learn(await this.askMetadata([...this.#topics.keys()]));
    } catch (error) {
      this.logger.debug({ err: error }, 'cannot refresh what is known of the cluster');
    }
    this.#refreshedAtMs = this.clock.monotonicMs();
  }

  #learn({ topics }: ClusterMetadata): void {
    for (const [name, topic] of topics) {
      // A retriable fault may be a broker's that has yet to hear of the topic: the old leaders are the better guess.
      if (!(topic instanceof Fault)) this.#topics.set(name, topic);
      else if (!topic.retriable) this.#topics.delete(name);
    }
  }

  /** Forgets a topic, so that the next search asks for it again. */
  forgetTopic(name: string): void {
    this.#topics.delete(name);
  }

  /**
   * Attempts until success, a fault that no repetition cures, or the end of the time; then the last fault is thrown. What is known
   * of the cluster is refreshed between attempts: another broker may have the say now.
   * @throws Fault requestTimedOut when the time ends within the first attempt, clientClosed, and those of the attempt.
   */
  async retrying<T>(what: string, timeoutMs: number, attempt: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const deadlineMs = this.clock.monotonicMs() + timeoutMs;
    const leftMs = (): number => Math.max(0, deadlineMs - this.clock.monotonicMs());
    let last: Error | null = null;
    const timedOut = (): Error =>
      last ?? new Fault('requestTimedOut', { detail: `${what}, within ${timeoutMs} ms`, cause: this.#lastFault });
    for (let failures = 1; ; failures++) {
      try {
        return await within(this.clock, leftMs(), attempt(), timedOut);
      } catch (error) {
        if (!(error instanceof Fault) || !error.retriable || this.#closed) throw error;
        last = error;
      }
      signal?.throwIfAborted();
      const pauseMs = backoffMs(this.#options.retryBackoff, failures, this.random);
      if (pauseMs >= leftMs()) throw last;
      this.logger.debug({ err: last, failures }, `${what} failed and is tried again`);
      await sleep(this.clock, pauseMs);
      await within(this.clock, leftMs(), this.refresh(), timedOut);
      signal?.throwIfAborted();
    }
  }
}

function shuffled<T>(items: Iterable<T>, random: Random): T[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}
