/*
 * What peers cost that do not do their part: readers that never read, connections that are never heard of, senders of a byte a second,
 * and a producer that is faster than the disk.
 *   node test/soak/stalled.ts [--readers 1000] [--silent 1000] [--senders 200] [--seconds 70] [--port N]
 * Prints the server's memory without and with them, how long another client waits for an answer, and how long a third one takes
 * to read all of what the stalled ones ask for. Exits with 1 when its memory rises by more than 256 MB.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMb } from '../../bench/process-usage.ts';
import { bytes } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { freePort } from '../../tools/broker-process.ts';
import { countOf, optionsOf } from '../proof-options.ts';
import { BrokerUnderTest } from './broker-under-test.ts';
import { SlowPeers } from './slow-peers.ts';

const values = optionsOf({
  readers: { type: 'string', default: '1000' },
  silent: { type: 'string', default: '1000' },
  senders: { type: 'string', default: '200' },
  seconds: { type: 'string', default: '70' },
  port: { type: 'string' },
});
const [readers, silent, senders] = (['readers', 'silent', 'senders'] as const).map((name) =>
  countOf(name, values[name], 0),
) as [number, number, number];
const seconds = countOf('seconds', values.seconds);
const port = values.port === undefined ? await freePort() : countOf('port', values.port);
const RISE_MB_MAX = 256;
const PARTITIONS = 4;
const RECORD = Buffer.alloc(64 * 1024, 'x');
const STORED = 2_000;

const folder = mkdtempSync(join(tmpdir(), 'millrace-stalled-'));
const broker = new BrokerUnderTest(folder, port, {});
await broker.start();
const client = await Millrace.connect(`127.0.0.1:${broker.port}`);
await client.admin.createTopic({ name: 'large', partitions: PARTITIONS });
await client.admin.createTopic({ name: 'small' });
const producer = client.producer({ value: bytes, lingerMs: 0 });
const records = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ topic: 'large', key: `${i}`, value: RECORD }));

// As fast as it can: what is not written yet waits in the client's buffer and in its socket.
const fillMs = performance.now();
await producer.sendMany(records(STORED));
const fillSeconds = (performance.now() - fillMs) / 1000;
const { highestMb: filledMb } = residentMb(broker.pid);
console.log(
  JSON.stringify({ filledMb: (STORED * RECORD.length) >> 20, seconds: round(fillSeconds), rssMb: round(filledMb) }),
);

const alone = await waitsOf(10);
const readAlone = await secondsToRead();
const { highestMb: beforeMb } = residentMb(broker.pid);
console.log(
  JSON.stringify({
    peers: 0,
    ...alone,
    readSeconds: readAlone,
    rssMb: round(residentMb(broker.pid).nowMb),
    highestMb: round(beforeMb),
  }),
);

const peers = new SlowPeers(broker.port);
peers.stalledReaders(readers, 'large', PARTITIONS);
peers.silent(silent);
peers.slowSenders(senders);
const wanted = readers + silent + senders;
while (peers.connected < wanted) await sleep(50);
const [among, readAmong] = await Promise.all([waitsOf(seconds), secondsToRead()]);
const { nowMb, highestMb } = residentMb(broker.pid);
const { connected, cutOff } = peers;
console.log(
  JSON.stringify({
    peers: wanted,
    connected,
    cutOff,
    ...among,
    readSeconds: readAmong,
    rssMb: round(nowMb),
    highestMb: round(highestMb),
  }),
);
const ratio = round(among.p99Ms / alone.p99Ms);
const riseMb = round(highestMb - beforeMb);
peers.leave();
await client.close();
await broker.stop();
rmSync(folder, { recursive: true });
console.log(JSON.stringify({ riseMb, riseMbMax: RISE_MB_MAX, p99Ratio: ratio }));
if (riseMb > RISE_MB_MAX) process.exitCode = 1;

/** How long a send of one record and the look for its offset take, one after another. */
async function waitsOf(seconds: number): Promise<{ count: number; p50Ms: number; p99Ms: number }> {
  const waits: number[] = [];
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    await producer.send({ topic: 'small', value: Buffer.from('a') });
    waits.push(performance.now() - startMs);
    await sleep(5);
  }
  waits.sort((a, b) => a - b);
  const at = (share: number): number => round(waits[Math.floor((waits.length - 1) * share)]!);
  return { count: waits.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** All of the topic that the stalled readers ask for. */
async function secondsToRead(): Promise<number> {
  const startMs = performance.now();
  let count = 0;
  for await (const _ of client.reader({ topic: 'large', value: bytes, to: 'end' })) count += 1;
  if (count !== STORED) throw new Error(`${count} records of ${STORED}`);
  return round((performance.now() - startMs) / 1000);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
