import fc from 'fast-check';
import { expect, test } from 'vitest';
import { residentMb } from '../../bench/process-usage.ts';
import { stampCrc } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { type Compression, compressSync } from '../../src/record/compression.ts';
import { encodeRequest } from '../../src/wire/codec.ts';
import { freePort } from '../../tools/broker-process.ts';
import { mutated, mutations } from '../fuzz/mutations.ts';
import { BrokerUnderTest } from '../soak/broker-under-test.ts';
import { SlowPeers } from '../soak/slow-peers.ts';
import { goldens } from '../wire/goldens.ts';
import {
  atEnd,
  batch,
  connect,
  fetchFrom,
  fetchOf,
  makeTopic,
  produce,
  type RawClient,
  startBroker,
  tempFolder,
  until,
} from './support.ts';

/*
 * The real server process among peers that send what it must not take, or do not do their part: it goes on, with bounded memory,
 * others are served, and what is stored stays as it was.
 */

/** Requests that make files by the thousand when a count in them is changed, as they should. */
const LAVISH = ['CreateTopics', 'CreatePartitions'];

const requests = goldens
  .filter(({ api, direction }) => direction === 'request' && !LAVISH.includes(api))
  .map(({ frame }) => Buffer.from(frame, 'base64'));

async function startProcess(env: Record<string, string> = {}): Promise<BrokerUnderTest> {
  const settings = { 'auto.create.topics.enable': 'false' };
  const broker = new BrokerUnderTest(tempFolder(), await freePort(), settings, env);
  await broker.start();
  atEnd(() => broker.kill());
  return broker;
}

async function stored(client: RawClient): Promise<string> {
  const { errorCode, highWatermark, records } = await fetchFrom(client, 'kept');
  return `${errorCode} ${highWatermark} ${Buffer.concat(records!).toString('hex')}`;
}

/** A frame in which as few bytes as can be announce as many elements as one likes. */
function crowded(elements: number): Buffer[] {
  const names = Array.from({ length: elements }, () => ({ name: '' }));
  const parts = Array.from({ length: elements }, () => ({ topic: 'kept', partitions: [] }));
  return [
    Buffer.concat(encodeRequest('Metadata', 1, 7, null, { topics: names })),
    Buffer.concat(encodeRequest('Fetch', 4, 7, null, { maxWaitMs: 60_000, minBytes: 1, topics: parts })),
  ];
}

function bomb(compression: Compression): Buffer {
  const zeros = compressSync(compression, Buffer.alloc(64 << 20)).subarray(0, 900_000);
  const bytes = Buffer.concat([
    buildBatch([{ timestampMs: 0, key: null, value: null }], { compression }).subarray(0, 61),
    zeros,
  ]);
  bytes.writeInt32BE(bytes.length - 12, 8);
  stampCrc(bytes, 0);
  return bytes;
}

test('mutated frames, crowded ones and bombs on many connections: a server with a heap of 64 MB lives, and serves', {
  timeout: 180_000,
}, async () => {
  const broker = await startProcess({ NODE_OPTIONS: '--max-old-space-size=64' });
  const healthy = await connect(broker.port);
  await makeTopic(healthy, 'kept');
  await makeTopic(healthy, 'bombed');
  await produce(healthy, 'kept', batch(['one', 'two']));
  const before = await stored(healthy);
  const CONNECTIONS = 40;
  let highestMb = 0;
  let sent = 0;
  const input = fc.tuple(fc.nat(requests.length - 1), fc.nat(requests.length - 1), mutations);
  const frames = fc.sample(input, { numRuns: 4000, seed: 1 }).map(([one, other, changes]) => {
    // API and version stay, so that the request reaches its decoder.
    const seed = requests[one]!;
    return Buffer.concat([seed.subarray(0, 4), mutated(seed.subarray(4), changes, requests[other]!)]);
  });
  const crowds = [1_000, 10_000, 1_000_000].flatMap(crowded);
  for (let round = 0; sent < frames.length; round += 1) {
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(broker.port)));
    for (const client of clients) for (const frame of frames.slice(sent, (sent += 10))) client.frame(frame);
    if (round === 0) for (const [i, client] of clients.entries()) client.bytes(crowds[i % crowds.length]!);
    // The healthy one is answered all the time.
    expect((await produce(healthy, 'bombed', batch(['x']))).errorCode).toBe(0);
    expect(await stored(healthy)).toBe(before);
    highestMb = Math.max(highestMb, residentMb(broker.pid).highestMb);
    await Promise.all(clients.map((client) => client.end()));
  }
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    await produce(healthy, 'bombed', bomb(compression));
  }
  expect(await stored(healthy)).toBe(before);
  expect(healthy.isClosed).toBe(false);
  // The heap, what Node takes beside it, and the buffers of what is in work.
  expect(highestMb).toBeLessThan(400);
});

test('bombs for a compacted topic, which are decompressed to look for their keys: others are answered meanwhile, with bounded memory', {
  timeout: 180_000,
}, async () => {
  const broker = await startProcess({ NODE_OPTIONS: '--max-old-space-size=64' });
  const [healthy, hostile, reader] = [
    await connect(broker.port),
    await connect(broker.port),
    await connect(broker.port),
  ];
  const PARTITIONS = 8;
  await makeTopic(healthy, 'kept');
  await makeTopic(healthy, 'bombed', PARTITIONS, { 'cleanup.policy': 'compact' });
  const key = Buffer.from('k');
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    // Snappy makes no more of what a batch may have.
    const value = Buffer.alloc((compression === 'snappy' ? 16 : 120) << 20);
    // What is refused, and what is stored: it has its key.
    const bombs = [bomb(compression), buildBatch([{ timestampMs: Date.now(), key, value }], { compression })];
    const records = (index: number) => [bombs[index % bombs.length]!];
    const partitionData = Array.from({ length: PARTITIONS }, (_, index) => ({ index, records: records(index) }));
    const topicData = [{ name: 'bombed', partitionData }];
    let isAnswered = false;
    const bombing = hostile.request('Produce', 9, { acks: -1, timeoutMs: 60_000, topicData }).then((answer) => {
      isAnswered = true;
      return answer.responses[0]!.partitionResponses.map(({ errorCode }) => errorCode);
    });
    await reader.request('ApiVersions', 0, {});
    expect({ compression, isAnswered }).toEqual({ compression, isAnswered: false });
    expect((await produce(healthy, 'kept', batch(['x'], { key }))).errorCode).toBe(0);
    expect(await bombing).toEqual([87, 0, 87, 0, 87, 0, 87, 0]);
  }
  expect(residentMb(broker.pid).highestMb).toBeLessThan(450);
});

test('a silent connection is closed after connections.max.idle.ms, one in use and one that waits for an answer are not', async () => {
  const settings = { 'connections.max.idle.ms': '1000' };
  const { client, server } = await startBroker({ settings });
  const busy = await client();
  await makeTopic(busy, 't');
  const waiting = await client();
  const answer = waiting.post('Fetch', 12, fetchOf('t', { minBytes: 1, maxWaitMs: 5000 }));
  const silent = await client();
  let isClosed = false;
  void silent.closed.then(() => {
    isClosed = true;
  });
  await until(async () => {
    await busy.request('Metadata', 9, { topics: [] });
    return isClosed;
  });
  expect([busy.isClosed, waiting.isClosed]).toEqual([false, false]);
  await waiting.answerTo(answer);
  await until(() => server.connections <= 2);
});

test('beyond max.connections clients are turned away, and let in again when one has left', async () => {
  const { client, server, warnings } = await startBroker({ settings: { 'max.connections': '2' } });
  const [one] = [await client(), await client()];
  const refused = await client();
  await refused.closed;
  expect(warnings.map(({ message }) => message)).toEqual(['a client was turned away: too many are connected']);
  await one!.end();
  await until(() => server.connections === 1);
  expect((await (await client()).request('ApiVersions', 0, {})).errorCode).toBe(0);
});

test('readers that stall, connections that are silent and senders of single bytes: bounded memory, and others are served', async () => {
  const broker = await startProcess();
  const healthy = await connect(broker.port);
  await makeTopic(healthy, 'kept');
  const MIB = 1 << 20;
  for (let i = 0; i < 16; i += 1) await produce(healthy, 'kept', batch(['x'.repeat(MIB - 1000)]));
  const { nowMb: beforeMb } = residentMb(broker.pid);
  const peers = new SlowPeers(broker.port);
  atEnd(() => peers.leave());
  const EACH = 60;
  peers.stalledReaders(EACH, 'kept', 1);
  peers.silent(EACH);
  peers.slowSenders(EACH, 50);
  await until(() => peers.connected === 3 * EACH);
  for (let i = 0; i < 100; i += 1) {
    expect((await produce(healthy, 'kept', batch(['small']))).errorCode).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // All that the stalled ones have asked for, each twenty times 16 MiB, would be 19 GB.
  expect(residentMb(broker.pid).highestMb - beforeMb).toBeLessThan(256);
  expect(peers.cutOff).toBe(0);
});
