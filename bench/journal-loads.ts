/*
 * What bench/journal.ts has each of its contestants do. Every load says its figures to `note`, by name, and leaves the
 * background time to come to rest before the next.
 */
import { setTimeout } from 'node:timers/promises';
import type { Broker } from '../src/broker/broker.ts';
import type { Topic } from '../src/broker/topic.ts';
import { realDisk } from '../src/disk/real-disk.ts';
import { JOURNAL_BLOCK_BYTES } from '../src/log/journal-round.ts';
import { buildBatch } from '../src/record/batch-builder.ts';

export type Note = (figure: string, value: number) => void;

const BURSTS_AFTER_REST = 10;
const BURSTS_ON_END = 30;
const ONE_APPENDS = 3000;
/** Time for the journal's batches to come into their segment files. */
const SETTLE_MS = 500;
const BULK_BYTES = 256 * 1024 * 1024;

/**
 * Much to one partition. What is on the way with the first goes through the journal, and so is written twice; with the others it
 * is more than the journal takes of one log.
 */
export const BULKS = [
  { batchBytes: 4 * 1024, inFlight: 16 },
  { batchBytes: 16 * 1024, inFlight: 16 },
  { batchBytes: 64 * 1024, inFlight: 16 },
  { batchBytes: 256 * 1024, inFlight: 16 },
].map((bulk) => ({ ...bulk, name: `bulk ${bulk.batchBytes / 1024} KB x ${bulk.inFlight}` }));

const small = batchOf(100);

function batchOf(valueBytes: number): Buffer {
  return buildBatch([{ timestampMs: Date.now(), key: null, value: Buffer.alloc(valueBytes, 'x'), headers: [] }]);
}

/** One append, with acks=all. Milliseconds until it is acknowledged. */
async function timed(broker: Broker, topic: Topic, partition: number, batch: Buffer): Promise<number> {
  const start = performance.now();
  await broker.produce(topic, partition, batch, { acks: -1, version: 9 }).settled;
  return performance.now() - start;
}

/** One record to each partition at once. Milliseconds each. */
function burst(broker: Broker, topic: Topic): Promise<number[]> {
  return Promise.all(topic.partitions.map((_, i) => timed(broker, topic, i, small)));
}

export async function manyAfterRest(broker: Broker, topic: Topic, note: Note): Promise<void> {
  for (let time = 0; time < BURSTS_AFTER_REST; time += 1) {
    const times = await burst(broker, topic);
    note('many p50 ms', quantile(times, 0.5));
    note('many last ms', quantile(times, 1));
    await setTimeout(SETTLE_MS);
  }
}

export async function manyOnEnd(broker: Broker, topic: Topic, note: Note): Promise<void> {
  const times: number[] = [];
  for (let time = 0; time < BURSTS_ON_END; time += 1) times.push(...(await burst(broker, topic)));
  note('many on end p50 ms', quantile(times, 0.5));
  note('many on end p99 ms', quantile(times, 0.99));
  await setTimeout(SETTLE_MS);
}

/** One append after the other to one partition. Milliseconds each. */
async function singly(broker: Broker, topic: Topic): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < ONE_APPENDS; i += 1) times.push(await timed(broker, topic, 0, small));
  return times;
}

export async function oneAlone(broker: Broker, topic: Topic, note: Note): Promise<void> {
  const times = await singly(broker, topic);
  note('one p50 ms', quantile(times, 0.5));
  note('one p99 ms', quantile(times, 0.99));
  await setTimeout(SETTLE_MS);
}

export async function oneBesideOthers(
  broker: Broker,
  topic: Topic,
  others: Topic,
  everyMs: number,
  note: Note,
): Promise<void> {
  const steady = new SteadyAppends(broker, others, everyMs);
  await setTimeout(SETTLE_MS);
  const times = await singly(broker, topic);
  // Who cannot keep up has more and more of them waiting; nothing that is measured beside that says anything.
  const { waiting } = steady;
  const othersTimes = await steady.stop();
  note('one beside p50 ms', quantile(times, 0.5));
  note('one beside p99 ms', quantile(times, 0.99));
  note('others p99 ms', quantile(othersTimes, 0.99));
  note('others waiting', waiting);
  await setTimeout(SETTLE_MS);
}

/** Appends to each partition of a topic every so many milliseconds, evenly spread, whether or not the last is acknowledged. */
class SteadyAppends {
  waiting = 0;
  readonly #times: number[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #beganMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #count = 0;

  constructor(broker: Broker, topic: Topic, everyMs: number) {
    const perMs = topic.partitions.length / everyMs;
    this.#timer = setInterval(() => {
      const due = Math.floor((performance.now() - this.#beganMs) * perMs);
      for (; this.#count < due; this.#count += 1) this.#append(broker, topic, this.#count % topic.partitions.length);
    }, 1);
  }

  #append(broker: Broker, topic: Topic, partition: number): void {
    this.waiting += 1;
    const running: Promise<void> = timed(broker, topic, partition, small).then((ms) => {
      this.waiting -= 1;
      this.#times.push(ms);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** Resolves when all are acknowledged, to how many milliseconds each took. */
  async stop(): Promise<readonly number[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
    return this.#times;
  }
}

/** Into a topic of its own, so that what was written does not take memory from those that follow. */
export async function bulk(
  broker: Broker,
  { name, batchBytes, inFlight }: (typeof BULKS)[number],
  note: Note,
): Promise<void> {
  const topic = await broker.topics.create({ name: 'bulk', partitions: 1, replicationFactor: 1, settings: new Map() });
  await setTimeout(SETTLE_MS);
  const batch = batchOf(batchBytes);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  let left = BULK_BYTES / batchBytes;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await timed(broker, topic, 0, batch);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  note(`${name} MB/s`, BULK_BYTES / 1000 / (performance.now() - start));
  await setTimeout(SETTLE_MS);
  // With what was left to the background.
  const { user, system } = process.cpuUsage(cpuBefore);
  note(`${name} CPU s/GB`, (user + system) / 1e6 / (BULK_BYTES / 1e9));
  await broker.topics.delete('bulk');
}

/** The same appends as of one partition, as plain writes of a file that grows by each, or that is written already. */
export async function plainWrites(folder: string, prepared: boolean, note: Note): Promise<void> {
  const disk = realDisk(folder);
  const bytes = Buffer.alloc(prepared ? JOURNAL_BLOCK_BYTES : small.length, 1);
  const made = await disk.open('plain', 'create');
  if (prepared) await made.write([Buffer.alloc(ONE_APPENDS * bytes.length)], 0);
  await made.sync();
  await made.close();
  const file = await disk.open('plain', prepared ? 'writeThrough' : 'write');
  const times: number[] = [];
  for (let i = 0; i < ONE_APPENDS; i += 1) {
    const start = performance.now();
    await file.write([bytes], i * bytes.length);
    if (!prepared) await file.sync();
    times.push(performance.now() - start);
  }
  await file.close();
  await disk.remove('plain');
  note('plain p99 ms', quantile(times, 0.99));
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}
