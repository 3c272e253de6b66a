import type { Messages } from '../../../src/wire/messages.generated.ts';
import { create, type NewTopic } from './create-topics.ts';
import { CLOSED, type Scenario } from './scenario.ts';
import {
  alter,
  changeScenarios,
  OF_TOPIC,
  ownSettingsOnceTold,
  type Resource,
  replace,
  settingScenarios,
} from './settings.ts';

const STRANGE_ID = 'Zm9vYmFyZm9vYmFyZm9vYg';
const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';

/** What creating one topic is answered with; each has a name of its own unless it says so. */
const creations: Record<string, (name: string) => NewTopic> = {
  'the defaults': (name) => ({ name, numPartitions: -1, replicationFactor: -1 }),
  'three partitions': (name) => ({ name, numPartitions: 3, replicationFactor: 1 }),
  'no partitions': (name) => ({ name, numPartitions: 0, replicationFactor: 1 }),
  '-2 partitions': (name) => ({ name, numPartitions: -2, replicationFactor: 1 }),
  'no replicas': (name) => ({ name, numPartitions: 1, replicationFactor: 0 }),
  '-2 replicas': (name) => ({ name, numPartitions: 1, replicationFactor: -2 }),
  'an empty name': () => ({ name: '', numPartitions: 1, replicationFactor: 1 }),
  'a name of one dot': () => ({ name: '.', numPartitions: 1, replicationFactor: 1 }),
  'a name of two dots': () => ({ name: '..', numPartitions: 1, replicationFactor: 1 }),
  'a name that is a path': () => ({ name: '../x', numPartitions: 1, replicationFactor: 1 }),
  'a name with a blank': () => ({ name: 'a b', numPartitions: 1, replicationFactor: 1 }),
  'a name beyond ASCII': () => ({ name: 'tøpic', numPartitions: 1, replicationFactor: 1 }),
  'a name of 249 characters': (name) => ({ name: name.padEnd(249, 'x'), numPartitions: 1, replicationFactor: 1 }),
  'a name of 250 characters': (name) => ({ name: name.padEnd(250, 'x'), numPartitions: 1, replicationFactor: 1 }),
  'an assignment': (name) => ({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: [
      { partitionIndex: 0, brokerIds: [1] },
      { partitionIndex: 1, brokerIds: [1] },
    ],
  }),
  'an assignment and a number': (name) => ({
    name,
    numPartitions: 1,
    replicationFactor: -1,
    assignments: [{ partitionIndex: 0, brokerIds: [1] }],
  }),
  'an assignment to a broker that is not there': (name) => ({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: [{ partitionIndex: 0, brokerIds: [99] }],
  }),
  'an assignment with a gap': (name) => ({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: [{ partitionIndex: 1, brokerIds: [1] }],
  }),
  'an assignment to no broker': (name) => ({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: [{ partitionIndex: 0, brokerIds: [] }],
  }),
};

const creationScenarios: Scenario[] = Object.entries(creations).map(([says, wish]) => ({
  api: 'CreateTopics',
  says,
  versions: [4, 7],
  run: async (side, { topic, version }) => [
    await create(side, version, [wish(topic)], true),
    await create(side, version, [wish(topic)]),
  ],
}));

const others: Scenario[] = [
  {
    api: 'CreateTopics',
    says: 'a name that exists, one that collides, and one twice in a request',
    versions: [2, 4, 7],
    run: async (side, { topic, version }) => {
      await side.topic(`${topic}.a`);
      const plain = (name: string): NewTopic => ({ name, numPartitions: 1, replicationFactor: 1 });
      return [
        await create(side, version, [plain(`${topic}.a`)]),
        await create(side, version, [plain(`${topic}_a`)]),
        await create(side, version, [plain(`${topic}-x`), plain(`${topic}-y`), plain(`${topic}-x`)]),
        await create(side, version, []),
      ];
    },
  },
  {
    api: 'DeleteTopics',
    says: 'known, unknown and impossible topics',
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const shape = (answer: Messages['DeleteTopics']['response'] | null): unknown =>
        answer === null
          ? CLOSED
          : [...new Set(answer.responses.map(({ name, errorCode }) => `${name} ${errorCode}`))].sort();
      const ask = async (...wanted: { name: string | null; topicId?: string }[]) =>
        shape(
          await side.ask(
            'DeleteTopics',
            version,
            version < 6
              ? { topicNames: wanted.map(({ name }) => name!), timeoutMs: 5000 }
              : { topics: wanted, timeoutMs: 5000 },
          ),
        );
      const answers = [
        await ask({ name: 'no-such' }),
        await ask({ name: '' }),
        await ask({ name: '../x' }),
        await ask(),
      ];
      answers.push(await ask({ name: topic }, { name: topic }));
      if (version >= 6) {
        answers.push(await ask({ name: null, topicId: STRANGE_ID }));
        answers.push(await ask({ name: null, topicId: ZERO_ID }));
        answers.push(await ask({ name: topic, topicId: id }));
      }
      answers.push(await ask({ name: topic }));
      return answers;
    },
  },
  {
    api: 'CreatePartitions',
    says: 'more, fewer, as many, and with assignments',
    run: async (side, { topic, version }) => {
      await side.topic(topic, 2);
      const ask = async (count: number, assignments: number[][] | null = null, name = topic, validateOnly = false) => {
        const wish = { name, count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null };
        const answer = await side.ask('CreatePartitions', version, { topics: [wish], timeoutMs: 5000, validateOnly });
        return answer?.results.map(({ errorCode }) => errorCode) ?? CLOSED;
      };
      return [
        await ask(3, null, topic, true),
        await ask(2),
        await ask(1),
        await ask(0),
        await ask(-1),
        await ask(3, null, 'no-such'),
        await ask(3, null, '../x'),
        await ask(3, [[99]]),
        await ask(4, [[1]]),
        await ask(3, [[1], [1]]),
        await ask(3, [[]]),
        await ask(3, [[1, 1]]),
        await ask(3, [[1]]),
        await ask(4, []),
        await ask(5),
      ];
    },
  },
  {
    api: 'CreatePartitions',
    says: 'one topic twice in a request',
    versions: [3],
    run: async (side, { topic, version }) => {
      await side.topic(topic);
      const wish = { name: topic, count: 3, assignments: null };
      const answer = await side.ask('CreatePartitions', version, { topics: [wish, wish], timeoutMs: 5000 });
      return [...new Set(answer?.results.map(({ errorCode }) => errorCode))];
    },
  },
  {
    api: 'IncrementalAlterConfigs',
    says: 'unknown and impossible resources, and one twice',
    run: async (side, { topic, version }) => {
      await side.topic(topic);
      const set: Resource[2] = [['retention.ms', '5']];
      return [
        await alter(side, version, [[OF_TOPIC, topic, set]], true),
        await alter(side, version, [[OF_TOPIC, topic, []]]),
        await alter(side, version, [[OF_TOPIC, 'no-such', set]]),
        await alter(side, version, [[OF_TOPIC, '../x', set]]),
        await alter(side, version, [[0, topic, set]]),
        await alter(side, version, [[99, topic, set]]),
        await alter(side, version, [[4, '77', set]]),
        await alter(side, version, [[4, 'x', set]]),
        await alter(side, version, [[OF_TOPIC, topic, [...set, ['retention.ms', '6']]]]),
        await ownSettingsOnceTold(side, topic),
      ];
    },
  },
  {
    api: 'AlterConfigs',
    says: 'replaces all',
    run: async (side, { topic, version }) => {
      await side.topic(topic, 1, { 'segment.ms': '100000' });
      return [
        await replace(side, version, [[OF_TOPIC, topic, [['retention.ms', '5']]]], true),
        await replace(side, version, [[OF_TOPIC, topic, [['retention.ms', '5']]]]),
        await ownSettingsOnceTold(side, topic),
        await replace(side, version, [[OF_TOPIC, topic, [['retention.ms', null]]]]),
        await replace(side, version, [[OF_TOPIC, topic, [['retention.ms', 'x']]]]),
        await replace(side, version, [[OF_TOPIC, topic, [['no.such', 'x']]]]),
        await replace(side, version, [[OF_TOPIC, 'no-such', []]]),
        await replace(side, version, [[0, 'x', []]]),
        await ownSettingsOnceTold(side, topic),
      ];
    },
  },
  {
    api: 'DescribeConfigs',
    says: 'which keys are told, of what',
    run: async (side, { topic, version }) => {
      await side.topic(topic, 1, { 'delete.retention.ms': '5' });
      const ask = async (resourceType: number, resourceName: string, configurationKeys: string[] | null) => {
        const answer = await side.ask('DescribeConfigs', version, {
          resources: [{ resourceType, resourceName, configurationKeys }],
          includeSynonyms: true,
        });
        if (answer === null) return CLOSED;
        const { errorCode, configs } = answer.results[0]!;
        if (configs.length > 3) return [errorCode, 'many'];
        return [
          errorCode,
          configs.map(({ name, value, readOnly, configSource, configType, synonyms }) => [
            name,
            value,
            readOnly,
            configSource,
            configType,
            synonyms.map((step) => [step.name, step.source]),
          ]),
        ];
      };
      return [
        await ask(OF_TOPIC, topic, null),
        await ask(OF_TOPIC, topic, []),
        await ask(OF_TOPIC, topic, ['delete.retention.ms', 'cleanup.policy', 'no.such']),
        await ask(OF_TOPIC, 'no-such', null),
        await ask(OF_TOPIC, '../x', null),
        await ask(OF_TOPIC, '', null),
        await ask(4, '77', null),
        await ask(4, 'x', null),
        await ask(0, 'x', null),
        await ask(99, 'x', null),
      ];
    },
  },
  {
    api: 'Metadata',
    says: 'unknown and illegal topics, without creation',
    run: async (side, { topic, version }) => {
      const id = await side.topic(topic, 2);
      const ask = async (...topics: { name: string | null; topicId?: string }[]) => {
        const answer = await side.ask('Metadata', version, {
          topics,
          ...(version < 4 ? {} : { allowAutoTopicCreation: false }),
        });
        const shapes = answer?.topics.map(({ name, errorCode, topicId, isInternal, partitions }) => [
          name,
          errorCode,
          topicId === ZERO_ID ? 'none' : 'some',
          isInternal,
          partitions
            .map((part) => [
              part.errorCode,
              part.partitionIndex,
              part.leaderId,
              part.leaderEpoch,
              part.replicaNodes,
              part.isrNodes,
              part.offlineReplicas,
            ])
            .sort(),
        ]);
        return shapes?.sort() ?? CLOSED;
      };
      const answers = [await ask({ name: topic }), await ask({ name: '../x' }), await ask({ name: '' })];
      if (version >= 4) answers.push(await ask({ name: 'no-such' }));
      if (version >= 1) answers.push(await ask());
      if (version >= 10) {
        answers.push(await ask({ name: null, topicId: id }));
        answers.push(await ask({ name: null, topicId: STRANGE_ID }));
        if (version < 12) answers.push(await ask({ name: null, topicId: ZERO_ID }));
        answers.push(await ask({ name: topic, topicId: id }));
        answers.push(await ask({ name: topic, topicId: ZERO_ID }));
      }
      return answers;
    },
  },
  {
    api: 'Metadata',
    says: 'creates what is asked for',
    versions: [0, 3, 4, 13],
    run: async (side, { topic, version }) => {
      const ask = async () => (await side.ask('Metadata', version, { topics: [{ name: topic }] }))!.topics[0]!;
      let found = await ask();
      // Kafka answers before it has made it.
      while (found.errorCode === 3 || found.errorCode === 5) found = await ask();
      return [found.errorCode, found.partitions.length];
    },
  },
  {
    api: 'InitProducerId',
    says: 'ids and epochs that are given, and not',
    run: async (side, { version }) => {
      const ask = async (producerId: number, producerEpoch: number, transactionalId: string | null = null) => {
        const given = version < 3 ? {} : { producerId, producerEpoch };
        const request = { transactionalId, transactionTimeoutMs: 1000, ...given };
        let answer = await side.ask('InitProducerId', version, request);
        // Kafka has to ask its controller for a first block of ids.
        while (answer?.errorCode === 14) answer = await side.ask('InitProducerId', version, request);
        return answer === null ? CLOSED : [answer.errorCode, answer.producerId >= 0, answer.producerEpoch];
      };
      return [await ask(-1, -1), await ask(5, 3), await ask(5, -1), await ask(-1, 3), await ask(-1, -1, '')];
    },
  },
  {
    api: 'DescribeCluster',
    says: 'brokers and controllers',
    run: async (side, { version }) => {
      const shapes: unknown[] = [];
      for (const endpointType of version < 1 ? [1] : [1, 2, 9]) {
        const answer = await side.ask('DescribeCluster', version, version < 1 ? {} : { endpointType });
        shapes.push(answer === null ? CLOSED : [answer.errorCode, answer.endpointType, answer.brokers.length]);
      }
      return shapes;
    },
  },
  {
    api: 'DescribeTopicPartitions',
    says: 'limits and cursors',
    run: async (side, { topic, version }) => {
      await side.topic(`${topic}a`, 3);
      await side.topic(`${topic}b`, 2);
      const ask = async (names: string[], responsePartitionLimit: number, cursor: [string, number] | null = null) => {
        const answer = await side.ask('DescribeTopicPartitions', version, {
          topics: names.map((name) => ({ name })),
          responsePartitionLimit,
          cursor: cursor === null ? null : { topicName: cursor[0], partitionIndex: cursor[1] },
        });
        if (answer === null) return CLOSED;
        const next = answer.nextCursor;
        return [
          answer.topics.map(({ name, errorCode, partitions }) => [
            name,
            errorCode,
            partitions.map((p) => p.partitionIndex),
          ]),
          next === null ? null : [next.topicName, next.partitionIndex],
        ];
      };
      const both = [`${topic}b`, `${topic}a`];
      return [
        await ask(both, 100),
        await ask(both, 2),
        await ask(both, 3),
        await ask(both, 4),
        await ask(both, 100, [`${topic}a`, 1]),
        await ask(both, 100, [`${topic}a`, 9]),
        await ask(both, 100, [`${topic}b`, 1]),
        await ask(both, 100, [`${topic}aa`, 1]),
        await ask(both, 100, [`${topic}z`, 0]),
        await ask(both, 100, [`${topic}a`, -1]),
        await ask([...both, 'no-such', '../x'], 100),
        await ask([`${topic}a`, `${topic}a`], 100),
        await ask(both, 0),
        await ask(both, -1),
      ];
    },
  },
  {
    api: 'DescribeLogDirs',
    says: 'of all, of some, of unknown topics',
    run: async (side, { topic, version }) => {
      await side.topic(topic, 2);
      const ask = async (topics: { topic: string; partitions: number[] }[]) => {
        const answer = await side.ask('DescribeLogDirs', version, { topics });
        return answer!.results.map(({ errorCode, topics }) => [
          errorCode,
          topics.map(({ name, partitions }) => [name, partitions.map((part) => part.partitionIndex).sort()]),
        ]);
      };
      return [
        await ask([{ topic, partitions: [0, 1, 7] }]),
        await ask([{ topic: 'no-such', partitions: [0] }]),
        await ask([]),
        await ask([{ topic, partitions: [] }]),
      ];
    },
  },
  {
    api: 'DescribeAcls',
    says: 'without an authorizer',
    run: async (side, { version }) => {
      const answer = await side.ask('DescribeAcls', version, {
        resourceTypeFilter: 1,
        operation: 1,
        permissionType: 1,
        principalFilter: null,
        hostFilter: null,
        resourceNameFilter: null,
      });
      return [answer?.errorCode, answer?.resources];
    },
  },
];

export const adminScenarios: readonly Scenario[] = [
  ...creationScenarios,
  ...settingScenarios,
  ...changeScenarios,
  ...others,
];
