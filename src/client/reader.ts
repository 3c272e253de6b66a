import { Fault } from '../base/faults.ts';
import { decodeChunk } from './chunk-decoder.ts';
import type { Cursor } from './cursor.ts';
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
    new Fetcher(cursors, this.#inbox, this.#settings, this.#parts).assign();
  }

  /**
   * Batch by batch, which is faster than record by record. Ends when all partitions are read up to `to`, or after close.
   * @throws Fault offsetOutOfRange, corruptBatch with the place, what start throws, and what no repetition cured in retryTimeoutMs.
   */
  async *batches(): AsyncGenerator<ReadBatch<K, V>, void, undefined> {
    try {
      await this.start();
      for (let taken = await this.#inbox.take(); taken !== null; taken = await this.#inbox.take()) {
        yield* this.#batchesOf(taken.item);
        taken.done();
      }
    } finally {
      await this.close();
    }
  }

  async *#batchesOf(chunk: Chunk): AsyncGenerator<ReadBatch<K, V>, void, undefined> {
    const { cursor } = chunk;
    const { topic, key, value } = this.#settings;
    for await (const { batch, nextOffset } of decodeChunk(chunk, { topic, partition: cursor.partition, key, value })) {
      if (this.#closed) return;
      this.#settings.signal?.throwIfAborted();
      if (batch !== null) yield batch;
      cursor.positionNext = nextOffset;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<ReadRecord<K, V>, void, undefined> {
    const batches = this.batches();
    let records: readonly ReadRecord<K, V>[] = [];
    let index = 0;
    let pulling: Promise<void> | null = null;
    const pull = async (): Promise<void> => {
      const result = await batches.next();
      records = result.done ? [] : result.value.records;
      index = 0;
    };
    const end: IteratorReturnResult<void> = { value: undefined, done: true };
    return {
      next: async () => {
        // Callers may ask for several at once.
        while (index >= records.length || this.#isCancelled) {
          pulling ??= pull().finally(() => {
            pulling = null;
          });
          await pulling;
          if (records.length === 0) return end;
        }
        const record = records[index++]!;
        const cursor = this.#cursors.get(record.partition);
        if (cursor !== undefined) cursor.positionNext = record.offset + 1;
        return { value: record, done: false };
      },
      return: async () => {
        // First, so that a call of next that waits for records ends too.
        await this.close();
        await batches.return();
        return end;
      },
    };
  }

  /** Whether what is at hand is not to be given out any more. */
  get #isCancelled(): boolean {
    return this.#closed || (this.#settings.signal?.aborted ?? false);
  }

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
