import { Duplex } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { encodeRequest } from '../../src/wire/codec.ts';
import {
  atEnd,
  batch,
  clockThatWaits,
  fetchFrom,
  fetchOf,
  makeTopic,
  produce,
  produceOf,
  startBroker,
  type TestBroker,
  until,
} from './support.ts';

const MIB = 1 << 20;

/** A topic of so many batches of nearly 1 MiB, of which only the last few are in memory. */
async function fill(target: TestBroker, batches: number): Promise<void> {
  const client = await target.client();
  await makeTopic(client, 'large');
  const records = batch(['x'.repeat(MIB - 1000)]);
  const posted = Array.from({ length: batches }, () => client.post('Produce', 9, produceOf('large', records)));
  await Promise.all(posted.map((id) => client.answerTo(id)));
  await client.end();
}

/** Everything from the start, as much as one may ask for. */
const everything = fetchOf('large', { maxBytes: 0x7fffffff, partitionMaxBytes: 0x7fffffff });

/** Clients that ask for everything so often, and whose operating systems take nothing. */
function stalledClients(target: TestBroker, count: number, requests: number): Duplex[] {
  return Array.from({ length: count }, () => {
    const socket = Object.assign(new Duplex({ read() {}, write() {} }), { bytesRead: 0 });
    target.server.accept(socket, { host: '127.0.0.1', port: target.port });
    const asked = Array.from({ length: requests }, (_, i) => encodeRequest('Fetch', 12, i, 'stalled', everything));
    socket.push(Buffer.concat(asked.flat()));
    atEnd(() => socket.destroy());
    return socket;
  });
}

describe('a client that asks for megabytes and reads nothing', () => {
  test('makes the broker hold no more than the budget, and keeps nobody waiting', async () => {
    const target = await startBroker({ budgets: { responseBytes: 8 * MIB } });
    await fill(target, 60);
    const before = process.memoryUsage().arrayBuffers;
    const greedy = await target.client();
    greedy.socket.pause();
    for (let i = 0; i < 100; i += 1) greedy.post('Fetch', 12, everything);
    const other = await target.client();
    let peak = 0;
    for (let i = 0; i < 100; i += 1) {
      expect((await produce(other, 'large', batch(['small']))).errorCode).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 3));
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    }
    // The budget, a batch that each fetch may have begun to read, what the sockets of this same process hold, and what the
    // garbage collector has not taken back yet: far below the 6 GB that the fetches ask for.
    expect(peak).toBeLessThan(256 * MIB);
    expect((await fetchFrom(other, 'large', { offset: 60, maxBytes: MIB })).errorCode).toBe(0);
    // It loses nothing once it reads.
    greedy.socket.resume();
    await until(() => greedy.answers.length === 100);
  });

  test('is read for no further than it takes, and not at all when it is gone', async () => {
    const target = await startBroker();
    await fill(target, 60);
    const read = vi.spyOn(target.broker.topics.get('large').partitions[0]!.reader, 'read');
    const greedy = await target.client();
    greedy.socket.pause();
    for (let i = 0; i < 60; i += 1) greedy.post('Fetch', 12, everything);
    await until(() => read.mock.calls.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // The first answer is more than the sockets hold.
    expect(read).toHaveBeenCalledTimes(1);
    greedy.socket.destroy();
    await until(() => target.server.connections === 0);
    expect(read).toHaveBeenCalledTimes(1);
  });

  test('is not read from any more: its requests wait in its own socket', async () => {
    const target = await startBroker();
    await fill(target, 60);
    const read = vi.spyOn(target.broker.topics.get('large').partitions[0]!.reader, 'read');
    const greedy = await target.client();
    greedy.socket.pause();
    for (let i = 0; i < 2; i += 1) greedy.post('Fetch', 12, everything);
    // Until that answer is under way it is read on: other requests may be worked on beside a fetch.
    await until(() => read.mock.settledResults[0]?.type === 'fulfilled');
    // More than the operating system keeps on the way, which may be 36 MB; as many might wait in the broker by their number.
    const large = produceOf('no-such-topic', batch(['x'.repeat(MIB - 1000)]));
    for (let i = 0; i < 64; i += 1) greedy.post('Produce', 9, large);
    for (let before = -1; before !== greedy.socket.writableLength; ) {
      before = greedy.socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(greedy.socket.writableLength).toBeGreaterThan(20 * MIB);
    greedy.socket.resume();
    await until(() => greedy.answers.length === 66);
  });

  test('is cut off after a while, also when it has read a part', async () => {
    const target = await startBroker({ clock: clockThatWaits(400) });
    await fill(target, 60);
    const stalled = await target.client();
    // Some bites, and nothing more.
    stalled.socket.on('data', () => {
      if (stalled.socket.bytesRead > 8 * MIB) stalled.socket.pause();
    });
    stalled.post('Fetch', 12, everything);
    stalled.post('Fetch', 12, everything);
    await until(() => target.server.connections === 0);
    expect(target.warnings).toMatchObject([{ facts: { reason: 'the client does not read its answers' } }]);
  });

  test('is left alone as long as it reads, however slowly', async () => {
    const target = await startBroker({ clock: clockThatWaits(1500), budgets: { responseBytes: 128 * MIB } });
    await fill(target, 24);
    const slow = await target.client();
    const fetched = slow.post('Fetch', 12, everything);
    // 24 MB in pauses of 50 ms for each 1 MB: longer in all than a stall may last.
    let taken = 0;
    slow.socket.on('data', () => {
      if (slow.socket.bytesRead - taken < MIB / 2) return;
      taken = slow.socket.bytesRead;
      slow.socket.pause();
      setTimeout(() => slow.socket.resume(), 50);
    });
    expect((await slow.answerTo(fetched)).length).toBeGreaterThan(20 * MIB);
    expect(target.warnings).toEqual([]);
  });
});

describe('requests that take memory', () => {
  test('are taken in only as far as the budget goes, and all are answered', async () => {
    const target = await startBroker({ budgets: { requestBytes: 2 * MIB } });
    const clients = await Promise.all(Array.from({ length: 6 }, () => target.client()));
    await makeTopic(clients[0]!, 't', 6);
    const records = batch(['x'.repeat(MIB - 1000)]);
    const posted = clients.flatMap((client, i) =>
      Array.from({ length: 5 }, () => client.answerTo(client.post('Produce', 9, produceOf('t', records, -1, i)))),
    );
    await Promise.all(posted);
    for (const [i, client] of clients.entries()) {
      const { topics } = await client.request('ListOffsets', 5, {
        replicaId: -1,
        topics: [{ name: 't', partitions: [{ partitionIndex: i, timestamp: -1 }] }],
      });
      expect(topics[0]!.partitions[0]!.offset).toBe(5);
    }
  });

  test('that never come whole are cut off, and what they held is free again', async () => {
    const target = await startBroker({ budgets: { requestBytes: 2 * MIB }, clock: clockThatWaits(300) });
    const halves = await Promise.all(Array.from({ length: 4 }, () => target.client()));
    for (const half of halves) {
      half.bytes(Buffer.from('05f5e100', 'hex'));
      half.bytes(Buffer.alloc(MIB));
    }
    await Promise.all(halves.map((half) => half.closed));
    expect(target.warnings.map(({ facts }) => facts['reason'])).toEqual(
      Array(4).fill('the client does not send the rest of its request'),
    );
    const client = await target.client();
    await makeTopic(client, 't');
    expect((await produce(client, 't', batch(['x'.repeat(MIB - 1000)]))).errorCode).toBe(0);
  });

  test('that come slowly but steadily are answered', async () => {
    // Each byte comes long before the limit, so that a process that stands still for a while is no stall; all take longer.
    const target = await startBroker({ clock: clockThatWaits(2000) });
    const client = await target.client();
    client.bytes(Buffer.from('0000000a', 'hex'));
    for (const byte of Buffer.from('00120000000000070000', 'hex')) {
      client.bytes(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect((await client.answerTo(7)).readInt16BE(4)).toBe(0);
  });
});

test('clients that ask on and read nothing do not keep others from what they ask for', async () => {
  const target = await startBroker({ tailCacheBytesMax: 256 * 1024, budgets: { responseBytes: 8 * MIB } });
  const writer = await target.client();
  await makeTopic(writer, 'large');
  const records = batch(['x'.repeat(100_000)]);
  for (let i = 0; i < 60; i += 1) await produce(writer, 'large', records);
  const read = vi.spyOn(target.broker.topics.get('large').partitions[0]!.reader, 'read');
  stalledClients(target, 40, 12);
  // Until no more is read for them: they have what may be held for them.
  for (let before = -1; before !== read.mock.calls.length; ) {
    before = read.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(read.mock.calls.length).toBeGreaterThan(1);
  const reader = await target.client();
  for (let offset = 0; offset < 60; ) {
    const { records } = await fetchFrom(reader, 'large', { offset, minBytes: 1, maxWaitMs: 100 });
    const batches = [...batchesIn(Buffer.concat(records ?? []))].length;
    expect(batches).toBeGreaterThan(0);
    offset += batches;
  }
});

test('those who waited for room are all answered once there is some, also when the first of them need none of it', async () => {
  const target = await startBroker({ tailCacheBytesMax: 256 * 1024, budgets: { responseBytes: 8 * MIB } });
  await fill(target, 10);
  const writer = await target.client();
  await makeTopic(writer, 'empty');
  const read = vi.spyOn(target.broker.topics.get('large').partitions[0]!.reader, 'read');
  const stalled = stalledClients(target, 3, 2);
  await until(() => read.mock.calls.length >= 2);
  const waiting = await Promise.all(Array.from({ length: 20 }, () => target.client()));
  const nothing = fetchOf('empty', { maxWaitMs: 0, minBytes: 0 });
  const posted = waiting.flatMap((client) => [1, 2, 3].map(() => ({ client, id: client.post('Fetch', 12, nothing) })));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(waiting.flatMap(({ answers }) => answers)).toEqual([]);
  for (const socket of stalled) socket.destroy();
  for (const { client, id } of posted) {
    const { errorCode } = client.decode('Fetch', 12, await client.answerTo(id));
    expect(errorCode).toBe(0);
  }
});

test('a client that has gone while it waited for room does not keep the broker from stopping', async () => {
  // It is not cut off for the stop's sake.
  const after: Clock['after'] = (ms, act) => systemClock.after(ms === 10_000 ? 3e8 : ms, act);
  const clock = { ...systemClock, after };
  const target = await startBroker({ tailCacheBytesMax: 256 * 1024, budgets: { responseBytes: 8 * MIB }, clock });
  await fill(target, 10);
  const read = vi.spyOn(target.broker.topics.get('large').partitions[0]!.reader, 'read');
  const stalled = stalledClients(target, 3, 2);
  await until(() => read.mock.calls.length >= 2);
  const waiting = await target.client();
  for (let i = 0; i < 2; i += 1) waiting.post('Fetch', 12, everything);
  waiting.socket.end();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(waiting.isClosed).toBe(false);
  const stopped = target.stop();
  await waiting.closed;
  for (const socket of stalled) socket.destroy();
  await stopped;
});
