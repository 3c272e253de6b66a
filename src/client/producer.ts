import { Fault } from '../base/faults.ts';
import type { Backoff } from './backoff.ts';
import type { Cluster } from './cluster.ts';
import { type ProducerOptions, type ProducerSettings, producerSettings } from './producer-options.ts';
import { encodeRecord, type Pending, type ProducerRecord, type RecordResult } from './producer-record.ts';
import { Sender } from './sender.ts';
import { within } from './timing.ts';

export interface ProducerParts {
  cluster: Cluster;
  requestTimeoutMs: number;
  retryBackoff: Backoff;
  /** Called when the producer was closed. */
  onClose: () => void;
}

/** Sends records, many at a time and in batches, and says of each what became of it. */
export class Producer<K = string, V = unknown> implements AsyncDisposable {
  readonly #settings: ProducerSettings<K, V>;
  readonly #sender: Sender;
  readonly #cluster: Cluster;
  readonly #onClose: () => void;
  #closing: Promise<void> | null = null;

  /** Use the client's `producer`. @throws Fault invalidArgument. */
  constructor(options: ProducerOptions<K, V>, { cluster, requestTimeoutMs, retryBackoff, onClose }: ProducerParts) {
    this.#settings = producerSettings(options, requestTimeoutMs);
    this.#sender = new Sender(cluster, this.#settings, retryBackoff);
    this.#cluster = cluster;
    this.#onClose = onClose;
  }

  /**
   * Resolves when the record is stored as `acks` asks. Sends to one partition are stored in the order of the calls. When the
   * buffer is full the record waits for room, after those that waited before it; await `ready` to not let many wait.
   * @throws Fault (as a rejection) deliveryTimedOut, unknownTopic, batchTooLarge, invalidArgument, clientClosed, producerOverfull,
   * and what the broker refuses the record with.
   */
  send(record: ProducerRecord<K, V>): Promise<RecordResult> {
    const promise = new Promise<RecordResult>(capture);
    this.#submit(record, { resolve: resolveLast, reject: rejectLast });
    return promise;
  }

  #submit(record: ProducerRecord<K, V>, pending: Pending): void {
    if (this.#closing !== null) {
      pending.reject(new Fault('clientClosed', { detail: 'the producer' }));
      return;
    }
    try {
      const { key, value } = this.#settings;
      const encoded = encodeRecord(record, key, value, this.#cluster.clock.wallMs());
      this.#sender.accumulator.add(record.topic, encoded, pending);
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  /**
   * Sends all, taking them as there is room, and returns their results in the same order. After a failure no more are taken; it
   * is thrown once those under way have their outcome.
   */
  async sendMany(
    records: Iterable<ProducerRecord<K, V>> | AsyncIterable<ProducerRecord<K, V>>,
  ): Promise<RecordResult[]> {
    const tally = new Tally();
    const { accumulator } = this.#sender;
    if (Symbol.asyncIterator in records) {
      for await (const record of records) {
        if (tally.failures.length > 0) break;
        this.#submit(record, tally.next());
        if (!accumulator.hasRoom) await accumulator.whenRoom();
      }
    } else {
      for (const record of records) {
        if (tally.failures.length > 0) break;
        this.#submit(record, tally.next());
        if (!accumulator.hasRoom) await accumulator.whenRoom();
      }
    }
    await tally.whenAllSettled();
    if (tally.failures.length > 0) throw tally.failures[0];
    return tally.results;
  }

  /**
   * Resolves when more should be sent: at once, unless the brokers have not taken what was sent before. Awaited before each
   * send, or now and then, it keeps the buffer small and the sending quick.
   */
  ready(): Promise<void> {
    return this.#sender.accumulator.whenRoom();
  }

  /** Resolves when all sent before has its outcome; until then batches do not wait to become full. */
  flush(): Promise<void> {
    return this.#sender.flush();
  }

  /**
   * Takes no more records, and resolves when those sent have their outcome or `timeoutMs` (default: unbounded, as each record has
   * its delivery timeout) is over; what is left then is rejected with clientClosed and may or may not be stored. 0 gives up at once.
   */
  close({ timeoutMs = Number.POSITIVE_INFINITY }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    const overdue = new Fault('clientClosed', {
      detail: 'the producer, before the record was delivered; it may or may not be stored',
    });
    try {
      if (timeoutMs > 0) await within(this.#cluster.clock, timeoutMs, this.#sender.flush(), () => overdue);
    } catch (error) {
      if (error !== overdue) throw error;
    } finally {
      this.#sender.stop(overdue);
      this.#onClose();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The outcomes of many sends, without a promise for each. */
class Tally {
  readonly results: RecordResult[] = [];
  readonly failures: Error[] = [];
  #count = 0;
  #settled = 0;
  #whenAll: (() => void) | null = null;

  next(): Pending {
    return new TallyPlace(this, this.#count++);
  }

  settle(): void {
    this.#settled++;
    if (this.#settled === this.#count) this.#whenAll?.();
  }

  async whenAllSettled(): Promise<void> {
    if (this.#settled === this.#count) return;
    await new Promise<void>((resolve) => {
      this.#whenAll = resolve;
    });
  }
}

class TallyPlace implements Pending {
  readonly #tally: Tally;
  readonly #index: number;

  constructor(tally: Tally, index: number) {
    this.#tally = tally;
    this.#index = index;
  }

  resolve(result: RecordResult): void {
    this.#tally.results[this.#index] = result;
    this.#tally.settle();
  }

  reject(error: Error): void {
    this.#tally.failures.push(error);
    this.#tally.settle();
  }
}

// One function for all promises, instead of a closure for each.
let resolveLast: (result: RecordResult) => void;
let rejectLast: (error: Error) => void;
const capture = (resolve: (result: RecordResult) => void, reject: (error: Error) => void): void => {
  resolveLast = resolve;
  rejectLast = reject;
};
