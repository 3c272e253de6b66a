import { expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { Broker } from '../../src/broker/broker.ts';
import type { Transport } from '../../src/client/transport.ts';
import { localConnector } from '../../src/local-connector.ts';
import { stampCrc } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { type Codecs, type Compression, compressions, threadedCodecs } from '../../src/record/compression.ts';
import { FetchSessions } from '../../src/server/fetch-sessions.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { Gate } from '../log/hooked-disk.ts';
import { failureOf } from '../log/support.ts';
import {
  atEnd,
  batch,
  fetchFrom,
  makeTopic,
  produce,
  produceOf,
  type RawClient,
  startBroker,
  type TestBroker,
  type TestBrokerSetup,
  until,
} from './support.ts';

/*
 * A compacted topic refuses records without a key, and a compressed batch shows its keys only when it is decompressed. That is
 * done where it holds up nobody, and as if it took no time: what was sent later is looked at later.
 */

const COMPACTED = { 'cleanup.policy': 'compact' };
const key = Buffer.from('k');
const INVALID_RECORD = 87;

interface Held extends TestBroker {
  /** Decompression waits at it. */
  readonly gate: Gate;
  /** Most that were decompressed at once … */
  most(): number;
  /** … and of those that may hold more than 4 MiB. */
  largest(): number;
  decompressed(): number;
}

async function startHeld(setup: TestBrokerSetup = {}): Promise<Held> {
  const gate = new Gate();
  let running = 0;
  let runningLarge = 0;
  let most = 0;
  let largest = 0;
  let decompressed = 0;
  const codecs: Codecs = {
    ...threadedCodecs,
    async decompress(compression, bytes, options) {
      const large = options!.bytesMax! > 4 << 20 ? 1 : 0;
      running += 1;
      runningLarge += large;
      most = Math.max(most, running);
      largest = Math.max(largest, runningLarge);
      await gate.pass();
      decompressed += 1;
      return threadedCodecs.decompress(compression, bytes, options).finally(() => {
        running -= 1;
        runningLarge -= large;
      });
    },
  };
  const started = await startBroker({ ...setup, codecs });
  atEnd(() => gate.open());
  return { ...started, gate, most: () => most, largest: () => largest, decompressed: () => decompressed };
}

/** It holds so much that it takes its time. */
const LARGE = 100_000;
const keyed = (values: readonly string[], compression: Compression = 'zstd', valueBytes = LARGE) =>
  batch(
    values.map((value) => value.padEnd(valueBytes, '.')),
    { key, compression },
  );

/** A produce request of a batch each for the partitions of a topic. */
function produceToAll(name: string, batches: readonly Buffer[], acks = -1) {
  return {
    acks,
    timeoutMs: 5000,
    topicData: [{ name, partitionData: batches.map((records, index) => ({ index, records: [records] })) }],
  };
}

async function produceAnswer(client: RawClient, correlationId: number) {
  const { responses } = client.decode('Produce', 9, await client.answerTo(correlationId));
  return responses[0]!.partitionResponses;
}

async function newProducer(client: RawClient) {
  const asked = { transactionalId: null, transactionTimeoutMs: 1000 };
  const { errorCode, producerId, producerEpoch } = await client.request('InitProducerId', 4, asked);
  expect(errorCode).toBe(0);
  return { producerId, producerEpoch };
}

/** The value of each record, from the start. */
async function valuesOf(client: RawClient, topic: string): Promise<Buffer> {
  const { records } = await fetchFrom(client, topic);
  return Buffer.concat(records!);
}

test('while the keys of a batch are looked for others are answered, and what the same client asked later waits its turn', async () => {
  const { client: connect, gate } = await startHeld();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 'c', 1, COMPACTED);
  await makeTopic(client, 't');
  const before = client.answers.length;
  gate.close();
  const compressed = client.post('Produce', 9, produceOf('c', keyed(['a', 'b'])));
  const unanswered = client.post('Produce', 9, produceOf('c', keyed(['c'], 'gzip'), 0));
  const plain = client.post('Produce', 9, produceOf('c', keyed(['d'], 'none')));
  const elsewhere = client.post('Produce', 9, produceOf('t', batch(['x'])));
  const asked = client.post('ApiVersions', 0, {});
  await until(() => gate.arrived >= 1);
  expect((await other.request('ApiVersions', 0, {})).errorCode).toBe(0);
  expect(await produce(other, 't', batch(['of another']))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(await produce(other, 'c', keyed(['of another'], 'none'))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(client.answers.length).toBe(before);
  gate.open();
  await client.answerTo(asked);
  expect(client.answers.slice(before).map(({ correlationId }) => correlationId)).toEqual(
    [compressed, unanswered, plain, elsewhere, asked].filter((id) => id !== unanswered),
  );
  expect(await produceAnswer(client, compressed)).toMatchObject([{ errorCode: 0, baseOffset: 1 }]);
  expect(await produceAnswer(client, plain)).toMatchObject([{ errorCode: 0, baseOffset: 4 }]);
  expect(await produceAnswer(client, elsewhere)).toMatchObject([{ errorCode: 0, baseOffset: 1 }]);
});

test('batches of an idempotent producer that are sent without waiting are taken in their order, whatever they are compressed with', async () => {
  const { client: connect } = await startHeld();
  const client = await connect();
  await makeTopic(client, 'c', 1, COMPACTED);
  const { producerId, producerEpoch } = await newProducer(client);
  const posted = Array.from({ length: 60 }, (_, i) => {
    const compression = compressions[i % compressions.length]!;
    const options = { key, compression, producerId, producerEpoch, baseSequence: i };
    return client.post('Produce', 9, produceOf('c', batch(['x'.repeat((i % 7) * 10_000)], options)));
  });
  for (const [i, correlationId] of posted.entries()) {
    expect(await produceAnswer(client, correlationId)).toMatchObject([{ errorCode: 0, baseOffset: i }]);
  }
});

test.each([
  ['little', 10],
  ['much', LARGE],
])('each batch is refused for what is wrong with it, and no other: batches that hold %s', async (_, valueBytes) => {
  const { client: connect } = await startHeld();
  const client = await connect();
  await makeTopic(client, 'c', 6, COMPACTED);
  const value = Buffer.alloc(valueBytes);
  const timestampMs = Date.now();
  const of = (keys: readonly (Buffer | null)[], compression: Compression) =>
    buildBatch(
      keys.map((one) => ({ timestampMs, key: one, value })),
      { compression },
    );
  const garbage = of([key], 'gzip');
  garbage.fill(0xff, 61);
  stampCrc(garbage, 0);
  const flipped = of([key], 'zstd');
  flipped[70]! ^= 1;
  const mixed = of([key, null, key, null], 'lz4');
  const parts = [of([key], 'zstd'), garbage, of([null], 'snappy'), flipped, mixed, of([key], 'none')];
  const answers = await produceAnswer(client, client.post('Produce', 9, produceToAll('c', parts)));
  expect(answers.map(({ errorCode }) => errorCode)).toEqual([0, INVALID_RECORD, INVALID_RECORD, 2, INVALID_RECORD, 0]);
  expect(answers.map(({ recordErrors }) => recordErrors.map(({ batchIndex }) => batchIndex))).toEqual([
    [],
    [],
    [0],
    [],
    [1, 3],
    [],
  ]);
});

test('batches that hold little are looked into at once, as many as a turn of the event loop has room for', async () => {
  let turns = 0;
  const clock: Clock = {
    ...systemClock,
    after(delayMs, action) {
      if (delayMs === 0) turns += 1;
      return systemClock.after(delayMs, action);
    },
  };
  const { client: connect, decompressed } = await startHeld({ clock });
  const client = await connect();
  const PARTITIONS = 100;
  await makeTopic(client, 'c', PARTITIONS, COMPACTED);
  const many = Array.from({ length: PARTITIONS }, () => keyed(['a'], 'gzip', 50_000));
  turns = 0;
  const answers = await produceAnswer(client, client.post('Produce', 9, produceToAll('c', many)));
  expect(answers.map(({ errorCode }) => errorCode)).toEqual(many.map(() => 0));
  expect(decompressed()).toBe(0);
  // 5 MB are 20 times 256 KiB.
  expect(turns).toBeGreaterThanOrEqual(19);
});

test('acks=0 that is refused for its keys ends the connection', async () => {
  const { client: connect } = await startHeld();
  const client = await connect();
  await makeTopic(client, 'c', 1, COMPACTED);
  client.post('Produce', 9, produceOf('c', batch(['no key'], { compression: 'zstd' }), 0));
  await client.closed;
});

test('what a batch waits in is its own: other clients’ bytes do not get into it', async () => {
  const { client: connect, gate } = await startHeld();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 'c', 2, COMPACTED);
  await makeTopic(client, 't');
  gate.close();
  const sent = [keyed(['a'.repeat(1000)]), keyed(['b'.repeat(1000)], 'none')];
  const posted = client.post('Produce', 9, produceToAll('c', sent));
  await until(() => gate.arrived >= 1);
  for (let i = 0; i < 5; i += 1) await produce(other, 't', batch(['z'.repeat(100_000)]));
  gate.open();
  expect((await produceAnswer(client, posted)).map(({ errorCode }) => errorCode)).toEqual([0, 0]);
  const stored = await valuesOf(client, 'c');
  expect(stored.subarray(61).equals(sent[0]!.subarray(61))).toBe(true);
});

test('a topic that becomes compacted while another batch of the request is looked into takes no record without a key', async () => {
  const { client: connect, gate } = await startHeld();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 'c', 1, COMPACTED);
  await makeTopic(client, 't');
  const noKey = batch(['no key'], { compression: 'gzip' });
  gate.close();
  const data = (name: string, records: Buffer) => ({ name, partitionData: [{ index: 0, records: [records] }] });
  const topicData = [data('c', keyed(['a'])), data('t', noKey)];
  const posted = client.post('Produce', 9, { acks: -1, timeoutMs: 5000, topicData });
  await until(() => gate.arrived >= 1);
  const configs = [{ name: 'cleanup.policy', configOperation: 0, value: 'compact' }];
  await other.request('IncrementalAlterConfigs', 1, { resources: [{ resourceType: 2, resourceName: 't', configs }] });
  gate.open();
  const { responses } = client.decode('Produce', 9, await client.answerTo(posted));
  expect(responses.map(({ partitionResponses }) => partitionResponses[0]!.errorCode)).toEqual([0, INVALID_RECORD]);
});

test('a topic that becomes compacted after the last look at its batches has them appended before', async () => {
  const { broker, client: connect, gate } = await startHeld();
  const client = await connect();
  await makeTopic(client, 'c', 1, COMPACTED);
  await makeTopic(client, 't');
  gate.close();
  const data = (name: string, records: Buffer) => ({ name, partitionData: [{ index: 0, records: [records] }] });
  const topicData = [data('c', keyed(['a'])), data('t', batch(['no key'], { compression: 'gzip' }))];
  const posted = client.post('Produce', 9, { acks: -1, timeoutMs: 5000, topicData });
  await until(() => gate.arrived >= 1);
  const topic = broker.topics.get('t');
  const looked = vi.spyOn(broker.topics, 'find').mockImplementation(() => {
    queueMicrotask(() => topic.refresh({ ...topic.record, settings: COMPACTED }));
    return topic;
  });
  gate.open();
  const { responses } = client.decode('Produce', 9, await client.answerTo(posted));
  vi.restoreAllMocks();
  expect(looked).toHaveBeenCalledTimes(1);
  expect(responses.map(({ partitionResponses }) => partitionResponses[0]!.errorCode)).toEqual([0, 0]);
});

test('a topic that is deleted meanwhile is unknown', async () => {
  const { client: connect, gate } = await startHeld();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 'c', 1, COMPACTED);
  gate.close();
  const posted = client.post('Produce', 9, produceOf('c', keyed(['a'])));
  await until(() => gate.arrived >= 1);
  await other.request('DeleteTopics', 5, { topicNames: ['c'], timeoutMs: 5000 });
  gate.open();
  expect(await produceAnswer(client, posted)).toMatchObject([{ errorCode: 3 }]);
});

test('of batches that hold much one is decompressed at a time, and clients take turns', async () => {
  const { client: connect, most, largest } = await startHeld();
  const clients = await Promise.all(Array.from({ length: 8 }, connect));
  await makeTopic(clients[0]!, 'c', 20, COMPACTED);
  const much = keyed(['a'], 'zstd', 5 << 20);
  const [greedy, ...modest] = clients;
  const posted = greedy!.post('Produce', 9, produceToAll('c', Array<Buffer>(20).fill(much)));
  const others = await Promise.all(modest.map((client) => produce(client, 'c', much, -1, 19)));
  expect(others.map(({ errorCode }) => errorCode)).toEqual(modest.map(() => 0));
  // All have their places before what was asked at once.
  expect((await produceAnswer(greedy!, posted))[19]).toMatchObject({ errorCode: 0, baseOffset: modest.length });
  expect(largest()).toBe(1);
  expect(most()).toBeLessThanOrEqual(5);
});

/** A broker whose clock can be set forward. */
async function startHeldInTime() {
  let aheadMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const held = await startHeld({ clock });
  return { ...held, setForward: (byMs: number) => void (aheadMs += byMs) };
}

test('a request that has waited for too long to be looked into ends its connection, and is sent again as a whole', async () => {
  const { client: connect, gate, decompressed, setForward, warnings } = await startHeldInTime();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 'c', 3, COMPACTED);
  gate.close();
  const all = produceToAll('c', [keyed(['a']), keyed(['b']), keyed(['c'], 'none')]);
  const posted = client.post('Produce', 9, all);
  await until(() => gate.arrived >= 1);
  setForward(3_600_000);
  gate.open();
  await expect(client.answerTo(posted)).rejects.toThrow('the connection was closed');
  expect(decompressed()).toBe(1);
  expect(warnings).toMatchObject([{ facts: { reason: expect.stringContaining('keys') } }]);
  const answers = await produceAnswer(other, other.post('Produce', 9, all));
  expect(answers).toMatchObject(Array(3).fill({ errorCode: 0, baseOffset: 0 }));
});

test('a new producer’s first batch has waited for too long: what it sent behind it is not stored before it', async () => {
  const { client: connect, gate, setForward } = await startHeldInTime();
  const [client, again] = [await connect(), await connect()];
  await makeTopic(client, 'c', 2, COMPACTED);
  const producer = await newProducer(client);
  const numbered = (baseSequence: number) =>
    batch(['x'.padEnd(LARGE, '.')], { key, compression: 'zstd', ...producer, baseSequence });
  const first = produceToAll('c', [keyed(['a']), numbered(0)]);
  const second = produceOf('c', numbered(1), -1, 1);
  gate.close();
  const posted = [client.post('Produce', 9, first), client.post('Produce', 9, second)];
  await until(() => gate.arrived >= 1);
  setForward(31_000);
  gate.open();
  await Promise.allSettled(posted.map((id) => client.answerTo(id)));
  const [firstAgain, secondAgain] = [again.post('Produce', 9, first), again.post('Produce', 9, second)];
  expect((await produceAnswer(again, firstAgain))[1]).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(await produceAnswer(again, secondAgain)).toMatchObject([{ errorCode: 0, baseOffset: 1 }]);
});

test('a client that has said all it has to say is answered, and one of a broker that stops too', async () => {
  const { client: connect, gate, stop } = await startHeld();
  const [ended, other] = [await connect(), await connect()];
  await makeTopic(other, 'c', 1, COMPACTED);
  gate.close();
  const first = ended.post('Produce', 9, produceOf('c', keyed(['a'])));
  const second = ended.post('Produce', 9, produceOf('c', keyed(['b'])));
  ended.socket.end();
  await until(() => gate.arrived >= 1);
  gate.open();
  expect(await produceAnswer(ended, first)).toMatchObject([{ errorCode: 0, baseOffset: 0 }]);
  expect(await produceAnswer(ended, second)).toMatchObject([{ errorCode: 0, baseOffset: 1 }]);
  gate.close();
  const last = other.post('Produce', 9, produceOf('c', keyed(['c'])));
  await until(() => gate.arrived >= 1);
  const stopped = stop();
  gate.open();
  expect(await produceAnswer(other, last)).toMatchObject([{ errorCode: 0, baseOffset: 2 }]);
  await stopped;
});

function connectInProcess(broker: Broker): Promise<Transport> {
  return localConnector(broker, new FetchSessions(systemRandom), 'local').connect({ host: 'in-process', port: 1 });
}

test('a client in the same process: later requests wait their turn too', async () => {
  const { broker, gate, client: connect } = await startHeld();
  await makeTopic(await connect(), 'c', 1, COMPACTED);
  const transport = await connectInProcess(broker);
  gate.close();
  const done: string[] = [];
  const send = async (name: string, records: Buffer): Promise<number> => {
    const { responses }: Messages['Produce']['response'] = await transport.request(
      'Produce',
      9,
      produceOf('c', records),
    );
    done.push(name);
    return responses[0]!.partitionResponses[0]!.baseOffset;
  };
  const sent = [send('a', keyed(['a'])), send('b', keyed(['b'], 'gzip')), send('c', keyed(['c'], 'none'))];
  const asked = transport.request('ApiVersions', 0, {}).then(() => done.push('asked'));
  await until(() => gate.arrived >= 1);
  expect(done).toEqual([]);
  gate.open();
  expect(await Promise.all(sent)).toEqual([0, 1, 2]);
  await asked;
  transport.close();
});

test('a client in the same process: a request that is wrong fails alone, also when it waited its turn', async () => {
  const { broker, gate, client: connect } = await startHeld();
  await makeTopic(await connect(), 'c', 1, COMPACTED);
  const transport = await connectInProcess(broker);
  gate.close();
  const held = transport.request('Produce', 9, produceOf('c', keyed(['a'])));
  const wrong = failureOf(transport.request('Produce', 9, { ...produceOf('c', keyed(['b'])), timeoutMs: 0.5 }));
  const later = transport.request('ApiVersions', 0, {});
  await until(() => gate.arrived >= 1);
  gate.open();
  expect((await held).responses[0]!.partitionResponses).toMatchObject([{ errorCode: 0, baseOffset: 0 }]);
  expect(await wrong).toMatchObject({ fault: 'invalidArgument' });
  expect(await later).toMatchObject({ errorCode: 0 });
  transport.close();
});
