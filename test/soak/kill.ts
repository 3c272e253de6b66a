/*
 * Kills the real server again and again while clients are at work, and looks after each time whether all is there that they were
 * told of:
 *   node test/soak/kill.ts [--rounds 20] [--seed N] [--rate 300] [--port N]
 * `rate`: records per second of each of the nine producers. Exits with 1 when something was lost, doubled, changed or moved.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '../../src/client/millrace.ts';
import { freePort } from '../../tools/broker-process.ts';
import { countOf, optionsOf } from '../proof-options.ts';
import { SeededRandom } from '../seeded-random.ts';
import { BrokerUnderTest } from './broker-under-test.ts';
import { GroupWatch } from './group-watch.ts';
import { Load } from './load.ts';

const values = optionsOf({
  rounds: { type: 'string', default: '20' },
  seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
  rate: { type: 'string', default: '300' },
  port: { type: 'string' },
});
const rounds = countOf('rounds', values.rounds);
const seed = countOf('seed', values.seed, 0);
const rate = countOf('rate', values.rate);
const port = values.port === undefined ? await freePort() : countOf('port', values.port);
const random = new SeededRandom(seed);

/** Retention and what cleans logs go on all the time. */
const SETTINGS = {
  'log.initial.task.delay.ms': '500',
  'log.retention.check.interval.ms': '500',
  'group.initial.rebalance.delay.ms': '0',
};
/** All is read again, from the start of the logs. */
const FULL_EVERY = 25;
const LIFE_MS_MAX = 1500;
const START_MS_MAX = 600;
const FINISH_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'millrace-kills-'));
const broker = new BrokerUnderTest(folder, port, SETTINGS);
await broker.start();
const client = await Millrace.connect(`127.0.0.1:${broker.port}`, { reconnectBackoff: { firstMs: 20, maxMs: 200 } });
const load = new Load(client, rate);
const groups = new GroupWatch(client);
const startedMs = performance.now();
const offences = (): string[] => [...load.offences, ...groups.offences];

await load.start();
groups.start();
for (let round = 1; round <= rounds && offences().length === 0; round += 1) {
  const acknowledged = load.acknowledged;
  while (load.acknowledged === acknowledged) await sleep(5);
  await sleep(random.below(LIFE_MS_MAX));
  await broker.kill();
  const told = load.toldNow();
  while (random.below(4) === 0) await broker.killInStart(random.below(START_MS_MAX));
  await broker.start();
  await load.judge(told, round % FULL_EVERY === 0);
  await groups.judge();
  const said = { round, seconds: seconds(), acknowledged: load.acknowledged, judged: load.judged };
  if (round % 10 === 0 || round === rounds) console.log(JSON.stringify({ ...said, commits: groups.commits }));
}
await load.stop();
await load.judge(load.toldNow(), true);
const ends = await client.admin.offsets('exact', 'latest');
await groups.finish(new Map([...ends].map(([partition, { offset }]) => [partition, offset])), FINISH_MS);
await groups.judge();
await client.close();
await broker.stop();

const { kills, killedStarts } = broker;
const { commits, refusedCommits } = groups;
const counts = { kills, killedStarts, acknowledged: load.acknowledged, judged: load.judged, commits, refusedCommits };
console.log(JSON.stringify({ seed, seconds: seconds(), ...counts, offences: offences().length }));
if (offences().length > 0) {
  for (const offence of offences().slice(0, 50)) console.log(offence);
  console.log(`the files are in ${folder}`);
  process.exitCode = 1;
} else rmSync(folder, { recursive: true });
if (load.acknowledged < rounds * 10) throw new Error('hardly anything was acknowledged between the kills');

function seconds(): number {
  return Math.round((performance.now() - startedMs) / 1000);
}
