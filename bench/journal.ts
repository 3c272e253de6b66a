/*
 * The shared journal beside a sync per file, alternating in one run, in this process with no socket between:
 *   node bench/journal.ts [--rounds 4] [--partitions 1000] [--others 100] [--every-ms 20] [--dir DIR]
 * many: one 100-byte record to each of 1,000 partitions at once, all with acks=all, ten times, each after half a second of rest: caches
 * are cold and the processor sleeps. many on end: thirty times, each when the last of the one before is acknowledged. one: one record
 * after another to one partition, of a broker that has nothing else to do. one beside: the same while 100 other partitions get a record
 * every 20 ms each. bulk: large batches to one partition. Each begins when what the one before has left to the background is done.
 * Before the first round that counts, code and files are warm: a server that has run for some seconds needs half the time for a burst.
 * Figures are medians of the rounds; at the end, what is asked of their ratios, and for one partition what the disk itself would allow:
 * the same writes to a growing file and into one that is written already, with no broker between.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import { systemRandom } from '../src/base/random.ts';
import { Broker } from '../src/broker/broker.ts';
import { realDisk } from '../src/disk/real-disk.ts';
import {
  BULKS,
  bulk,
  manyAfterRest,
  manyOnEnd,
  type Note,
  oneAlone,
  oneBesideOthers,
  plainWrites,
  quantile,
} from './journal-loads.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '4' },
    partitions: { type: 'string', default: '1000' },
    others: { type: 'string', default: '100' },
    'every-ms': { type: 'string', default: '20' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const PARTITIONS = Number(values.partitions);
const OTHERS = Number(values.others);
const EVERY_MS = Number(values['every-ms']);
const WARM_UP_TIMES = 5;

/** How many times as good as a sync per file the journal is to be. */
const ASKED = [
  { what: `${PARTITIONS} partitions at once, median, after rest`, figure: 'many p50 ms', atLeast: 10 },
  { what: `${PARTITIONS} partitions at once, median, on end`, figure: 'many on end p50 ms', atLeast: 10 },
  { what: `one partition, p99, beside ${PARTITIONS - 1} at once`, figure: 'many on end p99 ms', atLeast: 2 },
  { what: 'one partition, p99, alone', figure: 'one p99 ms', atLeast: 2 },
  {
    what: `one partition, p99, beside ${OTHERS} with a record every ${EVERY_MS} ms`,
    figure: 'one beside p99 ms',
    atLeast: 2,
  },
  ...BULKS.map(({ name }) => ({ what: `${name}, throughput`, figure: `${name} MB/s`, atLeast: 1 })),
];

interface Contestant {
  readonly name: string;
  readonly broker: Broker;
  readonly journaled: boolean;
  readonly folder: string;
  readonly figures: Record<string, number[]>;
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
  for (const [topic, partitions] of Object.entries({ many: PARTITIONS, others: OTHERS, one: 1 })) {
    await broker.topics.create({ name: topic, partitions, replicationFactor: 1, settings: new Map() });
  }
  return { name, broker, journaled, folder, figures: {} };
}

/** Until bursts get no faster, and the journal has made its files. */
async function warmUp({ broker }: Contestant): Promise<void> {
  const many = broker.topics.get('many')!;
  for (let time = 0; time < WARM_UP_TIMES; time += 1) await manyOnEnd(broker, many, () => {});
}

async function turn({ broker, journaled, folder }: Contestant, note: Note): Promise<void> {
  const [many, others, one] = ['many', 'others', 'one'].map((name) => broker.topics.get(name));
  await manyAfterRest(broker, many!, note);
  await manyOnEnd(broker, many!, note);
  await oneAlone(broker, one!, note);
  await oneBesideOthers(broker, one!, others!, EVERY_MS, note);
  for (const load of BULKS) await bulk(broker, load, note);
  await plainWrites(folder, journaled, note);
}

const medianOf = (contestant: Contestant, figure: string): number => quantile(contestant.figures[figure]!, 0.5);

function printFigures(journal: Contestant, inPlace: Contestant): void {
  console.log(['', journal.name, inPlace.name, 'ratio'].join('\t'));
  for (const figure of Object.keys(journal.figures)) {
    const [ours, theirs] = [medianOf(journal, figure), medianOf(inPlace, figure)];
    const ratio = theirs === 0 ? '–' : (ours / theirs).toFixed(2);
    console.log([figure, ours.toFixed(2), theirs.toFixed(2), ratio].join('\t'));
  }
}

function printVerdicts(journal: Contestant, inPlace: Contestant): void {
  const timesAsGood = (figure: string): number => {
    const ratio = medianOf(journal, figure) / medianOf(inPlace, figure);
    return figure.endsWith('/s') ? ratio : 1 / ratio;
  };
  for (const { name, figures } of [journal, inPlace]) {
    const waiting = quantile(figures['others waiting']!, 1);
    if (waiting > OTHERS) console.log(`${name}: does not keep up with the others' rate, ${waiting} of them wait`);
  }
  for (const { what, figure, atLeast } of ASKED) {
    const times = timesAsGood(figure);
    console.log(
      `${what}: ${times.toFixed(2)} times as good; asked: ${atLeast} (${times >= atLeast ? 'reached' : 'not reached'})`,
    );
  }
  console.log(`one partition, p99, the disk without a broker: ${timesAsGood('plain p99 ms').toFixed(2)}`);
}

const contestants = [await enter('journal', true), await enter('sync per file', false)] as const;
try {
  for (const contestant of contestants) await warmUp(contestant);
  // The first round warms up the other loads.
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      await turn(contestant, (figure, value) => {
        if (round > 0) (contestant.figures[figure] ??= []).push(value);
      });
    }
  }
  printFigures(...contestants);
  console.log();
  printVerdicts(...contestants);
} finally {
  for (const { broker, folder } of contestants) {
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
