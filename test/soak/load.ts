import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../src/base/faults.ts';
import { bytes, text } from '../../src/client/codecs.ts';
import type { Millrace } from '../../src/client/millrace.ts';
import type { Producer } from '../../src/client/producer.ts';
import type { ProducerOptions } from '../../src/client/producer-options.ts';
import { idIn, numberedValue, recordId } from './numbered-value.ts';
import { type Judge, type Judgement, ToldPartition } from './told.ts';

export interface LoadTopic {
  readonly name: string;
  readonly partitions: number;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly judgement: Judgement;
  /** One producer each. */
  readonly producers: readonly ProducerOptions<string, Buffer>[];
}

const ROLLS = { 'segment.bytes': 256 * 1024 };

/** Every way in which records come to be stored: each compression, both kinds of acknowledgement, rolls, retention, compaction. */
export const loadTopics: readonly LoadTopic[] = [
  {
    name: 'exact',
    partitions: 6,
    settings: ROLLS,
    judgement: 'exact',
    producers: [
      {},
      { compression: 'gzip' },
      { compression: 'lz4' },
      { compression: 'zstd' },
      { compression: 'snappy' },
    ],
  },
  {
    name: 'written',
    partitions: 3,
    settings: ROLLS,
    judgement: 'present',
    producers: [{ acks: 1 }, { acks: 1, compression: 'lz4' }],
  },
  {
    name: 'retained',
    partitions: 2,
    settings: { 'segment.bytes': 64 * 1024, 'retention.bytes': 512 * 1024 },
    judgement: 'exact',
    producers: [{}],
  },
  {
    name: 'compacted',
    partitions: 1,
    settings: { 'segment.bytes': 64 * 1024, 'cleanup.policy': 'compact,delete', 'min.cleanable.dirty.ratio': 0.2 },
    judgement: 'latest',
    producers: [{}],
  },
];

const KEYS = 64;
/** Sends of one producer that are not answered yet; more wait. */
const OUTSTANDING_MAX = 400;

/** Producers at work on a broker that may go away at any moment, and what they were told. */
export class Load {
  readonly #client: Millrace;
  readonly #recordsPerSecond: number;
  readonly #partitions = new Map<string, ToldPartition>();
  /** Up to where a reader has seen a partition. */
  readonly #judgedNext = new Map<string, number>();
  readonly #producers: Producer<string, Buffer>[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;
  readonly offences: string[] = [];
  acknowledged = 0;
  judged = 0;

  /** `recordsPerSecond`: of each producer. */
  constructor(client: Millrace, recordsPerSecond: number) {
    this.#client = client;
    this.#recordsPerSecond = recordsPerSecond;
  }

  async start(): Promise<void> {
    const loops: Promise<void>[] = [];
    for (const topic of loadTopics) {
      await this.#client.admin.createTopic({
        name: topic.name,
        partitions: topic.partitions,
        settings: topic.settings,
      });
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        const name = nameOf(topic.name, partition);
        this.#partitions.set(name, new ToldPartition(name, topic.judgement));
      }
      for (const options of topic.producers) {
        const producer = this.#client.producer<string, Buffer>({ ...options, key: text, value: bytes });
        this.#producers.push(producer);
        loops.push(this.#produce(topic.name, producer, this.#producers.length));
      }
    }
    this.#running = Promise.all(loops);
  }

  /** Resolves when all that was sent has its answer. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    for (const producer of this.#producers) await producer.close();
  }

  async #produce(topic: string, producer: Producer<string, Buffer>, producerNumber: number): Promise<void> {
    let outstanding = 0;
    let number = 0;
    const burst = Math.ceil(this.#recordsPerSecond / 50);
    while (!this.#stopping) {
      for (let i = 0; i < burst && outstanding < OUTSTANDING_MAX; i += 1, number += 1) {
        outstanding += 1;
        void this.#send(topic, producer, producerNumber, number).finally(() => {
          outstanding -= 1;
        });
      }
      await sleep(20);
    }
  }

  async #send(topic: string, producer: Producer<string, Buffer>, from: number, number: number): Promise<void> {
    const key = number % KEYS;
    try {
      const sent = await producer.send({ topic, key: `${key}`, value: numberedValue(from, number) });
      this.acknowledged += 1;
      // An answer to a retry of what was stored long before does not say where.
      if (sent.offset < 0) return;
      const told = this.#partitions.get(nameOf(topic, sent.partition))!;
      const wrong = told.acknowledge(sent.offset, recordId(from, number), key);
      if (wrong !== null) this.offences.push(`acknowledged: ${wrong}`);
    } catch (error) {
      this.offences.push(`a send to ${topic} failed: ${(error as Error).message}`);
    }
  }

  /** What readers must find from now on, whatever happens to the broker. */
  toldNow(): ReadonlyMap<string, number> {
    return new Map([...this.#partitions].map(([name, told]) => [name, told.toldNext]));
  }

  /** Reads what was stored since the last look, or all, and notes what is not as clients were told. `toldNext`: see toldNow. */
  async judge(toldNext: ReadonlyMap<string, number>, all = false): Promise<void> {
    for (const { name, partitions, judgement } of loadTopics) {
      for (let partition = 0; partition < partitions; partition += 1) {
        await this.#judgePartition(
          name,
          partition,
          toldNext.get(nameOf(name, partition))!,
          all || judgement === 'latest',
        );
      }
    }
  }

  async #judgePartition(topic: string, partition: number, toldNext: number, all: boolean): Promise<void> {
    const told = this.#partitions.get(nameOf(topic, partition))!;
    for (;;) {
      const numbers = told.numbersNow();
      const [logStart, endNext] = await this.#bounds(topic, partition);
      const from = Math.max(logStart, all ? 0 : (this.#judgedNext.get(told.name) ?? 0));
      const judge = told.judge(from, { logStart, endNext, toldNext, numbers });
      try {
        if (from < endNext) await this.#read(topic, partition, from, endNext, judge);
      } catch (error) {
        // Retention went on meanwhile.
        if (error instanceof Fault && error.fault === 'offsetOutOfRange') continue;
        throw error;
      }
      this.offences.push(...judge.end());
      this.#judgedNext.set(told.name, endNext);
      this.judged += judge.records;
      return;
    }
  }

  async #bounds(topic: string, partition: number): Promise<[logStart: number, endNext: number]> {
    const { admin } = this.#client;
    const latest = await admin.offsets(topic, 'latest', { partitions: [partition] });
    const earliest = await admin.offsets(topic, 'earliest', { partitions: [partition] });
    return [earliest.get(partition)!.offset, latest.get(partition)!.offset];
  }

  async #read(topic: string, partition: number, from: number, endNext: number, judge: Judge): Promise<void> {
    const reader = this.#client.reader<string, Buffer>({
      topic,
      partitions: [partition],
      from: { offset: from },
      to: { offset: endNext },
      key: text,
      value: bytes,
    });
    for await (const { records } of reader.batches()) {
      for (const record of records) judge.take(record.offset, idIn(record.valueBytes), Number(record.key));
    }
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}
