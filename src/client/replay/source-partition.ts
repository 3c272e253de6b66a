import { Fault } from '../../base/faults.ts';
import {
  baseOffset,
  batchBytes,
  batchesIn,
  checkBatch,
  compressionOf,
  isControl,
  nextOffset,
} from '../../record/batch.ts';
import { type PackedRecord, packedRecordsOf, packedRecordsOfAsync } from '../../record/records.ts';
import { AbortedTransactions } from '../aborted-transactions.ts';
import type { Cluster } from '../cluster.ts';
import { type Cursor, cursorAt } from '../cursor.ts';
import { detailOf } from '../fault-detail.ts';
import { type Chunk, Fetcher, type FetcherParts } from '../fetcher.ts';
import { Inbox } from '../inbox.ts';
import type { Isolation } from '../list-offsets.ts';
import { readerSettings } from '../reader-options.ts';

/** A batch as a broker has it, checked, with something in the range that is read. */
export interface SourceBatch {
  readonly partition: number;
  readonly bytes: Buffer;
  readonly at: number;
  /** What of it lies in the range. */
  readonly startNext: number;
  readonly endNext: number;
}

/** Batches of one partition, one after another. */
export interface BatchSource {
  readonly partition: number;
  /** The next batch, the same until `take`; null at the end. */
  peek(): Promise<SourceBatch | null>;
  /** Passes over the batch that `peek` gave. */
  take(): void;
}

export interface SourceRange {
  readonly topic: string;
  readonly partition: number;
  readonly startNext: number;
  readonly endNext: number;
  readonly isolation: Isolation;
  /** Bytes fetched ahead, about. */
  readonly prefetchBytes: number;
}

/** What a replay needs of a client. */
export interface ReplaySide extends FetcherParts {
  readonly cluster: Cluster;
}

/** Above this, decompressing is worth the way to another thread and back. */
const SYNC_DECOMPRESSION_BYTES_MAX = 128 * 1024;

/** Reads a range of one partition batch by batch, for as long as it has not all of it. */
export class SourcePartition implements BatchSource {
  readonly partition: number;
  readonly #topic: string;
  readonly #cursor: Cursor;
  readonly #inbox: Inbox<Chunk>;
  readonly #batches: AsyncGenerator<SourceBatch, void, undefined>;
  #peeked: SourceBatch | null = null;

  /** Begins to fetch. */
  constructor(side: ReplaySide, range: SourceRange) {
    const { topic, partition, startNext, endNext, isolation, prefetchBytes } = range;
    this.partition = partition;
    this.#topic = topic;
    this.#cursor = cursorAt({ topic, partition }, startNext, Math.max(startNext, endNext));
    this.#inbox = new Inbox(prefetchBytes);
    const half = Math.max(1, prefetchBytes >> 1);
    const settings = readerSettings({
      topic,
      partitions: [partition],
      to: { offset: endNext },
      isolation,
      fetchBytesMax: half,
      partitionBytesMax: half,
      prefetchBytesMax: prefetchBytes,
    });
    this.#batches = this.#read();
    const fetching = { ...settings, endsWhenFetched: true, usesSessions: false };
    new Fetcher([this.#cursor], this.#inbox, fetching, side).assign();
  }

  /** @throws Fault offsetOutOfRange, corruptBatch and others. */
  async peek(): Promise<SourceBatch | null> {
    if (this.#peeked !== null) return this.#peeked;
    const { value, done } = await this.#batches.next();
    this.#peeked = done ? null : value;
    return this.#peeked;
  }

  take(): void {
    this.#peeked = null;
  }

  /** Ends the reading: what waits for a batch is rejected with the reason. */
  stop(reason: unknown): void {
    this.#inbox.clear();
    this.#inbox.fail(reason);
  }

  async *#read(): AsyncGenerator<SourceBatch, void, undefined> {
    for (let taken = await this.#inbox.take(); taken !== null; taken = await this.#inbox.take()) {
      yield* this.#batchesOf(taken.item);
      taken.done();
    }
  }

  *#batchesOf({ bytes, fetchedFrom, abortedTransactions }: Chunk): Generator<SourceBatch, void, undefined> {
    const { endNext } = this.#cursor;
    const aborted = new AbortedTransactions(abortedTransactions);
    for (const at of batchesIn(bytes)) {
      const fault = checkBatch(bytes, at, bytes.length);
      if (fault !== null) throw this.#placed(fault, baseOffset(bytes, at));
      if (aborted.hides(bytes, at) || isControl(bytes, at)) continue;
      if (nextOffset(bytes, at) <= fetchedFrom || baseOffset(bytes, at) >= endNext) continue;
      yield { partition: this.partition, bytes, at, startNext: fetchedFrom, endNext };
    }
  }

  #placed(fault: Fault, offset: number): Fault {
    const detail = `topic ${this.#topic}, partition ${this.partition}, offset ${offset}: ${detailOf(fault)}`;
    return new Fault(fault.fault, { detail, cause: fault });
  }
}

/** The records of the batch that lie in the range. */
export async function recordsIn({ bytes, at, startNext, endNext }: SourceBatch): Promise<PackedRecord[]> {
  const isSmall = batchBytes(bytes, at) <= SYNC_DECOMPRESSION_BYTES_MAX || compressionOf(bytes, at) === 'none';
  const all = isSmall ? packedRecordsOf(bytes, at) : await packedRecordsOfAsync(bytes, at);
  const records: PackedRecord[] = [];
  for (const record of all) {
    if (record.offset >= startNext && record.offset < endNext) records.push(record);
  }
  return records;
}
