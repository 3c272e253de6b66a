import { Fault } from '../base/faults.ts';
import type { Backoff } from './backoff.ts';
import type { Cluster } from './cluster.ts';
import { type ProducerOptions, type ProducerSettings, producerSettings } from './producer-options.ts';
import { encodeRecord, type ProducerRecord, type RecordResult } from './producer-record.ts';
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
    const pending = { resolve: resolveLast, reject: rejectLast };
    if (this.#closing !== null) {
      pending.reject(new Fault('clientClosed', { detail: 'the producer' }));
      return promise;
    }
    try {
      const { key, value } = this.#settings;
      const encoded = encodeRecord(record, key, value, this.#cluster.clock.wallMs());
      this.#sender.accumulator.add(record.topic, encoded, pending);
    } catch (error) {
      pending.reject(error as Error);
    }
    return promise;
  }

  /**
   * Sends all, taking them as there is room, and returns their results in the same order. After a failure no more are taken; it
   * is thrown once those under way have their outcome.
   */
  async sendMany(
    records: Iterable<ProducerRecord<K, V>> | AsyncIterable<ProducerRecord<K, V>>,
  ): Promise<RecordResult[]> {
    const results: RecordResult[] = [];
    const sends: Promise<void>[] = [];
    const failures: unknown[] = [];
    const take = (record: ProducerRecord<K, V>): void => {
      const index = sends.length;
      const onResult = (result: RecordResult): void => {
        results[index] = result;
      };
      sends.push(this.send(record).then(onResult, (error: unknown) => void failures.push(error)));
    };
    const { accumulator } = this.#sender;
    if (Symbol.asyncIterator in records) {
      for await (const record of records) {
        if (failures.length > 0) break;
        take(record);
        if (!accumulator.hasRoom) await accumulator.whenRoom();
      }
    } else {
      for (const record of records) {
        if (failures.length > 0) break;
        take(record);
        if (!accumulator.hasRoom) await accumulator.whenRoom();
      }
    }
    await Promise.all(sends);
    if (failures.length > 0) throw failures[0];
    return results;
  }

  /** Resolves when a record sent then would be buffered at once. */
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

// One function for all promises, instead of a closure for each.
let resolveLast: (result: RecordResult) => void;
let rejectLast: (error: Error) => void;
const capture = (resolve: (result: RecordResult) => void, reject: (error: Error) => void): void => {
  resolveLast = resolve;
  rejectLast = reject;
};
