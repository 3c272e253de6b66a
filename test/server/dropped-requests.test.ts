import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/faults.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { Broker } from '../../src/broker/broker.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { type Codecs, threadedCodecs } from '../../src/record/compression.ts';
import { AnswerBudget } from '../../src/server/answer-budget.ts';
import { ByteBudget } from '../../src/server/byte-budget.ts';
import { Connection, type ServerShare } from '../../src/server/connection.ts';
import { FetchSessions } from '../../src/server/fetch-sessions.ts';
import { encodeRequest } from '../../src/wire/codec.ts';
import { Gate, hookedDisk, isLogFile } from '../log/hooked-disk.ts';
import {
  atEnd,
  batch,
  fetchFrom,
  fetchOf,
  makeTopic,
  produce,
  produceOf,
  RawClient,
  startBroker,
  tempFolder,
  until,
} from './support.ts';

const KIB = 1024;

/** A client whose connection stays open when the broker has ended its side. */
async function stayingClient(port: number): Promise<RawClient> {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
  await new Promise((resolve) => socket.once('connect', resolve));
  const client = new RawClient(socket);
  atEnd(() => client.end());
  return client;
}

test('a request that was dropped with its connection gives back what it held, also when it fails later', async () => {
  const folder = tempFolder();
  const writes = new Gate();
  let fullFolder = 'none';
  const disk = hookedDisk(realDisk(folder), async ({ name, path }, proceed) => {
    if (name !== 'write' || !isLogFile(path) || !path.startsWith(fullFolder)) return proceed();
    await writes.pass();
    throw new Fault('diskFull');
  });
  // Nobody cuts off a client that does not notice the end of its connection.
  const clock: typeof systemClock = {
    ...systemClock,
    after: (ms, act) => systemClock.after(ms === 5000 ? 3e8 : ms, act),
  };
  const target = await startBroker({ folder, disk, clock, budgets: { responseBytes: 128 * KIB } });
  const { broker } = target;
  const other = await target.client();
  await makeTopic(other, 't', 2);
  await makeTopic(other, 'doomed');
  for (let i = 0; i < 100; i += 1) await produce(other, 't', batch(['x'.repeat(KIB)]));
  const sizeOfFetch = async () => Buffer.concat((await fetchFrom(other, 't')).records ?? []).length;
  const before = await sizeOfFetch();

  // A fetch that reads from one partition late, and then meets a bug in the other.
  const reading = Promise.withResolvers<void>();
  const [good, bad] = broker.topics.get('t').partitions.map((log) => log.reader);
  const read = good!.read.bind(good);
  const spy = vi.spyOn(good!, 'read').mockImplementation(async (offset, limits) => {
    await reading.promise;
    return read(offset, limits);
  });
  vi.spyOn(bad!, 'read').mockRejectedValue(new TypeError('planted'));
  fullFolder = broker.topics.get('doomed').partitions[0]!.folder;
  writes.close();
  const client = await stayingClient(target.port);
  client.post('Produce', 9, produceOf('doomed', batch(), 0));
  client.post('Fetch', 4, {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1 << 20,
    topics: [
      {
        topic: 't',
        partitions: [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 })),
      },
    ],
  });
  await until(() => spy.mock.calls.length === 1 && writes.arrived === 1);
  const ended = new Promise((resolve) => client.socket.once('end', resolve));
  writes.open();
  await ended;
  // Its connection has ended; only now does the fetch read, and then fail.
  reading.resolve();
  await until(() => target.warnings.some(({ message }) => message.includes('met a bug')));
  vi.restoreAllMocks();
  expect(client.isClosed).toBe(false);
  expect(await sizeOfFetch()).toBe(before);
});

test('nothing that came behind a refused request is begun with the room that this gives back', async () => {
  const { client } = await startBroker({ budgets: { requestBytes: 100 * KIB } });
  const other = await client();
  await makeTopic(other, 't');
  const refused = await client();
  // In one piece, which takes all the room: the second fetch waits for the first, and the last for that.
  refused.socket.cork();
  refused.post('Produce', 9, produceOf('no-such-topic', batch(['x'.repeat(90 * KIB)]), 0));
  for (let i = 0; i < 2; i += 1) refused.post('Fetch', 12, fetchOf('t', { maxWaitMs: 200, minBytes: 1 }));
  refused.post('Produce', 9, produceOf('t', batch(['y'.repeat(20 * KIB)])));
  refused.socket.uncork();
  await refused.closed;
  expect(refused.answers).toEqual([]);
  expect(Buffer.concat((await fetchFrom(other, 't')).records ?? []).length).toBe(0);
});

/** A connection whose budget can be looked at. */
function connectionTo(broker: Broker) {
  const bytesMax = 1024 * KIB;
  const requestBytes = new ByteBudget(bytesMax);
  const share: ServerShare = {
    broker,
    fetchSessions: new FetchSessions(systemRandom),
    requestBytes,
    decodedBytes: new ByteBudget(bytesMax),
    requestElementsMax: 1000,
    responseBytes: new AnswerBudget(bytesMax),
  };
  const socket = Object.assign(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }), { bytesRead: 0 });
  const connection = new Connection(socket, share, { host: '127.0.0.1', port: 1 });
  atEnd(() => connection.destroy());
  return { socket, heldBytes: () => bytesMax - requestBytes.freeBytes };
}

/** A broker whose writes, and decompression, wait at gates. */
async function startSlow() {
  const folder = tempFolder();
  const [writes, decompression] = [new Gate(), new Gate()];
  const disk = hookedDisk(realDisk(folder), async ({ name }, proceed) => {
    if (name === 'write') await writes.pass();
    return proceed();
  });
  const codecs: Codecs = {
    ...threadedCodecs,
    async decompress(...asked) {
      await decompression.pass();
      return threadedCodecs.decompress(...asked);
    },
  };
  const target = await startBroker({ folder, disk, codecs });
  atEnd(() => [writes, decompression].forEach((gate) => void gate.open()));
  const client = await target.client();
  await makeTopic(client, 't');
  await makeTopic(client, 'c', 1, { 'cleanup.policy': 'compact' });
  return { ...target, writes, decompression };
}

/** What produces a record, and as many bytes as the broker counts of it. */
function framesOf(...requests: ReturnType<typeof produceOf>[]) {
  const frames = requests.map((request, i) => Buffer.concat(encodeRequest('Produce', 9, i, 'raw', request)));
  return { chunk: Buffer.concat(frames), bytes: frames.map((frame) => frame.length - 4) };
}

const compressed = produceOf('c', batch(['y'.repeat(100 * KIB)], { key: Buffer.from('k'), compression: 'zstd' }));
const plain = produceOf('t', batch(['x'.repeat(90 * KIB)]));

test('a request that is worked on when its client goes is counted until that has ended', async () => {
  const { broker, writes, decompression } = await startSlow();
  const { socket, heldBytes } = connectionTo(broker);
  const { chunk, bytes } = framesOf(plain, compressed, plain);
  writes.close();
  decompression.close();
  socket.push(chunk);
  await until(() => writes.arrived === 1 && decompression.arrived === 1);
  expect(heldBytes()).toBe(bytes[0]! + bytes[1]! + bytes[2]!);
  await once(socket.destroy(), 'close');
  // What waited to be started is dropped.
  expect(heldBytes()).toBe(bytes[0]! + bytes[1]!);
  writes.open();
  await until(() => heldBytes() === bytes[1]!);
  decompression.open();
  await until(() => heldBytes() === 0);
});

test('a request that is worked on when one before it is refused is counted until that has ended', async () => {
  const { broker, decompression } = await startSlow();
  const { socket, heldBytes } = connectionTo(broker);
  const { chunk, bytes } = framesOf({ ...produceOf('no-such-topic', batch()), acks: 0 }, compressed);
  decompression.close();
  socket.push(chunk);
  await until(() => decompression.arrived === 1 && socket.writableEnded);
  expect(heldBytes()).toBe(bytes[1]!);
  await once(socket.destroy(), 'close');
  expect(heldBytes()).toBe(bytes[1]!);
  decompression.open();
  await until(() => heldBytes() === 0);
});
