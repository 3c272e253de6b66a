/*
 * Millrace beside Apache Kafka and between the two ends of the scale, all driven by Kafka's own Java clients:
 *   npm run bench -- [--rounds 5] [--records-100b 5000000] [--records-1kb 1000000] [--acks all] [--only NAME,…] [--json FILE]
 * All brokers run from the start to the end; a round gives each its turn, and the order rotates. A first round, which
 * warms up the brokers, is not counted. Figures are medians. Nothing else may run on the machine meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { countOf, optionsOf, refuse } from '../test/proof-options.ts';
import { type BrokerProcess, freePort } from '../tools/broker-process.ts';
import { fetchKafka } from '../tools/kafka.ts';
import { type Contestant, contestants } from './contestants.ts';
import { consume, type Load, produce } from './load.ts';
import { residentMb } from './process-usage.ts';
import { type Figures, printTables, summarize } from './summary.ts';

const STARTS = 5;
const WARMUP_PART = 0.25;

interface Entrant {
  contestant: Contestant;
  broker: BrokerProcess;
  dir: string;
  figures: Figures;
}

function record(figures: Figures, name: string, value: number): void {
  (figures[name] ??= []).push(value);
}

/** Starts it several times on the same folder, and leaves it running. */
async function enter(contestant: Contestant, workDir: string): Promise<Entrant> {
  const dir = join(workDir, contestant.name);
  const figures: Figures = {};
  // The first start makes the files.
  await (await contestant.start(dir, await freePort(2))).stop();
  for (let start = 1; ; start += 1) {
    const broker = await contestant.start(dir, await freePort(2));
    record(figures, 'start-up ms', broker.startMs);
    record(figures, 'memory at start MB', residentMb(broker.pid).nowMb);
    if (start === STARTS) return { contestant, broker, dir, figures };
    await broker.stop();
  }
}

/** One turn: produce and consume at each size, then make room again. */
async function turn({ contestant, broker, figures }: Entrant, loads: readonly Load[], round: number): Promise<void> {
  const counted = round > 0 ? figures : {};
  for (const load of loads) {
    const topic = `bench-${load.recordBytes}-${round}`;
    // Nobody shall pay for what another has left in the page cache.
    execFileSync('sync');
    const produced = await produce(broker, topic, load);
    const consumed = await consume(broker, topic, load);
    for (const [direction, outcome] of Object.entries({ produce: produced, consume: consumed })) {
      const name = `${direction} ${load.recordBytes} B`;
      record(counted, `${name} records/s`, outcome.recordsPerSecond);
      record(counted, `${name} MB/s`, outcome.mbPerSecond);
      record(counted, `${name} CPU s/GB`, outcome.cpuSecondsPerGb);
      const rates = `${Math.round(outcome.recordsPerSecond)} records/s, ${outcome.mbPerSecond.toFixed(1)} MB/s`;
      process.stderr.write(`round ${round} ${contestant.name} ${name}: ${rates}\n`);
    }
    if (contestant.keepsTopics) await deleteTopic(broker, topic);
  }
  const memory = residentMb(broker.pid);
  record(counted, 'memory after load MB', memory.nowMb);
  record(counted, 'memory at most MB', memory.highestMb);
}

async function deleteTopic(broker: BrokerProcess, topic: string): Promise<void> {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [`127.0.0.1:${broker.port}`] });
  await admin.deleteTopics({ topics: [topic] });
  await admin.close();
}

const values = optionsOf({
  rounds: { type: 'string', default: '5' },
  'records-100b': { type: 'string', default: '5000000' },
  'records-1kb': { type: 'string', default: '1000000' },
  acks: { type: 'string', default: 'all' },
  only: { type: 'string' },
  json: { type: 'string' },
});
const rounds = countOf('rounds', values.rounds, 0);
const names = contestants.map(({ name }) => name);
const only = values.only?.split(',') ?? names;
const unknown = only.find((name) => !names.includes(name));
if (unknown !== undefined) refuse(`--only: there is no ${unknown}, but ${names.join(', ')}`);
const chosen = contestants.filter(({ name }) => only.includes(name));
const missing = [fetchKafka(), ...chosen.map((contestant) => contestant.missing())].find((reason) => reason);
if (missing !== undefined) throw new Error(missing);
const sizes = [
  { recordBytes: 100, records: countOf('records-100b', values['records-100b'], 0) },
  { recordBytes: 1_000, records: countOf('records-1kb', values['records-1kb'], 0) },
];
const loads = sizes
  .filter(({ records }) => records > 0)
  .map((size) => ({ ...size, warmupRecords: Math.floor(size.records * WARMUP_PART), acks: values.acks }));

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const workDir = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
try {
  const entrants: Entrant[] = [];
  for (const contestant of chosen) entrants.push(await enter(contestant, workDir));
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % entrants.length;
    for (const entrant of [...entrants.slice(first), ...entrants.slice(0, first)]) await turn(entrant, loads, round);
  }
  for (const { broker } of entrants) await broker.stop();
  const summary = summarize(entrants.map(({ contestant, figures }) => ({ name: contestant.name, figures })));
  printTables(summary, chosen, loads);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(summary, undefined, 2)}\n`);
} finally {
  rmSync(workDir, { recursive: true, force: true });
}
