import net from 'node:net';
import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { startServer } from '../../src/compose.ts';
import { ManualClock } from '../log/support.ts';
import {
  atEnd,
  batch,
  clockThatWaits,
  connect,
  fetchFrom,
  fetchOf,
  makeTopic,
  produceOf,
  startBroker,
  tempFolder,
  until,
} from './support.ts';

test('what is acknowledged while the broker stops is there after the next start, in its place', async () => {
  const folder = tempFolder();
  const target = await startBroker({ folder });
  const clients = await Promise.all(Array.from({ length: 4 }, () => target.client()));
  await makeTopic(clients[0]!, 't', 4);
  const acknowledged: { index: number; offset: number; value: string }[] = [];
  const writers = clients.map(async (client, index) => {
    for (let i = 0; !client.isClosed; i += 1) {
      const value = `${index}:${i}`;
      const id = client.post('Produce', 9, produceOf('t', batch([value]), -1, index));
      const frame = await client.answerTo(id).catch(() => null);
      if (frame === null) return;
      const { errorCode, baseOffset } = client.decode('Produce', 9, frame).responses[0]!.partitionResponses[0]!;
      if (errorCode === 0) acknowledged.push({ index, offset: baseOffset, value });
    }
  });
  await until(() => acknowledged.length > 20);
  await target.stop();
  await Promise.all(writers);

  const again = await startBroker({ folder });
  const reader = await again.client();
  for (const { index, offset, value } of acknowledged) {
    const { errorCode, records } = await fetchFrom(reader, 't', { partition: index, offset, partitionMaxBytes: 1 });
    expect(errorCode).toBe(0);
    expect(Buffer.concat(records!).toString('latin1')).toContain(value);
  }
  expect(again.broker.epoch).toBe(target.broker.epoch);
});

test('waiting fetches are answered, and no timer is waited for, also when clients are idle', async () => {
  const clock = new ManualClock();
  const target = await startBroker({ clock });
  const [waiting, idle] = [await target.client(), await target.client()];
  await makeTopic(idle, 't');
  const { timers } = clock;
  const fetched = waiting.post('Fetch', 12, fetchOf('t', { maxWaitMs: 60_000, minBytes: 1 }));
  await until(() => clock.timers === timers + 1);
  await target.stop();
  expect((await waiting.answerTo(fetched)).length).toBeGreaterThan(0);
  await Promise.all([waiting.closed, idle.closed]);
});

test('a client that neither reads nor goes does not keep the broker from stopping', async () => {
  const target = await startBroker({ clock: clockThatWaits(200) });
  const client = await target.client();
  await makeTopic(client, 't');
  const records = batch(['x'.repeat(900_000)]);
  for (let i = 0; i < 20; i += 1) await client.request('Produce', 9, produceOf('t', records));
  const deaf = net.connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true });
  atEnd(() => deaf.destroy());
  await new Promise((resolve) => deaf.once('connect', resolve));
  deaf.pause();
  const other = await target.client();
  for (let i = 0; i < 30; i += 1)
    other.post('Fetch', 12, fetchOf('t', { maxBytes: 1 << 25, partitionMaxBytes: 1 << 25 }));
  other.socket.pause();
  await target.stop();
  expect(target.server.connections).toBe(0);
});

test('no one is let in any more, and the port and the folder are free', async () => {
  const folder = tempFolder();
  const target = await startBroker({ folder });
  await target.stop();
  await expect(connect(target.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  const again = await startServer({ dataFolder: folder, listen: [{ host: '127.0.0.1', port: target.port }] });
  expect(again.addresses[0]!.port).toBe(target.port);
  await again.close();
  await again.close();
});

test('a folder in use, a port in use, an address of another machine: each has its fault, and nothing stays open', async () => {
  const folder = tempFolder();
  const first = await startServer({ dataFolder: folder, listen: [{ host: '127.0.0.1', port: 0 }] });
  atEnd(() => first.close());
  const { port } = first.addresses[0]!;
  const faultOf = async (setup: Parameters<typeof startServer>[0]): Promise<string> => {
    const error: unknown = await startServer(setup).then(
      (server) => server.close(),
      (reason: unknown) => reason,
    );
    if (!(error instanceof Fault)) throw new Error(`no fault but ${error}`);
    return error.fault;
  };
  expect(await faultOf({ dataFolder: folder, listen: [{ host: '127.0.0.1', port: 0 }] })).toBe('folderInUse');
  const free = tempFolder();
  expect(await faultOf({ dataFolder: free, listen: [{ host: '127.0.0.1', port }] })).toBe('portInUse');
  expect(await faultOf({ dataFolder: free, listen: [{ host: '192.0.2.1', port: 0 }] })).toBe('addressUnavailable');
  expect(await faultOf({ dataFolder: free, settings: { 'no.such': '1' }, listen: [] })).toBe('invalidConfig');
  // The folder of the failed attempts is not held by any of them.
  const second = await startServer({ dataFolder: free, listen: [{ host: '127.0.0.1', port: 0 }] });
  await second.close();
});
