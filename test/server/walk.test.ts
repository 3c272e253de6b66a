import { beforeEach, describe, expect, test } from 'vitest';
import { ZERO_UUID } from '../../src/base/random.ts';
import { handlers } from '../../src/server/handlers/index.ts';
import type { ApiName } from '../../src/wire/messages.generated.ts';
import { OWN_KEY_FIRST } from '../../src/wire/own-apis.ts';
import { consumerGroupWalk } from './consumer-group-walk.ts';
import { groupWalk } from './group-walk.ts';
import { batch, makeTopic, produce, type RawClient, startBroker, type TestBroker } from './support.ts';
import { STRANGE_ID, type Step, UNKNOWN_ID, UNKNOWN_TOPIC, type Walk } from './walk-step.ts';

/*
 * Every handler, in every version it serves, with what is known and what is not: each answer must decode in that version and
 * say what that version can say. A handler that is missing here fails the first test.
 */

/** A topic as a request names it: up to a version by name, from it on by id. */
const named = (version: number, idsFrom: number, name: string, id: string) =>
  version < idsFrom ? { name } : { topicId: id };

const fetchTopic = (version: number, name: string, id: string, partitions: object[]) =>
  version < 13 ? { topic: name, partitions } : { topicId: id, partitions };

const resource = (resourceType: number, resourceName: string) => ({ resourceType, resourceName });

const kafkas = handlers.filter(({ key }) => key < OWN_KEY_FIRST);

const walk: Walk = {
  ...groupWalk,
  ...consumerGroupWalk,
  Produce: [
    {
      says: 'stores, and refuses an unknown topic alone',
      ask: (version, { topic, topicId }) => ({
        acks: -1,
        timeoutMs: 1000,
        topicData: [
          { ...named(version, 13, topic, topicId), partitionData: [{ index: 1, records: [batch()] }] },
          { ...named(version, 13, 'no-such', STRANGE_ID), partitionData: [{ index: 0, records: [batch()] }] },
        ],
      }),
      check: ({ responses }, version, { topic, topicId }) => {
        expect(responses[0]).toMatchObject(named(version, 13, topic, topicId));
        expect(responses[0]!.partitionResponses[0]).toMatchObject({
          index: 1,
          errorCode: 0,
          baseOffset: 0,
          logAppendTimeMs: -1,
          logStartOffset: version < 5 ? -1 : 0,
          errorMessage: null,
        });
        const refused = responses[1]!.partitionResponses[0]!;
        expect(refused).toMatchObject({ errorCode: version < 13 ? UNKNOWN_TOPIC : UNKNOWN_ID, baseOffset: -1 });
        if (version >= 8) expect(refused.errorMessage).toContain(version < 13 ? 'no-such' : STRANGE_ID);
      },
    },
  ],
  Fetch: [
    {
      says: 'reads, and refuses an unknown topic alone',
      ask: (version, { topic, topicId }) => ({
        maxWaitMs: 0,
        minBytes: 1,
        topics: [
          fetchTopic(version, topic, topicId, [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]),
          fetchTopic(version, 'no-such', STRANGE_ID, [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]),
        ],
      }),
      check: ({ errorCode, responses }, version, { topic, topicId }) => {
        expect(errorCode).toBe(0);
        expect(responses[0]).toMatchObject(version < 13 ? { topic } : { topicId });
        const [read] = responses[0]!.partitions;
        expect(read).toMatchObject({ partitionIndex: 0, errorCode: 0, highWatermark: 3, lastStableOffset: 3 });
        expect(Buffer.concat(read!.records ?? []).toString('latin1')).toContain('three');
        const [refused] = responses[1]!.partitions;
        expect(refused).toMatchObject({ errorCode: version < 13 ? UNKNOWN_TOPIC : UNKNOWN_ID, highWatermark: -1 });
      },
    },
    {
      says: 'answers a fetch session that nobody keeps',
      ask: (version) => (version < 7 ? {} : { sessionId: 77, sessionEpoch: 5 }),
      check: ({ errorCode }, version) => expect(errorCode).toBe(version < 7 ? 0 : 70),
    },
  ],
  ListOffsets: [
    {
      says: 'finds the ends, and a time',
      ask: (_, { topic }) => ({
        replicaId: -1,
        topics: [
          { name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] },
          { name: topic, partitions: [{ partitionIndex: 0, timestamp: -2 }] },
          { name: topic, partitions: [{ partitionIndex: 0, timestamp: 1000 }] },
          { name: topic, partitions: [{ partitionIndex: 9, timestamp: -1 }] },
          { name: 'no-such', partitions: [{ partitionIndex: 0, timestamp: -1 }] },
        ],
      }),
      check: ({ topics }, version) => {
        const found = topics.map(({ partitions }) => partitions[0]!);
        expect(found.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, UNKNOWN_TOPIC, UNKNOWN_TOPIC]);
        expect(found.map(({ offset }) => offset)).toEqual([3, 0, 0, -1, -1]);
        expect(found[0]!.leaderEpoch).toBe(version < 4 ? -1 : 0);
      },
    },
  ],
  Metadata: [
    {
      says: 'describes a topic, and refuses an unknown and an illegal one',
      ask: (version, { topic }) => ({
        topics: [{ name: topic }, { name: '../x' }, ...(version < 4 ? [] : [{ name: 'no-such' }])],
        ...(version < 4 ? {} : { allowAutoTopicCreation: false }),
      }),
      check: ({ brokers, topics, clusterId, controllerId }, version, { topic, topicId }) => {
        expect(brokers).toMatchObject([{ nodeId: 1, host: '127.0.0.1' }]);
        expect(brokers[0]!.port).toBeGreaterThan(0);
        if (version >= 2) expect(clusterId).toMatch(/^.{22}$/);
        if (version >= 1) expect(controllerId).toBe(1);
        expect(topics[0]).toMatchObject({ name: topic, errorCode: 0, topicId: version < 10 ? ZERO_UUID : topicId });
        expect(topics[0]!.partitions).toMatchObject([
          { partitionIndex: 0, leaderId: 1, replicaNodes: [1], isrNodes: [1] },
          { partitionIndex: 1, leaderId: 1, replicaNodes: [1], isrNodes: [1] },
        ]);
        expect(topics[1]).toMatchObject({ name: '../x', errorCode: 17 });
        if (version >= 4) expect(topics[2]).toMatchObject({ name: 'no-such', errorCode: UNKNOWN_TOPIC });
      },
    },
    {
      says: 'lists all topics, and none',
      ask: (version) => ({ topics: version === 0 ? [] : null }),
      check: ({ topics }, _version, { topic }) => expect(topics.map(({ name }) => name)).toEqual([topic]),
    },
    {
      says: 'describes a topic by its id',
      ask: (version, { topicId }) =>
        version < 12
          ? { topics: version === 0 ? [] : null }
          : {
              topics: [
                { name: null, topicId },
                { name: null, topicId: STRANGE_ID },
              ],
            },
      check: ({ topics }, version, { topic }) => {
        expect(topics[0]!.name).toBe(topic);
        if (version >= 12) expect(topics[1]).toMatchObject({ name: null, topicId: STRANGE_ID, errorCode: UNKNOWN_ID });
      },
    },
  ],
  ApiVersions: [
    {
      says: 'names every handler',
      ask: (version) => (version < 3 ? {} : { clientSoftwareName: 'walk', clientSoftwareVersion: '1' }),
      check: ({ errorCode, apiKeys }) => {
        expect(errorCode).toBe(0);
        expect(apiKeys.map(({ apiKey }) => apiKey)).toEqual(kafkas.map(({ key }) => key));
      },
    },
    {
      says: "names Millrace's own only to who calls itself so",
      ask: (version) => (version < 3 ? {} : { clientSoftwareName: 'millrace', clientSoftwareVersion: '1' }),
      check: ({ apiKeys }, version) => expect(apiKeys).toHaveLength(version < 3 ? kafkas.length : handlers.length),
    },
  ],
  CreateTopics: [
    {
      says: 'makes one, refuses a second of its name, an illegal name and a wrong setting',
      ask: (_, { topic }) => ({
        topics: [
          { name: 'made', numPartitions: 2, replicationFactor: 1 },
          { name: topic, numPartitions: 1, replicationFactor: 1 },
          { name: 'a b', numPartitions: 1, replicationFactor: 1 },
          { name: 'wrong', numPartitions: 1, replicationFactor: 1, configs: [{ name: 'retention.ms', value: 'x' }] },
        ],
      }),
      check: ({ topics }, version) => {
        expect(topics.map(({ errorCode }) => errorCode)).toEqual([0, 36, 17, 40]);
        if (version >= 5) expect(topics[0]).toMatchObject({ numPartitions: 2, replicationFactor: 1 });
        if (version >= 5) expect(topics[0]!.configs!.length).toBeGreaterThan(10);
        expect(topics[0]!.topicId === ZERO_UUID).toBe(version < 7);
        expect(topics[3]!.errorMessage).toContain('retention.ms');
      },
    },
    {
      says: 'only says what it would make',
      ask: () => ({ topics: [{ name: 'not-made', numPartitions: -1, replicationFactor: -1 }], validateOnly: true }),
      check: ({ topics }) => expect(topics[0]!.errorCode).toBe(0),
    },
  ],
  DeleteTopics: [
    {
      says: 'deletes by name, and by id where the version has it',
      ask: (version, { topic }) =>
        version < 6
          ? { topicNames: [topic, 'no-such'] }
          : { topics: [{ name: topic }, { name: 'no-such' }, { name: null, topicId: STRANGE_ID }] },
      check: ({ responses }, version, { topic, topicId }) => {
        expect(responses[0]).toMatchObject({
          name: topic,
          errorCode: 0,
          topicId: version < 6 ? ZERO_UUID : topicId,
        });
        expect(responses[1]).toMatchObject({ name: 'no-such', errorCode: UNKNOWN_TOPIC });
        if (version >= 6) expect(responses[2]).toMatchObject({ name: null, errorCode: UNKNOWN_ID });
      },
    },
  ],
  DeleteRecords: [
    {
      says: 'moves the start',
      ask: (_, { topic }) => ({
        topics: [
          { name: topic, partitions: [{ partitionIndex: 0, offset: 2 }] },
          { name: 'no-such', partitions: [{ partitionIndex: 0, offset: 2 }] },
        ],
      }),
      check: ({ topics }) => {
        expect(topics[0]!.partitions[0]).toEqual({ partitionIndex: 0, lowWatermark: 2, errorCode: 0 });
        expect(topics[1]!.partitions[0]).toMatchObject({ lowWatermark: -1, errorCode: UNKNOWN_TOPIC });
      },
    },
  ],
  InitProducerId: [
    {
      says: 'gives a producer id',
      ask: () => ({ transactionalId: null, transactionTimeoutMs: 1000 }),
      check: (answer) => {
        expect(answer).toMatchObject({ errorCode: 0, producerEpoch: 0 });
        expect(answer.producerId).toBeGreaterThanOrEqual(0);
      },
    },
    {
      says: 'refuses a transactional one',
      ask: () => ({ transactionalId: 'tx', transactionTimeoutMs: 1000 }),
      check: (answer) => expect(answer).toMatchObject({ errorCode: 35, producerId: -1, producerEpoch: -1 }),
    },
  ],
  OffsetForLeaderEpoch: [
    {
      says: 'knows where an epoch ends',
      ask: (version, { topic }) => ({
        ...(version < 3 ? {} : { replicaId: -1 }),
        topics: [
          { topic, partitions: [{ partition: 0, leaderEpoch: 0 }] },
          { topic: 'no-such', partitions: [{ partition: 0, leaderEpoch: 0 }] },
        ],
      }),
      check: ({ topics }) => {
        expect(topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 3 });
        expect(topics[1]!.partitions[0]).toMatchObject({ errorCode: UNKNOWN_TOPIC, leaderEpoch: -1, endOffset: -1 });
      },
    },
  ],
  DescribeAcls: [
    {
      says: 'has none to tell',
      ask: () => ({ resourceTypeFilter: 1, operation: 1, permissionType: 1, principalFilter: null, hostFilter: null }),
      check: ({ errorCode, errorMessage, resources }) => {
        expect({ errorCode, resources }).toEqual({ errorCode: 54, resources: [] });
        expect(errorMessage).toContain('access control');
      },
    },
  ],
  DescribeConfigs: [
    {
      says: 'tells the settings of a group that need not exist',
      ask: () => ({ resources: [{ ...resource(32, 'any'), configurationKeys: null }] }),
      check: ({ results }) =>
        expect(results[0]!.configs.map(({ name }) => name)).toContain('consumer.session.timeout.ms'),
    },
    {
      says: 'tells the settings of a topic and of the broker',
      ask: (version, { topic }) => ({
        resources: [
          { ...resource(2, topic), configurationKeys: ['retention.ms', 'no.such'] },
          { ...resource(4, '1'), configurationKeys: null },
          { ...resource(2, 'no-such'), configurationKeys: null },
          { ...resource(99, 'x'), configurationKeys: null },
        ],
        includeSynonyms: true,
        ...(version < 3 ? {} : { includeDocumentation: true }),
      }),
      check: ({ results }, version) => {
        expect(results.map(({ errorCode }) => errorCode)).toEqual([0, 0, UNKNOWN_TOPIC, 42]);
        expect(results[0]!.configs).toEqual([
          expect.objectContaining({
            name: 'retention.ms',
            value: '604800000',
            configSource: 5,
            configType: version < 3 ? 0 : 5,
          }),
        ]);
        expect(results[0]!.configs[0]!.synonyms).toEqual([{ name: 'log.retention.ms', value: '604800000', source: 5 }]);
        expect(results[0]!.configs[0]!.documentation === '').toBe(version < 3);
        expect(results[1]!.configs).toContainEqual(expect.objectContaining({ name: 'node.id', value: '1' }));
      },
    },
  ],
  AlterConfigs: [
    {
      says: 'replaces the settings of a topic',
      ask: (_, { topic }) => ({
        resources: [
          { ...resource(2, topic), configs: [{ name: 'retention.ms', value: '5' }] },
          { ...resource(2, topic), configs: [{ name: 'no.such', value: '5' }] },
          { ...resource(2, 'no-such'), configs: [] },
        ],
      }),
      check: ({ responses }) => expect(responses.map(({ errorCode }) => errorCode)).toEqual([0, 40, UNKNOWN_TOPIC]),
    },
  ],
  IncrementalAlterConfigs: [
    {
      says: 'changes a setting of a topic and of the broker',
      ask: (_, { topic }) => ({
        resources: [
          { ...resource(2, topic), configs: [{ name: 'retention.ms', configOperation: 0, value: '5' }] },
          { ...resource(4, '1'), configs: [{ name: 'log.retention.ms', configOperation: 1, value: null }] },
          { ...resource(2, 'no-such'), configs: [] },
        ],
      }),
      check: ({ responses }) => expect(responses.map(({ errorCode }) => errorCode)).toEqual([0, 0, UNKNOWN_TOPIC]),
    },
  ],
  DescribeLogDirs: [
    {
      says: 'tells what a topic takes',
      ask: () => ({ topics: null }),
      check: ({ results }, version, { topic }) => {
        expect(results[0]).toMatchObject({ errorCode: 0, topics: [{ name: topic }] });
        expect(results[0]!.topics[0]!.partitions[0]!.partitionSize).toBeGreaterThan(60);
        expect(results[0]!.totalBytes > 0).toBe(version >= 4);
      },
    },
    {
      says: 'tells it of the partitions asked for',
      ask: (_, { topic }) => ({
        topics: [
          { topic, partitions: [1, 7] },
          { topic: 'no-such', partitions: [0] },
        ],
      }),
      check: ({ results }, _version, { topic }) => {
        expect(results[0]!.topics).toMatchObject([
          { name: topic, partitions: [{ partitionIndex: 1, partitionSize: 0 }] },
        ]);
      },
    },
  ],
  CreatePartitions: [
    {
      says: 'adds partitions',
      ask: (_, { topic }) => ({
        topics: [
          { name: topic, count: 5, assignments: null },
          { name: 'no-such', count: 5, assignments: null },
        ],
      }),
      check: ({ results }) => expect(results.map(({ errorCode }) => errorCode)).toEqual([0, UNKNOWN_TOPIC]),
    },
  ],
  ListPartitionReassignments: [
    {
      says: 'knows none',
      ask: () => ({ topics: null }),
      check: ({ errorCode, topics }) => expect({ errorCode, topics }).toEqual({ errorCode: 0, topics: [] }),
    },
  ],
  DescribeCluster: [
    {
      says: 'is a cluster of one',
      ask: () => ({}),
      check: (answer) => {
        expect(answer).toMatchObject({ errorCode: 0, controllerId: 1, brokers: [{ brokerId: 1, host: '127.0.0.1' }] });
      },
    },
  ],
  ListConfigResources: [
    {
      says: 'names what has settings',
      ask: () => ({}),
      check: ({ errorCode, configResources }, version, { topic }) => {
        expect(errorCode).toBe(0);
        const expected = [
          { resourceName: topic, resourceType: 2 },
          { resourceName: '1', resourceType: 4 },
        ];
        expect(configResources).toEqual(version === 0 ? [] : expect.arrayContaining(expected));
      },
    },
  ],
  DescribeSegments: [
    {
      says: 'tells of the files, and where an offset lies',
      ask: (_, { topic }) => ({
        topics: [
          {
            name: topic,
            partitions: [{ partitionIndex: 0, offset: 1 }, { partitionIndex: 1 }, { partitionIndex: 0, offset: 3 }],
          },
          { name: 'no-such', partitions: [{ partitionIndex: 0 }] },
        ],
      }),
      check: ({ topics }, _version, { topicId }) => {
        const [found, empty, beyond] = topics[0]!.partitions;
        expect(found).toMatchObject({ errorCode: 0, errorMessage: null, segments: [{ baseOffset: 0, endNext: 3 }] });
        expect(found!.folder).toContain(topicId);
        expect(found!.place).toMatchObject({ segment: 0, offsetEntry: null, timeEntry: null });
        expect(found!.place!.batch!.baseOffset).toBeLessThanOrEqual(1);
        expect(found!.place!.batch!.lastOffset).toBeGreaterThanOrEqual(1);
        expect(empty).toMatchObject({ errorCode: 0, segments: [{ endNext: 0, sizeBytes: 0 }], place: null });
        expect(beyond).toMatchObject({ errorCode: 1, segments: [], place: null });
        expect(topics[1]!.partitions[0]!.errorCode).toBe(UNKNOWN_TOPIC);
      },
    },
  ],
  DescribeTopicPartitions: [
    {
      says: 'goes on from a cursor',
      ask: (_, { topic }) => ({
        topics: [{ name: topic }],
        responsePartitionLimit: 1,
        cursor: { topicName: topic, partitionIndex: 0 },
      }),
      check: ({ topics, nextCursor }, _version, { topic, topicId }) => {
        expect(topics).toMatchObject([{ errorCode: 0, name: topic, topicId, partitions: [{ partitionIndex: 0 }] }]);
        expect(nextCursor).toEqual({ topicName: topic, partitionIndex: 1 });
      },
    },
  ],
};

test('every handler is walked', () => {
  expect(Object.keys(walk).sort()).toEqual(handlers.map(({ api }) => api).sort());
});

describe.each(handlers)('$api', ({ api, versions: [first, last] }) => {
  let target: TestBroker;
  let client: RawClient;

  beforeEach(async () => {
    target = await startBroker();
    client = await target.client();
  });

  test('each version answers each request, in a frame that decodes to the end', async () => {
    for (let version = first; version <= last; version += 1) {
      for (const { says, before, ask, check } of walk[api] as readonly Step<ApiName>[]) {
        const topic = `walk.${version}`;
        const topicId = await makeTopic(client, topic, 2);
        await produce(client, topic, batch(['one', 'two', 'three'], { timestampMs: 1_700_000_000_000 }));
        const place = { topic, topicId };
        await before?.(client, place);
        const answer = await client.request(api, version, ask(version, place));
        expect(() => check(answer, version, place), `${api} ${version}: ${says}`).not.toThrow();
        const topics = Array.from(target.broker.topics, ({ name }) => name);
        for (const name of topics) await client.request('DeleteTopics', 6, { topics: [{ name }] });
      }
    }
    expect(target.broker.stopped).toBeNull();
    expect(target.warnings).toEqual([]);
  });
});
