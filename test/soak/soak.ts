/*
 * The real server under all loads at once for a long time: producers of every kind, groups whose members come and go, topics made
 * and deleted, retention, peers that stall, a clock that leaps; killed every minute in the first half, left alone in the second,
 * in which its memory and its descriptors must stay flat:
 *   node test/soak/soak.ts [--minutes 60, from 10 on] [--rate 100] [--stalled 20] [--port N]
 * Exits with 1 when something was lost or something grew.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, isFault } from '../../src/base/faults.ts';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { freePort } from '../../tools/broker-process.ts';
import { countOf, optionsOf } from '../proof-options.ts';
import { BrokerUnderTest } from './broker-under-test.ts';
import { GroupWatch } from './group-watch.ts';
import { Load } from './load.ts';
import { heapReports, type Measure, type Sample, sampleOf, trendOf } from './process-samples.ts';
import { SlowPeers } from './slow-peers.ts';

const values = optionsOf({
  minutes: { type: 'string', default: '60' },
  rate: { type: 'string', default: '100' },
  stalled: { type: 'string', default: '20' },
  port: { type: 'string' },
});
// In fewer than ten, memory does not come to rest.
const totalMs = countOf('minutes', values.minutes, 10) * 60_000;
const rate = countOf('rate', values.rate);
const stalled = countOf('stalled', values.stalled, 0);
const port = values.port === undefined ? await freePort() : countOf('port', values.port);

const LONG_MAX = '9223372036854775807';
const SETTINGS = {
  'log.initial.task.delay.ms': '1000',
  'log.retention.check.interval.ms': '1000',
  'log.retention.bytes': String(8 << 20),
  // A broker whose clock is years behind takes what its clients call now.
  'log.message.timestamp.after.max.ms': LONG_MAX,
};
const KILL_EVERY_MS = Math.min(60_000, totalMs / 8);
const SAMPLE_EVERY_MS = Math.min(5000, totalMs / 60);
const CHURN_EVERY_MS = 3000;
/** Of the second half, what is left out until caches are full. */
const WARM_UP = 0.3;
const WINDOWS = 12;
const FINISH_MS = 300_000;
/** What the line through the samples may rise in all: so much of the mean, or so much in any case. */
const growthMax: Record<Measure, { share: number; least: number }> = {
  rssMb: { share: 0.1, least: 12 },
  heapMb: { share: 0.1, least: 4 },
  buffersMb: { share: 0.1, least: 8 },
  descriptors: { share: 0.05, least: 8 },
  sockets: { share: 0.05, least: 8 },
};

const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'));
const report = join(folder, 'memory');
const broker = new BrokerUnderTest(folder, port, SETTINGS, heapReports(report, 'jumping-clock.mjs'));
await broker.start();
const client = await Millrace.connect(`127.0.0.1:${broker.port}`);
const load = new Load(client, rate);
const groups = new GroupWatch(client);
const peers = new SlowPeers(broker.port);
const startedMs = performance.now();
const offences = (): string[] => [...load.offences, ...groups.offences];
const elapsedMs = (): number => performance.now() - startedMs;
const failing = (): boolean => offences().length > 0;

await load.start();
groups.start();
peers.stalledReaders(stalled, 'exact', 6);
peers.silent(stalled);
peers.slowSenders(stalled);
let churned = 0;
let churning = true;
const churn = keepChurning();

while (elapsedMs() < totalMs / 2 && !failing()) {
  await sleep(KILL_EVERY_MS);
  await broker.kill();
  const told = load.toldNow();
  await broker.start();
  await load.judge(told);
  await groups.judge();
  say({ phase: 'kills', kills: broker.kills });
}
const samples: Sample[] = [];
const calmMs = elapsedMs();
while (elapsedMs() < totalMs && !failing()) {
  await sleep(SAMPLE_EVERY_MS);
  const sample = await sampleOf(broker.pid, report);
  samples.push(sample);
  if (samples.length % 12 === 0) {
    await load.judge(load.toldNow());
    await groups.judge();
    say({ phase: 'calm', ...rounded(sample) });
  }
}
churning = false;
await churn;
peers.leave();
await load.stop();
await load.judge(load.toldNow(), true);
const ends = await client.admin.offsets('exact', 'latest');
await groups.finish(new Map([...ends].map(([partition, { offset }]) => [partition, offset])), FINISH_MS);
await groups.judge();
await client.close();
await broker.stop();
finish();

/** Members come and go, and topics too. */
async function keepChurning(): Promise<void> {
  for (; churning; churned += 1) {
    if (churned % 6 === 0) groups.join();
    if (churned % 6 === 3) await groups.leave();
    const topic = `passing-${churned}`;
    // A broker that is killed may have done what it could not answer any more; the retry then finds it done.
    await untilDone(() => client.admin.createTopic({ name: topic, partitions: 2 }), 'topicExists');
    const producer = client.producer({ value: text });
    await producer.sendMany(Array.from({ length: 100 }, (_, i) => ({ topic, key: `${i}`, value: 'x'.repeat(1000) })));
    await producer.close();
    await untilDone(() => client.admin.deleteTopic(topic), 'unknownTopic', 'unknownPartition', 'unknownTopicId');
    await sleep(CHURN_EVERY_MS);
  }
}

/** A broker that is killed may be away for longer than a client tries. */
async function untilDone(call: () => Promise<void>, ...alsoDone: string[]): Promise<void> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof Fault && alsoDone.includes(error.fault)) return;
      if (!isFault(error, 'connectionFailed')) throw error;
      await sleep(CHURN_EVERY_MS);
    }
  }
}

function say(facts: object): void {
  const { acknowledged, judged } = load;
  const counts = { acknowledged, judged, commits: groups.commits, joins: groups.joins, topics: churned };
  console.log(
    JSON.stringify({ minutes: Number((elapsedMs() / 60_000).toFixed(1)), ...facts, ...counts, cutOff: peers.cutOff }),
  );
}

function rounded<T extends object>(facts: T): Record<string, number> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, Math.round(value * 10) / 10]));
}

function finish(): void {
  const judgedFromMs = calmMs + startedMs + (totalMs - calmMs) * WARM_UP;
  const settled = samples.filter(({ atMs }) => atMs >= judgedFromMs);
  say({ phase: 'end', kills: broker.kills, samples: settled.length });
  const grew: string[] = [];
  if (settled.length < WINDOWS) grew.push(`only ${settled.length} samples`);
  else {
    for (const [measure, { share, least }] of Object.entries(growthMax) as [
      Measure,
      { share: number; least: number },
    ][]) {
      const trend = trendOf(settled, measure, WINDOWS);
      const allowed = Math.max(trend.mean * share, least);
      console.log(JSON.stringify({ measure, ...rounded({ ...trend, allowed }) }));
      if (trend.growth > allowed) grew.push(`${measure} grew by ${trend.growth.toFixed(1)}`);
    }
  }
  for (const offence of [...offences().slice(0, 50), ...grew]) console.log(offence);
  if (failing() || grew.length > 0) {
    console.log(`the files are in ${folder}`);
    process.exitCode = 1;
  } else rmSync(folder, { recursive: true });
}
