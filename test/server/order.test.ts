import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { nextOffset } from '../../src/record/batch.ts';
import { hookedDisk, isLogFile } from '../log/hooked-disk.ts';
import { batch, fetchFrom, fetchOf, makeTopic, produceOf, startBroker, tempFolder, until } from './support.ts';

test('answers come in the order of the requests, whichever is done first', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const from = client.answers.length;
  const longPoll = client.post('Fetch', 12, fetchOf('t', { maxWaitMs: 300, minBytes: 1 }));
  const rest = [
    client.post('Metadata', 9, { topics: [{ name: 't' }] }),
    client.post('ApiVersions', 0, {}),
    client.post('Produce', 9, produceOf('other', batch())),
    client.post('ListOffsets', 5, { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }),
  ];
  await client.answerTo(rest.at(-1)!);
  expect(client.answers.slice(from).map(({ correlationId }) => correlationId)).toEqual([longPoll, ...rest]);
});

test('produces that are sent without waiting get ascending offsets, over all their partitions', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't', 2);
  const posted = Array.from({ length: 200 }, (_, i) =>
    client.post('Produce', 9, produceOf('t', batch([`v${i}`, 'x']), i % 3 === 0 ? 1 : -1, i % 2)),
  );
  const offsets: number[][] = [[], []];
  for (const [i, correlationId] of posted.entries()) {
    const { responses } = client.decode('Produce', 9, await client.answerTo(correlationId));
    expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
    offsets[i % 2]!.push(responses[0]!.partitionResponses[0]!.baseOffset);
  }
  const ascending = Array.from({ length: 100 }, (_, i) => i * 2);
  expect(offsets).toEqual([ascending, ascending]);
});

test('a request that comes byte by byte is answered', async () => {
  const { client: connect, port } = await startBroker();
  const client = await connect();
  const frame = Buffer.from('0000000a00120000000000070000', 'hex');
  for (const byte of frame) {
    client.bytes(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await client.answerTo(7)).readInt16BE(4)).toBe(0);
  expect(port).toBeGreaterThan(0);
});

test('acks=0 has no answer; what is stored has its place before what is asked later', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const from = client.answers.length;
  for (let i = 0; i < 10; i += 1) client.post('Produce', 9, produceOf('t', batch([`v${i}`]), 0));
  const last = await client.request('Produce', 9, produceOf('t', batch(['last'])));
  expect(last.responses[0]!.partitionResponses[0]!.baseOffset).toBe(10);
  expect(client.answers.length).toBe(from + 1);
});

test('acks=0 that is refused ends the connection, after the answers to what came before', async () => {
  const { client: connect, warnings } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const good = client.post('Produce', 9, produceOf('t', batch()));
  client.post('Produce', 9, produceOf('no-such', batch(), 0));
  const late = client.post('Produce', 9, produceOf('t', batch()));
  expect(client.decode('Produce', 9, await client.answerTo(good)).responses[0]!.partitionResponses[0]!.errorCode).toBe(
    0,
  );
  await expect(client.answerTo(late)).rejects.toThrow('closed');
  expect(warnings).toMatchObject([{ message: 'a connection was closed on a client' }]);
});

test('acks=0 that cannot be written, after it was accepted, ends the connection; the broker goes on', async () => {
  const folder = tempFolder();
  let full = false;
  const disk = hookedDisk(realDisk(folder), async ({ name, path }, proceed) => {
    if (full && name === 'write' && isLogFile(path)) throw new Fault('diskFull');
    return proceed();
  });
  const { client: connect, warnings } = await startBroker({ folder, disk });
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 't');
  full = true;
  client.post('Produce', 9, produceOf('t', batch(), 0));
  await client.closed;
  expect(warnings.at(-1)).toMatchObject({
    message: 'a connection was closed on a client',
    facts: { reason: expect.stringContaining('the disk is full') },
  });
  full = false;
  const { responses } = await other.request('Produce', 9, produceOf('t', batch()));
  expect(responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
});

test('a client that has said all it has to say is still answered', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const produced = client.post('Produce', 9, produceOf('t', batch()));
  const end = fetchOf('t', { offset: 1, maxWaitMs: 60_000, minBytes: 1 });
  const fetched = [client.post('Fetch', 12, end), client.post('Fetch', 12, end)];
  client.socket.end();
  expect((await client.answerTo(produced)).length).toBeGreaterThan(0);
  // Nobody sends it more data for which the fetches could wait.
  for (const id of fetched) expect((await client.answerTo(id)).length).toBeGreaterThan(0);
  await client.closed;
});

test('requests of two connections do not wait for each other', async () => {
  const { client: connect } = await startBroker();
  const [waiting, other] = [await connect(), await connect()];
  await makeTopic(other, 't');
  const longPoll = waiting.post('Fetch', 12, fetchOf('t', { maxWaitMs: 60_000, minBytes: 1 }));
  for (let i = 0; i < 20; i += 1) await other.request('Metadata', 9, { topics: [] });
  expect(waiting.answers).toEqual([]);
  await other.request('Produce', 9, produceOf('t', batch()));
  expect((await waiting.answerTo(longPoll)).length).toBeGreaterThan(70);
});

test('what a connection is not answered yet is bounded, and goes on when it is', async () => {
  const { client: connect } = await startBroker();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(other, 't');
  const polls = Array.from({ length: 200 }, () =>
    client.post('Fetch', 12, fetchOf('t', { maxWaitMs: 30_000, minBytes: 1 })),
  );
  await other.request('Produce', 9, produceOf('t', batch(['x'])));
  await Promise.all(polls.map((id) => client.answerTo(id)));
  expect(client.answers.map(({ correlationId }) => correlationId)).toEqual(polls);
});

test('a topic that two clients ask for at once is made once', async () => {
  const { client: connect } = await startBroker({ settings: { 'num.partitions': '3' } });
  const clients = await Promise.all(Array.from({ length: 8 }, connect));
  const answers = await Promise.all(clients.map((c) => c.request('Metadata', 12, { topics: [{ name: 'fresh' }] })));
  const topics = answers.map((answer) => answer.topics[0]!);
  expect(new Set(topics.map(({ topicId }) => topicId)).size).toBe(1);
  expect(topics.map(({ errorCode, partitions }) => [errorCode, partitions.length])).toEqual(Array(8).fill([0, 3]));
});

test('bytes of batches that lie one after another come back as they were sent, but for what the broker stamps', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const sent = [batch(['a', 'b']), batch(['c'], { compression: 'gzip' }), batch(['d'], { compression: 'zstd' })];
  for (const records of sent) await client.request('Produce', 9, produceOf('t', records));
  const { records } = await fetchFrom(client, 't');
  const read = Buffer.concat(records!);
  let at = 0;
  for (const original of sent) {
    // Base offset and leader epoch are the broker's.
    expect(read.subarray(at + 16, at + original.length)).toEqual(original.subarray(16));
    at += original.length;
  }
  expect(nextOffset(read, at - sent[2]!.length)).toBe(4);
});

test('a client that comes and goes leaves nothing behind', async () => {
  const { client: connect, server } = await startBroker();
  for (let i = 0; i < 20; i += 1) {
    const client = await connect();
    client.post('Fetch', 12, fetchOf('t', { maxWaitMs: 60_000, minBytes: 1 }));
    if (i % 2 === 0) await client.request('ApiVersions', 0, {});
    await client.end();
  }
  await until(() => server.connections === 0);
});
