/*
 * The shared journal beside a sync per file, alternating in one run, in this process with no socket between:
 *   node bench/journal.ts [--rounds 5] [--partitions 1000] [--dir DIR]
 * many: one 100-byte record to each of 1,000 partitions at once, all with acks=all, ten times. one: one record after another to one
 * partition. bulk: 64 KB batches to one partition, 16 in flight. Each begins when what the one before has left to the background is
 * done. Figures are medians of the rounds; at the end, what is asked of their ratios, and for one partition what the disk itself would
 * allow: the same writes to a growing file and into one that is written already, with no broker between.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import { systemRandom } from '../src/base/random.ts';
import { Broker } from '../src/broker/broker.ts';
import type { Topic } from '../src/broker/topic.ts';
import { realDisk } from '../src/disk/real-disk.ts';
import { JOURNAL_BLOCK_BYTES } from '../src/log/journal-round.ts';
import { buildBatch } from '../src/record/batch-builder.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    partitions: { type: 'string', default: '1000' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const PARTITIONS = Number(values.partitions);

const MANY_TIMES = 10;
const ONE_APPENDS = 3000;
/** Time for the journal's batches to come into their segment files. */
const SETTLE_MS = 500;
const BULK_BYTES = 256 * 1024 * 1024;
const BULK_BATCH_BYTES = 64 * 1024;
const BULK_IN_FLIGHT = 16;

/** How many times as good as a sync per file the journal is to be. */
const ASKED = [
  { what: `${PARTITIONS} partitions at once, median`, name: 'many p50 ms', atLeast: 10, isRate: false },
  { what: 'one partition, p99', name: 'one p99 ms', atLeast: 2, isRate: false },
  { what: 'bulk, throughput', name: 'bulk MB/s', atLeast: 1, isRate: true },
];

interface Contestant {
  readonly name: string;
  readonly broker: Broker;
  readonly journaled: boolean;
  readonly folder: string;
  readonly figures: Record<string, number[]>;
}

function batchOf(valueBytes: number): Buffer {
  return buildBatch([{ timestampMs: Date.now(), key: null, value: Buffer.alloc(valueBytes, 'x'), headers: [] }]);
}

async function enter(name: string, journaled: boolean): Promise<Contestant> {
  const folder = mkdtempSync(join(values.dir, 'millrace-journal-'));
  const broker = await Broker.open({
    disk: realDisk(folder),
    journaled,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    settings: {},
    startFacts: {},
    tailCacheBytesMax: 32 * 1024 * 1024,
    readsAtOnceMax: 2,
  });
  await broker.topics.create({ name: 'many', partitions: PARTITIONS, replicationFactor: 1, settings: new Map() });
  await broker.topics.create({ name: 'one', partitions: 1, replicationFactor: 1, settings: new Map() });
  return { name, broker, journaled, folder, figures: {} };
}

/** Milliseconds until each append is acknowledged. */
async function timed(broker: Broker, topic: Topic, partition: number, batch: Buffer): Promise<number> {
  const start = performance.now();
  await broker.produce(topic, partition, batch, { acks: -1, version: 9 }).settled;
  return performance.now() - start;
}

async function turn({ broker, figures }: Contestant, counted: boolean): Promise<void> {
  const note = (name: string, value: number): void => {
    if (counted) (figures[name] ??= []).push(value);
  };
  const small = batchOf(100);
  const many = broker.topics.get('many');
  for (let time = 0; time < MANY_TIMES; time += 1) {
    const atOnce = await Promise.all(Array.from({ length: PARTITIONS }, (_, i) => timed(broker, many, i, small)));
    note(`many p50 ms`, quantile(atOnce, 0.5));
    note(`many last ms`, quantile(atOnce, 1));
    await setTimeout(SETTLE_MS);
  }
  const one = broker.topics.get('one');
  const singly: number[] = [];
  for (let i = 0; i < ONE_APPENDS; i += 1) singly.push(await timed(broker, one, 0, small));
  note('one p50 ms', quantile(singly, 0.5));
  note('one p99 ms', quantile(singly, 0.99));
  await setTimeout(SETTLE_MS);
  const large = batchOf(BULK_BATCH_BYTES);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  let left = BULK_BYTES / BULK_BATCH_BYTES;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await timed(broker, one, 0, large);
  };
  await Promise.all(Array.from({ length: BULK_IN_FLIGHT }, lane));
  note('bulk MB/s', BULK_BYTES / 1000 / (performance.now() - start));
  const { user, system } = process.cpuUsage(cpuBefore);
  note('bulk CPU s/GB', (user + system) / 1e6 / (BULK_BYTES / 1e9));
}

/** The same appends as `one`, as plain writes of a file that grows by each, or that is written already. Milliseconds each. */
async function plainWrites(folder: string, name: string, prepared: boolean): Promise<number[]> {
  const disk = realDisk(folder);
  const bytes = Buffer.alloc(prepared ? JOURNAL_BLOCK_BYTES : batchOf(100).length, 1);
  const made = await disk.open(name, 'create');
  if (prepared) await made.write([Buffer.alloc(ONE_APPENDS * bytes.length)], 0);
  await made.sync();
  await made.close();
  const file = await disk.open(name, prepared ? 'writeThrough' : 'write');
  const times: number[] = [];
  for (let i = 0; i < ONE_APPENDS; i += 1) {
    const start = performance.now();
    await file.write([bytes], i * bytes.length);
    if (!prepared) await file.sync();
    times.push(performance.now() - start);
  }
  await file.close();
  await disk.remove(name);
  return times;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}

const contestants = [await enter('journal', true), await enter('sync per file', false)];
try {
  // The first round warms up, and lets the journal make its files.
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const contestant of order) {
      await turn(contestant, round > 0);
      const plain = await plainWrites(contestant.folder, 'plain', contestant.journaled);
      if (round > 0) (contestant.figures['plain p99 ms'] ??= []).push(quantile(plain, 0.99));
    }
  }
  const names = Object.keys(contestants[0]!.figures);
  const medianOf = (contestant: Contestant, name: string): number => quantile(contestant.figures[name]!, 0.5);
  console.log(['', ...contestants.map(({ name }) => name), 'ratio'].join('\t'));
  for (const name of names) {
    const [journal, inPlace] = contestants.map((contestant) => medianOf(contestant, name));
    console.log([name, journal!.toFixed(2), inPlace!.toFixed(2), (journal! / inPlace!).toFixed(2)].join('\t'));
  }
  console.log();
  const timesAsGood = (name: string, isRate: boolean): number => {
    const [journal, inPlace] = contestants.map((contestant) => medianOf(contestant, name)) as [number, number];
    return isRate ? journal / inPlace : inPlace / journal;
  };
  for (const { what, name, atLeast, isRate } of ASKED) {
    const times = timesAsGood(name, isRate);
    console.log(
      `${what}: ${times.toFixed(2)} times as good; asked: ${atLeast} (${times >= atLeast ? 'reached' : 'not reached'})`,
    );
  }
  console.log(`one partition, p99, the disk without a broker: ${timesAsGood('plain p99 ms', false).toFixed(2)}`);
} finally {
  for (const { broker, folder } of contestants) {
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
