import path from 'node:path';
import { expect, test } from 'vitest';
import { recordsOf } from '../../src/record/records.ts';
import { BrokerProcess, freePort } from '../../tools/broker-process.ts';
import { copyOf } from '../log/support.ts';
import {
  atEnd,
  batch,
  connect,
  fetchFrom,
  makeTopic,
  produceOf,
  type RawClient,
  startBroker,
  tempFolder,
} from './support.ts';

interface Answered {
  readonly errorCode: number;
  readonly baseOffset: number;
}

/** Posts an idempotent batch; resolves to its answer. */
async function send(client: RawClient, producerId: number, baseSequence: number, values: string[]): Promise<Answered> {
  const records = batch(values, { producerId, producerEpoch: 0, baseSequence });
  const id = client.post('Produce', 9, produceOf('t', records));
  const { responses } = client.decode('Produce', 9, await client.answerTo(id));
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
  return { errorCode, baseOffset };
}

async function newProducer(client: RawClient): Promise<number> {
  const { errorCode, producerId } = await client.request('InitProducerId', 4, { transactionalId: null });
  expect(errorCode).toBe(0);
  return producerId;
}

/** The values of all records that can be read. */
async function valuesIn(client: RawClient): Promise<string[]> {
  const values: string[] = [];
  for (let offset = 0; ; ) {
    const { highWatermark, records } = await fetchFrom(client, 't', { offset });
    if (offset >= highWatermark) return values;
    for (const { offset: at, value } of recordsOf(Buffer.concat(records!))) {
      expect(at).toBe(offset);
      values.push(value!.toString());
      offset += 1;
    }
  }
}

const stored = (baseOffset: number): Answered => ({ errorCode: 0, baseOffset });
const OUT_OF_ORDER: Answered = { errorCode: 45, baseOffset: -1 };

test('five batches in flight, each sent twice, are stored once each; a retry is told the first offset', async () => {
  const { client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const id = await newProducer(client);
  const sequences = [0, 2, 4, 6, 8];
  const once = sequences.map((sequence) => send(client, id, sequence, ['a', 'b']));
  // The retries are sent before anything is answered, when the originals may not be durable yet.
  const twice = sequences.map((sequence) => send(client, id, sequence, ['a', 'b']));
  expect(await Promise.all(once)).toEqual(sequences.map(stored));
  expect(await Promise.all(twice)).toEqual(sequences.map(stored));
  expect(await send(client, id, 12, ['gap'])).toEqual(OUT_OF_ORDER);
  expect(await send(client, id, 10, ['next'])).toEqual(stored(10));
});

test.each([
  ['a clean stop', true],
  ['a kill', false],
])('producers are known after %s: retries, gaps and what comes next', async (_, clean) => {
  const folder = tempFolder();
  const first = await startBroker({ folder });
  const client = await first.client();
  await makeTopic(client, 't', 1, { 'segment.bytes': '16384' });
  const [id, other] = [await newProducer(client), await newProducer(client)];
  for (let i = 0; i < 8; i += 1) await send(client, id, i, ['x'.repeat(4000)]);
  await send(client, other, 0, ['y']);
  if (clean) await first.stop();
  const again = await (await startBroker({ folder: clean ? folder : copyOf(folder) })).client();
  expect(await send(again, id, 5, ['x'.repeat(4000)])).toEqual(stored(5));
  expect(await send(again, id, 9, ['gap'])).toEqual(OUT_OF_ORDER);
  expect(await send(again, id, 8, ['z'])).toEqual(stored(9));
  expect(await send(again, other, 0, ['y'])).toEqual(stored(8));
});

test('producer ids are given once, whatever ends the broker in between', async () => {
  const folder = tempFolder();
  const given = new Set<number>();
  for (let round = 0; round < 3; round += 1) {
    const target = await startBroker({ folder: round === 2 ? copyOf(folder) : folder });
    const client = await target.client();
    // More than one block of them, and many at once.
    const ids = await Promise.all(Array.from({ length: 1100 }, () => newProducer(client)));
    for (const id of ids) given.add(id);
    if (round === 0) await target.stop();
  }
  expect(given.size).toBe(3300);
});

test('a broker that is killed again and again stores each record once, in order', async () => {
  const folder = tempFolder();
  const port = await freePort();
  const main = path.join(import.meta.dirname, '../../src/cli/main.ts');
  const args = [main, 'serve', '--data', path.join(folder, 'data'), '--listen', `127.0.0.1:${port}`];
  const start = (): Promise<BrokerProcess> =>
    BrokerProcess.start({ file: process.execPath, args }, port, path.join(folder, 'out.log'));
  let broker = await start();
  atEnd(() => broker.kill());
  let client = await connect(port);
  await makeTopic(client, 't');
  const id = await newProducer(client);
  const ids = new Set([id]);
  const acknowledged: number[] = [];
  let next = 0;
  for (let kill = 0; kill < 3; kill += 1) {
    const goal = next + 60;
    while (next < goal) {
      // Five at once; when the connection ends, what was not acknowledged is sent again to the next broker.
      const sequences = Array.from({ length: 5 }, (_, i) => next + i);
      const answers = sequences.map((sequence) => send(client, id, sequence, [`v${sequence}`]));
      if (next + 5 >= goal && kill < 2) {
        await Promise.all([Promise.allSettled(answers), broker.kill()]);
        broker = await start();
        client = await connect(port);
        ids.add(await newProducer(client));
        expect(await Promise.all(sequences.map((sequence) => send(client, id, sequence, [`v${sequence}`])))).toEqual(
          sequences.map(stored),
        );
      } else {
        expect(await Promise.all(answers)).toEqual(sequences.map(stored));
      }
      acknowledged.push(...sequences);
      next += 5;
    }
  }
  expect(await valuesIn(client)).toEqual(acknowledged.map((sequence) => `v${sequence}`));
  expect(ids.size).toBe(3);
});
