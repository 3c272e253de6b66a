import { Fault } from '../base/faults.ts';
import { type Cursor, cursorAt } from './cursor.ts';
import { batchesOf, type DeliveryHooks, recordsOf } from './deliveries.ts';
import { type Chunk, Fetcher, type FetcherParts } from './fetcher.ts';
import { Inbox } from './inbox.ts';
import type { ReadBatch, ReadRecord } from './read-record.ts';
import { type ReaderOptions, type ReaderSettings, readerSettings } from './reader-options.ts';
import { startCursors } from './reader-start.ts';

export interface ReaderParts extends FetcherParts {
  /** Called when the reader was closed. */
  onClose: () => void;
}

/**
 * Reads partitions of one topic, without a group and without committing: `for await (const record of reader)`, or `batches()`.
 * Records of one partition come in order. Leaving the loop closes the reader.
 */
export class Reader<K = string, V = unknown> implements AsyncDisposable {
  readonly #settings: ReaderSettings<K, V>;
  readonly #parts: ReaderParts;
  readonly #inbox: Inbox<Chunk>;
  readonly #cursors = new Map<number, Cursor>();
  #starting: Promise<void> | null = null;
  #closed = false;

  /** Use the client's `reader`. @throws Fault invalidArgument. */
  constructor(options: ReaderOptions<K, V>, parts: ReaderParts) {
    this.#settings = readerSettings(options);
    this.#parts = parts;
    this.#inbox = new Inbox(this.#settings.prefetchBytesMax);
    const { signal } = this.#settings;
    if (signal?.aborted) this.#inbox.fail(signal.reason);
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#inbox.clear();
    this.#inbox.fail(this.#settings.signal?.reason);
  };

  /**
   * Finds where to begin and begins to fetch; iterating does so too, this only says when it is done: with `from: 'latest'`, records
   * sent afterwards are read. @throws Fault unknownTopic, invalidArgument, connectionFailed and others.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#inbox.hasEnded) return;
    const { cluster, callTimeoutMs } = this.#parts;
    const cursors = await startCursors(cluster, this.#settings, callTimeoutMs);
    for (const cursor of cursors) this.#cursors.set(cursor.partition, cursor);
    const isEndless = this.#settings.to === undefined;
    const onRound = (): void => {
      if (isEndless && this.#settings.partitions === undefined) this.#addNewPartitions(fetcher);
    };
    const settings = { ...this.#settings, endsWhenFetched: true, usesSessions: isEndless, onRound };
    const fetcher = new Fetcher(cursors, this.#inbox, settings, this.#parts);
    fetcher.assign();
  }

  /** Partitions that the topic got after the start are read from their beginning: their records came after it, too. */
  #addNewPartitions(fetcher: Fetcher): void {
    const { topic } = this.#settings;
    const known = this.#parts.cluster.topic(topic)?.partitions.length ?? 0;
    const added: Cursor[] = [];
    for (let partition = this.#cursors.size; partition < known; partition += 1) {
      const cursor = cursorAt({ topic, partition }, 0, Number.POSITIVE_INFINITY);
      this.#cursors.set(partition, cursor);
      added.push(cursor);
    }
    if (added.length > 0) fetcher.add(added);
  }

  /**
   * Batch by batch, which is faster than record by record. Ends when all partitions are read up to `to`, or after close.
   * @throws Fault offsetOutOfRange, corruptBatch with the place, what start throws, and what no repetition cured in retryTimeoutMs.
   */
  async *batches(): AsyncGenerator<ReadBatch<K, V>, void, undefined> {
    yield* batchesOf(await this.#startedInbox(), this.#settings, this.#hooks);
  }

  [Symbol.asyncIterator](): AsyncIterator<ReadRecord<K, V>, void, undefined> {
    let records: AsyncIterator<ReadRecord<K, V>, void, undefined> | null = null;
    const started = async (): Promise<AsyncIterator<ReadRecord<K, V>, void, undefined>> => {
      const inbox = await this.#startedInbox();
      records ??= recordsOf(inbox, this.#settings, this.#hooks);
      return records;
    };
    return {
      next: () => (records === null ? started().then((iterator) => iterator.next()) : records.next()),
      return: async () => {
        await (records?.return?.() ?? this.close());
        return { value: undefined, done: true };
      },
    };
  }

  async #startedInbox(): Promise<Inbox<Chunk>> {
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
      if (this.#closed) return true;
      this.#settings.signal?.throwIfAborted();
      return false;
    },
    onLeft: () => this.close(),
  };

  /** The partitions that are read, once started. */
  get partitions(): number[] {
    return [...this.#cursors.keys()];
  }

  /** The offset of a partition's record to be given out next. @throws Fault invalidArgument before the start and for partitions not read. */
  position(partition: number): number {
    return this.#cursor(partition).positionNext;
  }

  /** How many offsets there are from a partition's position to the end of its readable records, by the last answer; null before the first. */
  lag(partition: number): number | null {
    const { availableNext, positionNext } = this.#cursor(partition);
    return availableNext === null ? null : Math.max(0, availableNext - positionNext);
  }

  #cursor(partition: number): Cursor {
    const cursor = this.#cursors.get(partition);
    if (cursor !== undefined) return cursor;
    throw new Fault('invalidArgument', {
      detail: `partition ${partition} is not read, or the reader was not started yet`,
    });
  }

  /** Stops fetching; loops over the reader end. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#settings.signal?.removeEventListener('abort', this.#onAbort);
    this.#inbox.end();
    this.#inbox.clear();
    this.#parts.cluster.closeLane(this.#parts.lane);
    this.#parts.onClose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
