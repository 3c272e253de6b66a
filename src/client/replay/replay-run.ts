import { type Clock, sleep } from '../../base/clock.ts';
import { batchBytes, compressionOf, nextOffset, recordCount } from '../../record/batch.ts';
import type { Compression } from '../../record/compression.ts';
import { type PackedRecord, unpack } from '../../record/records.ts';
import { ReadRecord } from '../read-record.ts';
import { within } from '../timing.ts';
import type { ReplayState } from './checkpoint.ts';
import { filterOf } from './filter.ts';
import { atRate, atRecordedPace, type Pacer } from './pacer.ts';
import type { Prepared, ReplayClients } from './preparation.ts';
import {
  CHECKPOINT_INTERVAL_MS,
  codecsOf,
  type ReplayHandler,
  type ReplayOptions,
  type ReplayProgress,
  type ReplayResult,
} from './replay-options.ts';
import { ByTimestamps, ByTurns, type Portion, type SourceOrder } from './source-order.ts';
import { type SourceBatch, SourcePartition } from './source-partition.ts';
import { TargetTopic } from './target-topic.ts';

/** Fetched ahead, of all partitions together. */
const PREFETCH_BYTES = 64 * 1024 * 1024;
const PARTITION_PREFETCH_BYTES_MIN = 128 * 1024;
const PARTITION_PREFETCH_BYTES_MAX = 16 * 1024 * 1024;
const PROGRESS_INTERVAL_MS = 200;
/** What was fetched ahead is worked off without a pause; so long at most, that others in the process have their turn. */
const YIELD_INTERVAL_MS = 20;
/** How long what was sent may take to be stored once the replay was told to end. */
const ENDING_MS_MAX = 10_000;

/** One run of a replay from a state to the end of its range. */
export class ReplayRun<K, V> {
  readonly #options: ReplayOptions<K, V>;
  readonly #prepared: Prepared;
  readonly #clients: ReplayClients;
  readonly #clock: Clock;
  /** What the checkpoint says. */
  safe: ReplayState;
  readonly #next = new Map<number, number>();
  #records: number;
  #bytes: number;
  #filtered: number;
  #target: TargetTopic | null = null;
  #sources: SourcePartition[] = [];
  #order: SourceOrder | null = null;
  readonly #accepts: ((record: ReadRecord<K, V>) => boolean) | null;
  #pacer: Pacer | null = null;
  #marking: Promise<void> | null = null;
  #markingFailure: { error: unknown } | null = null;
  #markedAtMs: number;
  #yieldedAtMs = 0;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #wakePacer: () => void = () => {};

  constructor(options: ReplayOptions<K, V>, prepared: Prepared, clients: ReplayClients) {
    this.#options = options;
    this.#prepared = prepared;
    this.#clients = clients;
    this.#clock = clients.source.side.cluster.clock;
    const { state } = prepared;
    this.safe = state;
    for (const { partition, next } of state.source) this.#next.set(partition, next);
    this.#records = state.records;
    this.#bytes = state.bytes;
    this.#filtered = state.filtered;
    const { filter } = options;
    this.#accepts = filter === undefined ? null : typeof filter === 'function' ? filter : filterOf(filter);
    this.#markedAtMs = this.#clock.monotonicMs();
  }

  /** @throws the signal's reason, what the handler threw, Fault replayDiverged and others; what is safe by then stands in `safe`. */
  async run(): Promise<ReplayResult> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#interrupt(signal?.reason);
    try {
      signal?.throwIfAborted();
      await this.#open();
      signal?.addEventListener('abort', onAbort, { once: true });
      signal?.throwIfAborted();
      await this.#work();
      await this.#finish();
      this.#show();
      return this.#result();
    } catch (error) {
      await this.#saveWhatIsSafe(error);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      for (const source of this.#sources) source.stop(new Error('the replay has ended'));
      this.#target?.stop();
    }
  }

  async #open(): Promise<void> {
    const { target, state } = this.#prepared;
    const { topic, isolation = 'committed', pace, recordsPerSecond } = this.#options;
    if (target !== null) {
      const { client, facts, route, compression } = target;
      this.#target = await TargetTopic.resume(client.side, client.admin, facts, state.target!, { route, compression });
    }
    const open = state.source.filter(({ next, endNext }) => next < endNext);
    const share = Math.floor(PREFETCH_BYTES / Math.max(1, open.length));
    const prefetchBytes = Math.min(PARTITION_PREFETCH_BYTES_MAX, Math.max(PARTITION_PREFETCH_BYTES_MIN, share));
    this.#sources = open.map(({ partition, next: startNext, endNext }) => {
      const range = { topic, partition, startNext, endNext, isolation, prefetchBytes };
      return new SourcePartition(this.#clients.source.side, range);
    });
    this.#order = pace === undefined ? new ByTurns(this.#sources, state.turn) : new ByTimestamps(this.#sources);
    if (pace !== undefined) this.#pacer = atRecordedPace(this.#clock, pace);
    else if (recordsPerSecond !== undefined) this.#pacer = atRate(this.#clock, recordsPerSecond);
  }

  async #work(): Promise<void> {
    if (this.#isFull) return;
    for await (const portion of this.#order!.portions()) {
      if (!(await this.#passBatch(portion))) await this.#takeRecords(portion);
      if (portion.batch !== null && !this.#isFull) this.#passed(portion.batch);
      if (this.#isFull) return;
      await this.#between();
    }
    for (const { partition, endNext } of this.#prepared.state.source) this.#next.set(partition, endNext);
  }

  get #isFull(): boolean {
    return this.#records >= (this.#options.limit ?? Number.POSITIVE_INFINITY);
  }

  #passed({ partition, bytes, at, endNext }: SourceBatch): void {
    this.#next.set(partition, Math.min(endNext, nextOffset(bytes, at)));
  }

  /** Hands on a whole batch where nothing looks into it. */
  async #passBatch({ batch }: Portion): Promise<boolean> {
    const { limit = Number.POSITIVE_INFINITY } = this.#options;
    if (batch === null || this.#target === null || this.#accepts !== null || this.#pacer !== null) return false;
    const count = recordCount(batch.bytes, batch.at);
    if (this.#records + count > limit || !(await this.#target.tryAddBatch(batch))) return false;
    this.#records += count;
    this.#bytes += batchBytes(batch.bytes, batch.at);
    return true;
  }

  async #takeRecords({ partition, batch, records }: Portion): Promise<void> {
    const compression = batch === null ? 'none' : compressionOf(batch.bytes, batch.at);
    const source = { topic: this.#options.topic, partition, ...codecsOf(this.#options) };
    for (const packed of await records()) {
      const record = this.#accepts === null ? null : new ReadRecord(unpack(packed), source);
      if (record !== null && !this.#accepts!(record)) this.#filtered++;
      else {
        const delayMs = this.#pacer?.delayMs(packed.timestampMs) ?? 0;
        if (delayMs > 0) await this.#pause(delayMs);
        this.#options.signal?.throwIfAborted();
        const taken = this.#take(packed, partition, compression, record);
        if (taken instanceof Promise) await taken;
        this.#records++;
        this.#bytes += packed.content.length;
      }
      this.#next.set(partition, packed.offset + 1);
      if (this.#isFull) return;
      if (this.#pacer !== null) await this.#between();
      else if (this.#target?.hasRoom === false) await this.#waitForRoom();
    }
  }

  #take(packed: PackedRecord, partition: number, compression: Compression, record: ReadRecord<K, V> | null): unknown {
    if (this.#target !== null) return this.#target.add(partition, packed, compression);
    const source = { topic: this.#options.topic, partition, ...codecsOf(this.#options) };
    const handler = this.#options.target as ReplayHandler<K, V>;
    return handler(record ?? new ReadRecord(unpack(packed), source));
  }

  /** Before a pause all goes out, so that it arrives at its pace. */
  async #pause(delayMs: number): Promise<void> {
    await this.#target?.seal();
    this.#show();
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(delayMs, resolve);
      this.#wakePacer = () => {
        cancel();
        resolve();
      };
    });
  }

  async #waitForRoom(): Promise<void> {
    while (this.#target?.hasRoom === false) {
      await this.#target.whenRoom();
      this.#options.signal?.throwIfAborted();
    }
  }

  async #between(): Promise<void> {
    await this.#waitForRoom();
    this.#options.signal?.throwIfAborted();
    if (this.#markingFailure !== null) throw this.#markingFailure.error;
    if (this.#clock.monotonicMs() - this.#yieldedAtMs >= YIELD_INTERVAL_MS) {
      await sleep(this.#clock, 0);
      this.#yieldedAtMs = this.#clock.monotonicMs();
    }
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#shownAtMs >= PROGRESS_INTERVAL_MS) this.#show();
    const { checkpointIntervalMs = CHECKPOINT_INTERVAL_MS } = this.#options;
    if (this.#marking !== null || nowMs - this.#markedAtMs < checkpointIntervalMs) return;
    this.#markedAtMs = nowMs;
    await this.#target?.seal();
    this.#marking = this.#save(false)
      .catch((error: unknown) => {
        this.#markingFailure = { error };
      })
      .finally(() => {
        this.#marking = null;
      });
  }

  /** Of what was taken, which is to be sealed: once it is stored. */
  async #save(done: boolean): Promise<void> {
    const marked = this.#target?.mark();
    const state = this.#state(done, marked?.state ?? null);
    await marked?.whenStored;
    await this.#options.checkpoint?.save(JSON.stringify(state));
    this.safe = state;
  }

  #state(done: boolean, target: ReplayState['target']): ReplayState {
    const { state } = this.#prepared;
    return {
      ...state,
      source: state.source.map((one) => ({ ...one, next: this.#next.get(one.partition)! })),
      turn: this.#order!.turn,
      records: this.#records,
      bytes: this.#bytes,
      filtered: this.#filtered,
      target,
      done,
    };
  }

  async #finish(): Promise<void> {
    this.#target?.checkFound();
    await this.#target?.seal();
    await this.#marking;
    await this.#save(true);
  }

  /**
   * When the replay was told to end, or a handler failed: what was taken before is waited for, for a while, and then the checkpoint
   * says so. After any other failure the last checkpoint stands, and the next run finds what it does not tell of.
   */
  async #saveWhatIsSafe(cause: unknown): Promise<void> {
    const { signal } = this.#options;
    const isOrderly = (signal?.aborted && cause === signal.reason) || this.#target === null;
    if (this.#order === null || this.#markingFailure !== null || !isOrderly) return;
    try {
      await within(this.#clock, ENDING_MS_MAX, this.#sealAndSave(), () => new Error('not stored in time'));
    } catch (error) {
      // As after any other failure.
      const { logger } = this.#clients.source.side.cluster;
      logger.debug({ err: error, cause }, 'a replay that ends could not write its checkpoint');
    }
  }

  async #sealAndSave(): Promise<void> {
    await this.#target?.seal();
    await this.#marking;
    await this.#save(false);
  }

  #interrupt(reason: unknown): void {
    for (const source of this.#sources) source.stop(reason);
    this.#wakePacer();
    this.#target?.wake();
  }

  #show(): void {
    this.#shownAtMs = this.#clock.monotonicMs();
    this.#options.onProgress?.(this.#progress());
  }

  #progress(): ReplayProgress {
    let offsetsDone = 0;
    let offsetsTotal = 0;
    for (const { partition, startNext, endNext } of this.#prepared.state.source) {
      offsetsDone += this.#next.get(partition)! - startNext;
      offsetsTotal += endNext - startNext;
    }
    return { records: this.#records, bytes: this.#bytes, filtered: this.#filtered, offsetsDone, offsetsTotal };
  }

  #result(): ReplayResult {
    const partitions = this.#prepared.state.source.map(({ partition, startNext, endNext }) => ({
      partition,
      fromOffset: startNext,
      toOffset: endNext,
      nextOffset: this.#next.get(partition)!,
    }));
    return { ...this.#progress(), foundInTarget: this.#target?.found ?? 0, partitions };
  }
}
