import type { CancelTimer } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import type { Backoff } from './backoff.ts';
import type { Cluster } from './cluster.ts';
import {
  type ConsumerOptions,
  type ConsumerSettings,
  consumerSettings,
  type GroupOffset,
  type GroupProtocol,
} from './consumer-options.ts';
import type { Cursor } from './cursor.ts';
import { batchesOf, type DeliveryHooks, recordsOf } from './deliveries.ts';
import { type Chunk, Fetcher } from './fetcher.ts';
import { GroupCommitter } from './group-committer.ts';
import { GroupLink } from './group-link.ts';
import type { GroupMember } from './group-member.ts';
import type { NewOffset, PartitionOfTopic, PartitionOutcome } from './group-offsets.ts';
import { Inbox } from './inbox.ts';
import { joinGroup } from './join-group.ts';
import { Ownership } from './ownership.ts';
import type { ReadBatch, ReadRecord } from './read-record.ts';
import { within } from './timing.ts';
import { checkedOffset } from './whole-numbers.ts';

export interface ConsumerParts {
  cluster: Cluster;
  /** The consumer's own lanes begin so. */
  lane: string;
  callTimeoutMs: number;
  requestTimeoutMs: number;
  retryBackoff: Backoff;
  /** Called when the consumer was closed. */
  onClose: () => void;
}

const CLOSE_TIMEOUT_MS = 30_000;
const UNKNOWN_TOPIC_MS = 10_000;
/** Refusals of a commit that the heartbeats deal with. */
const membershipFaults: ReadonlySet<KafkaErrorName> = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'STALE_MEMBER_EPOCH',
  'FENCED_MEMBER_EPOCH',
  'REBALANCE_IN_PROGRESS',
]);

/**
 * A member of a consumer group: `for await (const record of consumer)`, or `batches()`. A record counts as handled when the next
 * one is asked for, so a crash repeats records, but skips none. Leaving the loop closes the consumer; what was in hand then is not
 * counted as handled, since an exception leaves the loop in the same way: `commit()` first if it was.
 */
export class Consumer<K = string, V = unknown> implements AsyncDisposable {
  readonly group: string;
  readonly #settings: ConsumerSettings<K, V>;
  readonly #parts: ConsumerParts;
  readonly #link: GroupLink;
  readonly #inbox: Inbox<Chunk>;
  readonly #fetcher: Fetcher;
  readonly #ownership: Ownership;
  readonly #committer: GroupCommitter;
  #member: GroupMember | null = null;
  readonly #settled: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void };
  #starting: Promise<void> | null = null;
  #cancelAutoCommit: CancelTimer | null = null;
  #iterated = false;
  #stopping = false;
  #closing: Promise<void> | null = null;

  /** Use the client's `consumer`. @throws Fault invalidArgument. */
  constructor(options: ConsumerOptions<K, V>, parts: ConsumerParts) {
    this.#settings = consumerSettings(options);
    this.#parts = parts;
    const { group, hooks, from, isolation, autoCommit, instanceId, signal, prefetchBytesMax } = this.#settings;
    this.group = group;
    this.#settled = Promise.withResolvers<void>();
    this.#settled.promise.catch(() => {});
    this.#link = new GroupLink(group, { ...parts, lane: parts.lane });
    this.#inbox = new Inbox(prefetchBytesMax);
    const fetching = {
      ...this.#settings,
      unknownTopicMs: UNKNOWN_TOPIC_MS,
      endsWhenFetched: false,
      usesSessions: true,
    };
    this.#fetcher = new Fetcher([], this.#inbox, fetching, { ...parts, lane: `${parts.lane} fetching` });
    this.#ownership = new Ownership({
      ...{ link: this.#link, fetcher: this.#fetcher, hooks, from, isolation, autoCommit },
      unknownTopicMs: UNKNOWN_TOPIC_MS,
      onSettled: this.#settled.resolve,
      commitHandled: (cursors, timeoutMs) => this.#commitHandled(cursors, timeoutMs),
    });
    this.#committer = new GroupCommitter({
      link: this.#link,
      instanceId,
      identity: () => this.#member?.identity ?? { memberId: '', generation: -1, isMovingOn: false },
      find: (partition) => this.#ownership.find(partition),
    });
    if (signal?.aborted) this.#inbox.fail(signal.reason);
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => this.#fail(this.#settings.signal?.reason);

  /** Ends the reading; what is looped over it is thrown to, and closes the consumer then. */
  #fail(error: unknown): void {
    this.#settled.reject(error);
    this.#inbox.clear();
    this.#inbox.fail(error);
    this.#member?.stop();
  }

  /** Ends the reading because the membership did; one whose place another instance has taken has lost its partitions before. */
  async #end(error: unknown): Promise<void> {
    if (!(error instanceof Fault) || error.kafka !== 'FENCED_INSTANCE_ID') return this.#fail(error);
    this.#member?.stop();
    await this.#ownership.lose(error).then(
      () => this.#fail(error),
      (thrown: unknown) => this.#fail(thrown),
    );
  }

  /**
   * Resolves when the group has given this member its first partitions, which may be none; iterating does so too.
   * @throws Fault what the group refuses the member with, connectionFailed and others.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#inbox.hasEnded) return;
    this.#run().catch((error: unknown) => this.#end(error));
    this.#planAutoCommit();
    await this.#settled.promise;
  }

  async #run(): Promise<void> {
    await joinGroup(this.#link, this.#ownership, this.#settings, (member) => {
      this.#member = member;
      if (this.#inbox.hasEnded) member.stop();
    });
  }

  /**
   * Batch by batch, which is faster than record by record; a batch counts as handled when the next one is asked for. A consumer is
   * looped over once.
   * @throws what start throws; Fault offsetOutOfRange, noCommittedOffset, corruptBatch, fencedInstance and others.
   */
  async *batches(): AsyncGenerator<ReadBatch<K, V>, void, undefined> {
    yield* batchesOf(await this.#startedInbox(), this.#settings, this.#hooks);
  }

  [Symbol.asyncIterator](): AsyncIterator<ReadRecord<K, V>, void, undefined> {
    let records: AsyncIterator<ReadRecord<K, V>, void, undefined> | null = null;
    let starting: Promise<void> | null = null;
    const start = async (): Promise<void> => {
      records = recordsOf(await this.#startedInbox(), this.#settings, this.#hooks);
    };
    return {
      // Callers may ask for several at once.
      next: () => (records === null ? (starting ??= start()).then(() => records!.next()) : records.next()),
      return: async () => {
        await (records?.return?.() ?? this.close());
        return { value: undefined, done: true };
      },
    };
  }

  async #startedInbox(): Promise<Inbox<Chunk>> {
    // Two would take turns at one partition, and the one would say that the other's record is handled.
    if (this.#iterated && this.#closing === null) {
      throw new Fault('invalidArgument', {
        detail: 'a consumer is looped over once; for work side by side there is worker()',
      });
    }
    this.#iterated = true;
    try {
      await this.start();
      return this.#inbox;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  readonly #hooks: DeliveryHooks = {
    isOver: () => {
      this.#settings.signal?.throwIfAborted();
      return this.#stopping || this.#closing !== null;
    },
    onGiven: (cursor) => this.#ownership.given(cursor),
    onAsked: () => this.#ownership.handled(),
    onLeft: () => this.close(),
  };

  // Committing

  /**
   * Commits, in the order of the calls, what was given out until now, also the record in hand; or the offsets named. One partition's
   * failure keeps no other's offset from being committed.
   * @throws Fault notAssigned for partitions that were given up or lost, commitFenced when the group went on without this member,
   * and what else the broker refuses the commit with.
   */
  async commit(offsets?: readonly NewOffset[]): Promise<void> {
    if (offsets !== undefined) {
      throwWorst(await this.commitEach(offsets));
    } else throwWorst(await this.#commitOffsets(this.#ownership.offsets(this.#ownership.cursors, true)));
  }

  /**
   * Commits the offsets named, and says of each partition how it went: notAssigned, unknownTopic where the topic was deleted, and what
   * else the broker refuses it with. @throws Fault commitFenced, and what is said against the member.
   */
  async commitEach(offsets: readonly NewOffset[]): Promise<readonly PartitionOutcome[]> {
    for (const { offset } of offsets) checkedOffset(offset);
    return this.#commitOffsets(offsets);
  }

  /** Never of a partition that is lost meanwhile: that would be refused, and it is another's. */
  async #commitHandled(cursors: Iterable<Cursor>, timeoutMs: number): Promise<void> {
    try {
      const news = this.#ownership.offsets(cursors, false).filter(({ offset, ...one }) => {
        const cursor = this.#ownership.find(one);
        return cursor !== undefined && offset > (this.#ownership.committedNext.get(cursor) ?? -1);
      });
      throwWorst(await this.#commitOffsets(news, timeoutMs));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const { logger } = this.#parts.cluster;
      logger.warn(
        { group: this.group, err: error },
        'what was handled could not be committed and may be handled again',
      );
      const isLet = error.retriable || membershipFaults.has(error.kafka) || error.fault === 'unknownTopic';
      if (!isLet) throw error;
    }
  }

  async #commitOffsets(offsets: readonly NewOffset[], timeoutMs?: number): Promise<readonly PartitionOutcome[]> {
    if (offsets.length === 0) return [];
    const cursors = offsets.map((one) => this.#ownership.find(one));
    const outcomes = await this.#committer.commit(offsets, timeoutMs);
    offsets.forEach(({ offset }, index) => {
      const cursor = cursors[index];
      if (cursor !== undefined && outcomes[index]!.fault === null) this.#ownership.committedNext.set(cursor, offset);
    });
    return outcomes;
  }

  #planAutoCommit(): void {
    const { autoCommit, autoCommitIntervalMs } = this.#settings;
    if (!autoCommit || this.#inbox.hasEnded) return;
    this.#cancelAutoCommit = this.#parts.cluster.clock.after(autoCommitIntervalMs, () => {
      this.#commitHandled(this.#ownership.cursors, autoCommitIntervalMs)
        .catch((error: unknown) => this.#end(error))
        .finally(() => this.#planAutoCommit());
    });
  }

  // Steering

  /** Gives out no more of these partitions (default: all assigned ones) until `resume`; the other ones go on. @throws Fault notAssigned. */
  pause(partitions: readonly PartitionOfTopic[] = this.assignment): void {
    for (const cursor of partitions.map((one) => this.#ownership.cursor(one))) cursor.paused = true;
  }

  /** @throws Fault notAssigned. */
  resume(partitions: readonly PartitionOfTopic[] = this.assignment): void {
    for (const cursor of partitions.map((one) => this.#ownership.cursor(one))) cursor.paused = false;
    this.#fetcher.assign();
  }

  /** Goes on from an offset; what was fetched ahead is dropped. @throws Fault notAssigned, invalidArgument. */
  seek(partition: PartitionOfTopic, offset: number): void {
    checkedOffset(offset);
    this.#ownership.seek(this.#ownership.cursor(partition), offset);
    this.#fetcher.assign();
  }

  /** The offset of the record to be given out next; null until it is known. @throws Fault notAssigned. */
  position(partition: PartitionOfTopic): number | null {
    const { positionNext } = this.#ownership.cursor(partition);
    return positionNext < 0 ? null : positionNext;
  }

  /**
   * How many offsets there are from the position to the end of the readable records, by the last answer; null before the first.
   * @throws Fault notAssigned.
   */
  lag(partition: PartitionOfTopic): number | null {
    const { availableNext, positionNext } = this.#ownership.cursor(partition);
    return availableNext === null || positionNext < 0 ? null : Math.max(0, availableNext - positionNext);
  }

  /** What the group has committed, as the broker says. Default: for the assigned partitions. @throws Fault. */
  async committed(partitions: readonly PartitionOfTopic[] = this.assignment): Promise<GroupOffset[]> {
    return partitions.length === 0 ? [] : this.#ownership.committed(partitions);
  }

  get assignment(): readonly PartitionOfTopic[] {
    return this.#ownership.owned;
  }

  /** Null until the group was asked to be joined. */
  get protocol(): GroupProtocol | null {
    return this.#member?.protocol ?? null;
  }

  /** Empty until the group was joined. */
  get memberId(): string {
    return this.#member?.identity.memberId ?? '';
  }

  /** The classic group's generation, or the member's epoch; -1 while not a member. */
  get generation(): number {
    return this.#member?.identity.generation ?? -1;
  }

  // Ending

  /** Ends loops once the record in hand is handled: they end as if all had been read, and close the consumer. */
  stop(): void {
    this.#stopping = true;
    this.#settled.resolve();
    this.#inbox.end();
    this.#inbox.clear();
  }

  /**
   * Gives partitions up with the hooks, commits what was handled, leaves the group (a static member only with `leave`) and ends
   * loops. The record in hand is not waited for; see `stop`. After `timeoutMs` (default 30,000) neither the broker nor a hook is.
   */
  close(options: { timeoutMs?: number; leave?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({
    timeoutMs = CLOSE_TIMEOUT_MS,
    leave = false,
  }: {
    timeoutMs?: number;
    leave?: boolean;
  }): Promise<void> {
    const { cluster, lane, onClose } = this.#parts;
    this.#settings.signal?.removeEventListener('abort', this.#onAbort);
    this.#cancelAutoCommit?.();
    this.#settled.resolve();
    this.#inbox.end();
    this.#inbox.clear();
    this.#ownership.abandon();
    this.#member?.stop();
    const late = new Fault('clientClosed', { detail: 'the consumer, before it had left its group' });
    try {
      const leaving = this.#leave(timeoutMs, leave);
      await within(cluster.clock, timeoutMs, leaving, () => late);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      cluster.logger.warn(
        { group: this.group, err: error },
        'the consumer was closed without leaving its group in order',
      );
    } finally {
      this.#link.close();
      cluster.closeLane(`${lane} fetching`);
      onClose();
    }
  }

  async #leave(timeoutMs: number, forGood: boolean): Promise<void> {
    const { clock } = this.#parts.cluster;
    // Of a broker that is gone nothing is waited for beyond this.
    const patienceMs = Math.max(1, timeoutMs / 2);
    try {
      await this.#ownership.revoke(this.#ownership.owned, patienceMs);
    } finally {
      await this.#sayLeave(clock.monotonicMs() + patienceMs, forGood);
    }
  }

  async #sayLeave(deadlineMs: number, forGood: boolean): Promise<void> {
    const { clock } = this.#parts.cluster;
    for (let failures = 1; this.#member !== null; failures++) {
      try {
        await this.#member.leave(forGood);
        return;
      } catch (error) {
        if (!(error instanceof Fault) || !error.retriable || clock.monotonicMs() >= deadlineMs) throw error;
        await this.#link.pause(failures);
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A deleted topic is the least of what can be said against a commit. @throws Fault */
function throwWorst(outcomes: readonly PartitionOutcome[]): void {
  const faults = outcomes.flatMap(({ fault }) => fault ?? []);
  const worst = faults.find(({ fault }) => fault !== 'unknownTopic') ?? faults[0];
  if (worst !== undefined) throw worst;
}
