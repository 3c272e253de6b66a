import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import type { Admin } from '../admin.ts';
import { type Backoff, backoffMs } from '../backoff.ts';
import type { Producer } from '../producer.ts';
import type { RecordResult } from '../producer-record.ts';
import type { ReadRecord } from '../read-record.ts';
import { type Failure, type Telling, withFailure } from './failure-headers.ts';
import type { WorkerSettings } from './worker-options.ts';

export interface FailedRecordsParts {
  admin: Admin;
  producer: Producer<Buffer, Buffer>;
  clock: Clock;
  random: Random;
  logger: Logger;
}

type Settings = Pick<WorkerSettings<unknown, unknown>, 'topics' | 'consumer' | 'retry' | 'retryTopics' | 'deadLetter'>;

type Stored = ReadRecord<unknown, unknown>;
type TopicSettings = Readonly<Record<string, string | number>>;

interface ToStore {
  topic: string;
  record: Stored;
  failure: Failure;
  timestampMs: number;
  /** Of the topic, if it is to be made. */
  settings: TopicSettings;
}

/** How many retry topics there are when their number is not said: the waits of later attempts are those of the last one. */
const RETRY_TOPICS_MAX = 4;
/** Room in a record for what is told of its failure, beyond what the topic it comes from allows. */
const HEADROOM_BYTES = 64 * 1024;
const STORE_BACKOFF: Backoff = { firstMs: 100, maxMs: 5_000 };
/** What to leave out when a record with its failure is too large. */
const lessThan: Readonly<Record<Telling, Telling>> = { whole: 'message', message: 'class', class: 'class' };

/** Stores records that failed in topics of their own: to be tried again, or as dead letters. */
export class FailedRecords {
  /** By the topic they come from, in the order of the attempts; empty when retries are in place. */
  readonly retryTopics: ReadonlyMap<string, readonly string[]>;
  readonly #deadLetter: boolean | string;
  readonly #group: string;
  readonly #parts: FailedRecordsParts;
  readonly #made = new Set<string>();

  constructor(settings: Settings, parts: FailedRecordsParts) {
    this.#deadLetter = settings.deadLetter;
    this.#group = settings.consumer.group;
    this.#parts = parts;
    this.retryTopics = new Map(settings.topics.map((topic) => [topic, this.#retryTopicsOf(topic, settings)]));
  }

  #retryTopicsOf(topic: string, { retryTopics, retry }: Settings): readonly string[] {
    if (typeof retryTopics !== 'boolean') return retryTopics;
    const count = retryTopics ? Math.min(retry.attempts - 1, RETRY_TOPICS_MAX) : 0;
    return Array.from({ length: count }, (_, index) => this.#nameOf(topic, `retry.${index + 1}`));
  }

  /** Groups may be called what no topic can. */
  #nameOf(topic: string, what: string): string {
    return `${topic}.${this.#group.replaceAll(/[^\w.-]/g, '-')}.${what}`;
  }

  /** Makes the retry topics, so that they are read from the start. */
  async makeRetryTopics(): Promise<void> {
    for (const [origin, topics] of this.retryTopics) {
      for (const topic of topics) await this.#make(topic, origin, {});
    }
  }

  /** The topic for a record that has failed so often; null when retries are in place. */
  retryTopic(origin: string, attempts: number): string | null {
    const topics = this.retryTopics.get(origin) ?? [];
    return topics[Math.min(attempts, topics.length) - 1] ?? null;
  }

  storeRetry(topic: string, record: Stored, failure: Failure, until: AbortSignal): Promise<RecordResult | null> {
    // By the time of now, since retention would delete at once what is old.
    const timestampMs = this.#parts.clock.wallMs();
    return this.#store({ topic, record, failure, timestampMs, settings: {} }, until);
  }

  /** Null without dead letters. */
  deadLetterTopic(origin: string): string | null {
    if (typeof this.#deadLetter === 'string') return this.#deadLetter;
    return this.#deadLetter ? this.#nameOf(origin, 'dead-letter') : null;
  }

  storeDeadLetter(topic: string, record: Stored, failure: Failure, until: AbortSignal): Promise<RecordResult | null> {
    // They stay until somebody has looked at them, and keep their time, by which retention would delete old ones at once.
    const settings = { 'retention.ms': -1 };
    return this.#store({ topic, record, failure, timestampMs: record.timestampMs, settings }, until);
  }

  /** Tries until the record is stored, however long that takes; null when `until` aborts before. */
  async #store(
    { topic, record, failure, timestampMs, settings }: ToStore,
    until: AbortSignal,
  ): Promise<RecordResult | null> {
    const { producer, logger, random } = this.#parts;
    let telling: Telling = 'whole';
    for (let failures = 1; !until.aborted; failures++) {
      try {
        await this.#make(topic, failure.origin.topic, settings);
        return await producer.send({
          topic,
          key: record.keyBytes,
          value: record.valueBytes,
          headers: withFailure(record.headers, failure, telling).map(({ key, value }) => [key, value] as const),
          timestampMs: timestampMs < 0 ? undefined : timestampMs,
        });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        if (error.fault === 'batchTooLarge') telling = lessThan[telling];
        const { topic: from, partition, offset } = failure.origin;
        logger.warn({ topic, from, partition, offset, failures, err: error }, 'cannot store a failed record yet');
      }
      await this.#pause(backoffMs(STORE_BACKOFF, failures, random), until);
    }
    return null;
  }

  #pause(delayMs: number, until: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        until.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#parts.clock.after(delayMs, end);
      until.addEventListener('abort', end);
    });
  }

  /** With as many partitions as the topic that its records come from, and room for them; once it is there, it is not asked for again. */
  async #make(topic: string, origin: string, settings: TopicSettings): Promise<void> {
    if (this.#made.has(topic)) return;
    try {
      const like = await this.#like(origin);
      const all = { 'cleanup.policy': 'delete', ...settings, ...like.settings };
      await this.#parts.admin.createTopic({ name: topic, partitions: like.partitions, settings: all });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.fault !== 'topicExists') {
        // It may be there, and only its making not be allowed; if it is not, storing says so.
        this.#parts.logger.warn({ topic, err: error }, 'cannot make a topic for failed records');
        return;
      }
    }
    this.#made.add(topic);
  }

  /** As far as it can be found out. */
  async #like(origin: string): Promise<{ partitions: number; settings: TopicSettings }> {
    const { admin, logger } = this.#parts;
    try {
      const { partitions } = await admin.describeTopic(origin);
      const [size] = await admin.settings({ topic: origin }, ['max.message.bytes']);
      const sizeMax = Number(size?.value);
      const settings = sizeMax > 0 ? { 'max.message.bytes': sizeMax + HEADROOM_BYTES } : {};
      return { partitions: partitions.length, settings };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      logger.debug({ topic: origin, err: error }, 'a topic for failed records is made with the defaults of the broker');
      return { partitions: -1, settings: {} };
    }
  }
}
