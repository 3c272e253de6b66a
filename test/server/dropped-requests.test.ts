import net from 'node:net';
import { expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
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
