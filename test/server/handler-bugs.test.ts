import { expect, test, vi } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import type { LogRead } from '../../src/log/log-reader.ts';
import type { Draft } from '../../src/wire/codec.ts';
import type { ApiName, Messages } from '../../src/wire/messages.generated.ts';
import { batch, fetchOf, makeTopic, produce, type RawClient, startBroker } from './support.ts';

/*
 * A bug in what only reads fails the request that met it: nothing that is stored is in doubt. A bug in what changes something
 * stops the broker, since nobody knows how far it came.
 */

const UNKNOWN_SERVER_ERROR = -1;

/** From now on every look at a topic meets a bug, until the returned function is called. */
function plantBug(broker: Broker): () => void {
  const bug = (): never => {
    throw new TypeError('planted');
  };
  const spies = (['get', 'find'] as const).map((name) => vi.spyOn(broker.topics, name).mockImplementation(bug));
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

type Ask = (client: RawClient) => Promise<number>;

function asking<A extends ApiName>(
  api: A,
  version: number,
  message: Draft<Messages[A]['request']>,
  codeOf: (answer: Messages[A]['response']) => number,
): [string, Ask] {
  return [`${api} ${version}`, async (client) => codeOf(await client.request(api, version, message))];
}

const reads = [
  asking('Fetch', 12, fetchOf('t'), (answer) => answer.errorCode),
  asking(
    'ListOffsets',
    5,
    { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] },
    ({ topics }) => topics[0]!.partitions[0]!.errorCode,
  ),
  asking('Metadata', 9, { topics: [{ name: 't' }] }, ({ topics }) => topics[0]!.errorCode),
  asking(
    'DescribeConfigs',
    2,
    { resources: [{ resourceType: 2, resourceName: 't', configurationKeys: null }] },
    ({ results }) => results[0]!.errorCode,
  ),
  asking(
    'OffsetForLeaderEpoch',
    4,
    { replicaId: -1, topics: [{ topic: 't', partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }] }] },
    ({ topics }) => topics[0]!.partitions[0]!.errorCode,
  ),
];

test.each(reads)('a bug in %s is answered and logged, and the broker goes on', async (_, ask) => {
  const { broker, client: connect, warnings } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const remove = plantBug(broker);
  expect(await ask(client)).toBe(UNKNOWN_SERVER_ERROR);
  expect(warnings).toEqual([
    { message: expect.stringContaining('a bug'), facts: expect.objectContaining({ err: expect.any(TypeError) }) },
  ]);
  remove();
  expect(broker.stopped).toBeNull();
  expect(await ask(client)).toBe(0);
  expect((await produce(client, 't', batch())).errorCode).toBe(0);
});

test('where the answer has no place for an error the connection ends, and the broker goes on', async () => {
  const { broker, client: connect, warnings } = await startBroker();
  const [client, other] = [await connect(), await connect()];
  await makeTopic(client, 't');
  const remove = plantBug(broker);
  client.post('DescribeTopicPartitions', 0, { topics: [{ name: 't' }], responsePartitionLimit: 1, cursor: null });
  client.post('Fetch', 6, fetchOf('t'));
  await client.closed;
  remove();
  expect(warnings.map(({ message }) => message)).toContainEqual(expect.stringContaining('a bug'));
  expect((await produce(other, 't', batch())).errorCode).toBe(0);
});

test('a bug in the read of one partition lets go of what was read of those before it', async () => {
  const { broker, client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't', 2);
  await produce(client, 't', batch());
  const [first, second] = [0, 1].map((partition) => broker.topics.get('t').partition(partition).reader);
  const readFirst = first!.read.bind(first);
  const released: boolean[] = [];
  vi.spyOn(first!, 'read').mockImplementation((...asked) => {
    const found = readFirst(...asked) as LogRead;
    const index = released.push(false) - 1;
    const release = (buffer?: Buffer): void => {
      released[index] = true;
      found.release(buffer);
    };
    return { ...found, release };
  });
  const bugAtOnce = (): never => {
    throw new TypeError('planted');
  };
  for (const bug of [bugAtOnce, async () => bugAtOnce()]) {
    vi.spyOn(second!, 'read').mockImplementation(bug);
    const partitions = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }));
    const answer = await client.request('Fetch', 12, { ...fetchOf('t'), topics: [{ topic: 't', partitions }] });
    expect(answer.errorCode).toBe(UNKNOWN_SERVER_ERROR);
  }
  expect(released).toEqual([true, true]);
});

test('a bug in what changes something stops the broker', async () => {
  const { broker, client: connect } = await startBroker();
  const client = await connect();
  await makeTopic(client, 't');
  const remove = plantBug(broker);
  client.post('Produce', 9, {
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ name: 't', partitionData: [{ index: 0, records: [batch()] }] }],
  });
  await client.closed;
  remove();
  expect((await broker.fatal).cause).toBeInstanceOf(TypeError);
});

test('so does one met while Metadata makes a topic', async () => {
  const { broker, client: connect } = await startBroker();
  const client = await connect();
  const spy = vi.spyOn(broker.topics, 'create').mockRejectedValue(new TypeError('planted'));
  client.post('Metadata', 9, { topics: [{ name: 'new' }], allowAutoTopicCreation: true });
  await client.closed;
  spy.mockRestore();
  expect((await broker.fatal).cause).toBeInstanceOf(TypeError);
});
