import type { CancelTimer } from '../base/clock.ts';
import { Fault, faultFromKafka } from '../base/faults.ts';
import { type KafkaErrorName, kafkaErrors } from '../base/kafka-errors.ts';
import { type Uuid, ZERO_UUID } from '../base/random.ts';
import { batchesIn, nextOffset } from '../record/batch.ts';
import type { FetchAbortedTransaction, FetchPartitionData, FetchResponse } from '../wire/messages.generated.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { Cluster, Lane } from './cluster.ts';
import { type Cursor, isFetched } from './cursor.ts';
import { detailOf } from './fault-detail.ts';
import { FetchSession, type PartitionAsk, type SessionAsk } from './fetch-session.ts';
import type { Inbox } from './inbox.ts';
import { isolationLevel, listOffsets } from './list-offsets.ts';
import type { FetchSettings } from './reader-options.ts';

/** Whole batches of one partition, end to end. */
export interface Chunk {
  readonly cursor: Cursor;
  /** The cursor's when it was asked for. */
  readonly round: number;
  readonly bytes: Buffer;
  /** The offset that was asked for; the first batch may begin below it. */
  readonly fetchedFrom: number;
  readonly abortedTransactions: readonly FetchAbortedTransaction[];
  readonly highWatermark: number;
}

export interface FetcherSettings
  extends Pick<
    FetchSettings,
    | 'isolation'
    | 'onOutOfRange'
    | 'maxWaitMs'
    | 'minBytes'
    | 'fetchBytesMax'
    | 'partitionBytesMax'
    | 'retryTimeoutMs'
    | 'unknownTopicMs'
  > {
  /** Whether the inbox ends once all is fetched that the cursors reach to. */
  endsWhenFetched: boolean;
  /** Called after each round of fetches: what is known of the topics may have changed. */
  onRound?: () => void;
  /** Whether brokers should remember what they are asked for: worth the room it takes there when the fetching goes on for long. */
  usesSessions: boolean;
}

export interface FetcherParts {
  cluster: Cluster;
  lane: Lane;
  callTimeoutMs: number;
  requestTimeoutMs: number;
  retryBackoff: Backoff;
}

/** The last version that names topics; after it they go by id. */
const NAMES_VERSION_LAST = 12;
const SESSION_VERSION_FIRST = 7;
/** What to do where it is the broker's own files that fail. The first is cured by no repetition. */
const adviceAt: ReadonlyMap<number, string> = new Map([
  [
    kafkaErrors.CORRUPT_MESSAGE.code,
    'go on at a later offset, or let readers pass with millrace.rot=skip on the topic; `millrace log verify` tells all that is damaged',
  ],
  [kafkaErrors.KAFKA_STORAGE_ERROR.code, "the broker's log names the file"],
]);
/** The broker has given the session's room to another, or saw a request that this side does not know of: a new one is opened at once. */
const lostSession: ReadonlySet<KafkaErrorName> = new Set(['FETCH_SESSION_ID_NOT_FOUND', 'INVALID_FETCH_SESSION_EPOCH']);

/** Fetches partitions from their leaders, each leader in a loop of its own, and puts what comes into an inbox. */
export class Fetcher {
  #cursors: Cursor[];
  readonly #inbox: Inbox<Chunk>;
  readonly #settings: FetcherSettings;
  readonly #parts: FetcherParts;
  readonly #loops = new Set<number>();
  #cancelWake: CancelTimer | null = null;

  constructor(cursors: readonly Cursor[], inbox: Inbox<Chunk>, settings: FetcherSettings, parts: FetcherParts) {
    this.#cursors = [...cursors];
    this.#inbox = inbox;
    this.#settings = settings;
    this.#parts = parts;
  }

  add(cursors: readonly Cursor[]): void {
    this.#cursors.push(...cursors);
    this.assign();
  }

  remove(cursors: readonly Cursor[]): void {
    this.#cursors = this.#cursors.filter((cursor) => !cursors.includes(cursor));
  }

  /** Sees to it that each partition is fetched from its leader, as far as that is known now; ends the inbox when all is fetched. */
  assign(): void {
    if (this.#inbox.hasEnded) return;
    if (this.#settings.endsWhenFetched && this.#cursors.every(isFetched)) {
      this.#inbox.end();
      return;
    }
    const { clock } = this.#parts.cluster;
    const nowMs = clock.monotonicMs();
    let pausesUntilMs = Number.POSITIVE_INFINITY;
    for (const cursor of this.#cursors) {
      if (isFetched(cursor) || cursor.paused) continue;
      const leader = this.#leaderOf(cursor);
      if (cursor.retryAtMs > nowMs) pausesUntilMs = Math.min(pausesUntilMs, cursor.retryAtMs);
      else if (leader === null) this.#failed(cursor, this.#leaderless(cursor));
      else if (!this.#loops.has(leader)) {
        this.#loops.add(leader);
        void this.#loop(leader);
      }
    }
    this.#cancelWake?.();
    if (pausesUntilMs !== Number.POSITIVE_INFINITY) {
      this.#cancelWake = clock.after(pausesUntilMs - nowMs, () => this.assign());
    }
  }

  #leaderless(cursor: Cursor): Fault {
    return new Fault('brokerError', { detail: `${at(cursor)} has no leader`, kafka: 'LEADER_NOT_AVAILABLE' });
  }

  #leaderOf(cursor: Cursor): number | null {
    const leader = this.#parts.cluster.topic(cursor.topic)?.partitions[cursor.partition]?.leader ?? -1;
    return leader < 0 ? null : leader;
  }

  async #loop(leader: number): Promise<void> {
    const session = new FetchSession(this.#settings.usesSessions);
    try {
      while (!this.#inbox.hasEnded) {
        if (this.#fetchableAt(leader).length === 0) break;
        await this.#fetch(leader, session);
        this.#parts.cluster.refreshIfStale();
        this.#settings.onRound?.();
      }
    } catch (error) {
      this.#inbox.fail(error);
    } finally {
      this.#loops.delete(leader);
      this.assign();
    }
  }

  #fetchableAt(leader: number): Cursor[] {
    const nowMs = this.#parts.cluster.clock.monotonicMs();
    return this.#cursors.filter(
      (cursor) =>
        !(isFetched(cursor) || cursor.paused) && cursor.retryAtMs <= nowMs && this.#leaderOf(cursor) === leader,
    );
  }

  /** One round trip. @throws what no repetition cures. */
  async #fetch(leader: number, session: FetchSession): Promise<void> {
    const maxBytes = await this.#inbox.reserve(this.#settings.fetchBytesMax);
    if (maxBytes === false) return;
    // Not before: while it waited for room, partitions may have been taken away, moved or paused.
    const asked = this.#fetchableAt(leader).map((cursor) => ({ cursor, round: cursor.round }));
    let response: FetchResponse;
    try {
      if (asked.length === 0) return;
      response = await this.#request(leader, asked, session, maxBytes);
      const fault = faultFromKafka(response.errorCode, `fetch from broker ${leader}`);
      if (fault !== null) throw fault;
    } catch (error) {
      session.reset();
      if (this.#inbox.hasEnded) return;
      if (!(error instanceof Fault) || !error.retriable) throw error;
      if (lostSession.has(error.kafka)) return;
      for (const { cursor } of asked) if (this.#cursors.includes(cursor)) this.#failed(cursor, error);
      return;
    } finally {
      this.#inbox.unreserve(maxBytes);
    }
    session.answered(response.sessionId);
    await this.#accept(asked, response);
  }

  async #request(
    leader: number,
    asked: readonly Asked[],
    session: FetchSession,
    maxBytes: number,
  ): Promise<FetchResponse> {
    const { cluster, lane, requestTimeoutMs } = this.#parts;
    const { maxWaitMs, minBytes, isolation, partitionBytesMax: partitionMaxBytes } = this.#settings;
    // A lane that was closed must not be opened again.
    if (this.#inbox.hasEnded) throw new Fault('clientClosed');
    const connection = await cluster.connection(leader, lane);
    if (connection.versionOf('Fetch') < SESSION_VERSION_FIRST) session.disable();
    const { sessionId, sessionEpoch, asks, forgotten }: SessionAsk = session.ask(
      asked.map(({ cursor: { topic, partition, fetchNext } }) => ({
        topic,
        topicId: cluster.topic(topic)?.id ?? ZERO_UUID,
        partition,
        fetchOffset: fetchNext,
        partitionMaxBytes,
      })),
    );
    const hasIds = [...asks, ...forgotten].every(({ topicId }) => topicId !== ZERO_UUID);
    return connection.request(
      'Fetch',
      {
        maxWaitMs,
        minBytes,
        maxBytes,
        isolationLevel: isolationLevel(isolation),
        sessionId,
        sessionEpoch,
        topics: byTopicId(asks, (ask) => ask),
        forgottenTopicsData: byTopicId(forgotten, ({ partition }) => partition),
      },
      { versionMax: hasIds ? undefined : NAMES_VERSION_LAST, timeoutMs: requestTimeoutMs + maxWaitMs },
    );
  }

  async #accept(asked: readonly Asked[], response: FetchResponse): Promise<void> {
    const { cluster } = this.#parts;
    for (const { topic: name, topicId, partitions } of response.responses) {
      const isOfTopic = ({ topic }: Cursor): boolean =>
        topicId === ZERO_UUID ? topic === name : cluster.topic(topic)?.id === topicId;
      for (const answer of partitions) {
        const one = asked.find(({ cursor }) => cursor.partition === answer.partitionIndex && isOfTopic(cursor));
        if (one !== undefined && one.round === one.cursor.round) await this.#acceptOne(one.cursor, answer);
      }
    }
  }

  async #acceptOne(cursor: Cursor, answer: FetchPartitionData): Promise<void> {
    const place = `${at(cursor)}, offset ${cursor.fetchNext}`;
    const isDamaged = answer.errorCode === kafkaErrors.CORRUPT_MESSAGE.code;
    const advice = adviceAt.get(answer.errorCode);
    const fault = faultFromKafka(answer.errorCode, advice === undefined ? place : `${place}; ${advice}`);
    if (fault === null) this.#put(cursor, answer);
    else if (fault.kafka === 'OFFSET_OUT_OF_RANGE') await this.#resetOffset(cursor, fault);
    else if (fault.retriable && !isDamaged) this.#failed(cursor, fault);
    else throw fault;
  }

  #put(cursor: Cursor, answer: FetchPartitionData): void {
    const { highWatermark, lastStableOffset, records } = answer;
    cursor.failures = 0;
    cursor.failingSinceMs = null;
    const committed = this.#settings.isolation === 'committed' && lastStableOffset >= 0;
    cursor.availableNext = committed ? lastStableOffset : highWatermark;
    if (records === null || records.length === 0) return;
    const bytes = records.length === 1 ? records[0]! : Buffer.concat(records);
    const fetchedFrom = cursor.fetchNext;
    try {
      for (const at of batchesIn(bytes)) cursor.fetchNext = Math.max(cursor.fetchNext, nextOffset(bytes, at));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Fault(error.fault, {
        detail: `${at(cursor)}, offset ${cursor.fetchNext}: ${detailOf(error)}`,
        cause: error,
      });
    }
    if (cursor.fetchNext === fetchedFrom) return;
    const abortedTransactions = answer.abortedTransactions ?? [];
    this.#inbox.put(
      { cursor, round: cursor.round, bytes, fetchedFrom, abortedTransactions, highWatermark },
      bytes.length,
    );
    // Behind the others, so that each has its turn when an answer cannot hold data of all.
    const place = this.#cursors.indexOf(cursor);
    if (place >= 0) this.#cursors.push(...this.#cursors.splice(place, 1));
  }

  /** @throws Fault offsetOutOfRange, and those of finding the offset. */
  async #resetOffset(cursor: Cursor, fault: Fault): Promise<void> {
    const { isolation, onOutOfRange, unknownTopicMs: unknownMs } = this.#settings;
    const { topic, round } = cursor;
    if (onOutOfRange === 'error') throw fault;
    const search = { timeoutMs: this.#parts.callTimeoutMs, unknownMs, isolation };
    const found = await listOffsets(this.#parts.cluster, topic, new Map([[cursor.partition, onOutOfRange]]), search);
    if (cursor.round !== round) return;
    const offset = found.get(cursor.partition)?.offset ?? 0;
    this.#parts.cluster.logger.warn(
      { topic, partition: cursor.partition, from: cursor.fetchNext, to: offset },
      'the offset to read next is out of range and was reset',
    );
    cursor.fetchNext = offset;
  }

  /** Lets a partition pause, and gives up when it has failed for too long. */
  #failed(cursor: Cursor, fault: Fault): void {
    const { cluster, retryBackoff } = this.#parts;
    const nowMs = cluster.clock.monotonicMs();
    cursor.failures++;
    cursor.failingSinceMs ??= nowMs;
    if (nowMs - cursor.failingSinceMs >= this.#settings.retryTimeoutMs) {
      this.#inbox.fail(fault);
      return;
    }
    cursor.retryAtMs = nowMs + backoffMs(retryBackoff, cursor.failures, cluster.random);
    const facts = { topic: cursor.topic, partition: cursor.partition, failures: cursor.failures, err: fault };
    // Most failures pass in a moment; a bad place of a disk seldom does.
    if (fault.kafka === 'KAFKA_STORAGE_ERROR' && cursor.failures === 1) {
      cluster.logger.warn(facts, 'the disk of a broker fails a fetch, which is tried again');
    } else cluster.logger.debug(facts, 'a fetch is tried again');
    void cluster.refresh().then(() => this.assign());
  }
}

interface Asked {
  cursor: Cursor;
  round: number;
}

function at({ topic, partition }: Cursor): string {
  return `topic ${topic}, partition ${partition}`;
}

function byTopicId<T>(asks: readonly PartitionAsk[], partitionOf: (ask: PartitionAsk) => T): TopicAsks<T>[] {
  const topics = new Map<string, TopicAsks<T>>();
  for (const ask of asks) {
    const key = `${ask.topic}:${ask.topicId}`;
    let ofTopic = topics.get(key);
    if (ofTopic === undefined) topics.set(key, (ofTopic = { topic: ask.topic, topicId: ask.topicId, partitions: [] }));
    ofTopic.partitions.push(partitionOf(ask));
  }
  return [...topics.values()];
}

interface TopicAsks<T> {
  topic: string;
  topicId: Uuid;
  partitions: T[];
}
