import net from 'node:net';
import { expect, test } from 'vitest';
import { recordsOf } from '../../src/record/records.ts';
import { ReadBuffer } from '../../src/server/read-buffer.ts';
import { atEnd, batch, fetchFrom, fetchOf, makeTopic, produceOf, type RawClient, startBroker } from './support.ts';

/** Fills the buffer that all clients are received into with something else. */
async function drown(client: RawClient): Promise<void> {
  for (let i = 0; i < 4; i += 1) {
    await client.request('Metadata', 9, { topics: [{ name: 'n'.repeat(200) }], allowAutoTopicCreation: false });
    await client.request('Produce', 9, produceOf('noise', batch(['n'.repeat(300_000)])));
  }
}

test('a request that waits for an earlier one is what its client sent, whatever others send meanwhile', async () => {
  const { client: connect } = await startBroker();
  const [client, noisy] = [await connect(), await connect()];
  await makeTopic(client, 't');
  await makeTopic(client, 'noise');
  // The second fetch waits for the first, and what is behind it with it: all came in one piece.
  client.socket.cork();
  const fetches = [0, 1].map((minBytes) =>
    client.post('Fetch', 12, fetchOf('t', { maxWaitMs: 500, minBytes: 1 - minBytes })),
  );
  const values = Array.from({ length: 20 }, (_, i) => `value ${i}`);
  const produces = values.map((value) => client.post('Produce', 9, produceOf('t', batch([value]))));
  client.socket.uncork();
  await drown(noisy);
  for (const posted of [...fetches, ...produces]) await client.answerTo(posted);
  const { records } = await fetchFrom(client, 't');
  const stored: string[] = [];
  for (let bytes = Buffer.concat(records ?? []); bytes.length > 0; bytes = bytes.subarray(12 + bytes.readInt32BE(8)))
    for (const { value } of recordsOf(bytes)) stored.push(value!.toString());
  expect(stored).toEqual(values);
});

test('bytes that the broker keeps of a request stay as they were sent', async () => {
  const { client: connect } = await startBroker({ settings: { 'group.initial.rebalance.delay.ms': '500' } });
  const [client, noisy] = [await connect(), await connect()];
  await makeTopic(noisy, 'noise');
  const metadata = Buffer.from('what a member says to its leader');
  const joining = client.request('JoinGroup', 3, {
    groupId: 'g',
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 30_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata }],
  });
  await drown(noisy);
  const { errorCode, members } = await joining;
  expect(errorCode).toBe(0);
  expect(members.map((member) => member.metadata.toString())).toEqual([metadata.toString()]);
});

test('this Node hands an accepted connection on to a socket with a buffer of its own', async () => {
  const accepted = new Promise<net.Socket>((resolve) => {
    const server = net.createServer({ pauseOnConnect: true }, resolve);
    atEnd(() => server.close());
    server.listen(0, '127.0.0.1', () => {
      const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
      atEnd(() => client.destroy());
    });
  });
  const socket = await accepted;
  const served = new ReadBuffer().serve(socket);
  atEnd(() => served.destroy());
  expect(served).not.toBe(socket);
});
