import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KafkaErrorName, kafkaErrors } from '../../src/base/kafka-errors.ts';
import { encodeAssignment } from '../../src/client/assignment-bytes.ts';
import { text } from '../../src/client/codecs.ts';
import type { Consumer } from '../../src/client/consumer.ts';
import type { ConsumerOptions, GroupProtocol } from '../../src/client/consumer-options.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import type { ApiName } from '../../src/wire/messages.generated.ts';
import { FakeBroker, fetched, type Script, shortPauses, TOPIC, TOPIC_ID } from './fake-broker.ts';

/** A coordinator of one group with one member, which fails as it is told before it does its part. */
let broker: FakeBroker;
let client: Millrace;
/** For each API, errors to answer first, one after another; or what to do instead. */
let failing: Map<ApiName, (KafkaErrorName | 'hang up' | 'silence')[]>;
let told: string[];
let commits: { generation: number; memberId: string; offset: number }[];
/** The generation or epoch that the group is in. */
let generation: number;
/** Members that the coordinator let go. */
let left: string[];
/** Whether the broker says that there is no such topic. */
let isTopicGone: boolean;
let joins: { memberId: string; generation: number }[];

const PATIENCE = { timeout: 20_000, interval: 5 };
const MEMBER = 'the member';
const place = { topic: TOPIC, partition: 0 };

/** The next error for the API; code 0 when none is left. */
function codeOf(api: ApiName): number | 'hang up' | 'silence' {
  const next = failing.get(api)?.shift();
  if (next === 'hang up' || next === 'silence') return next;
  return next === undefined ? 0 : kafkaErrors[next].code;
}

function answering<A extends ApiName>(api: A, answer: (errorCode: number, request: never) => unknown): Script {
  const scripted = (request: never): unknown => {
    const code = codeOf(api);
    return typeof code === 'string' ? code : answer(code, request);
  };
  return { [api]: scripted } as Script;
}

const offsetTopics = (partition: object): object[] => [
  { name: TOPIC, partitions: [{ partitionIndex: 0, ...partition }] },
];

beforeEach(async () => {
  failing = new Map();
  isTopicGone = false;
  told = [];
  commits = [];
  joins = [];
  left = [];
  generation = 0;
  let fetches = 0;
  const script: Script = {
    Metadata: () => {
      const metadata = broker.metadata();
      const { code } = kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION;
      return isTopicGone ? { ...metadata, topics: [{ errorCode: code, name: TOPIC, partitions: [] }] } : metadata;
    },
    ...answering('FindCoordinator', (errorCode, { coordinatorKeys }: { coordinatorKeys: string[] }) => ({
      coordinators: [
        { key: coordinatorKeys[0], nodeId: errorCode === 0 ? 0 : -1, host: '127.0.0.1', port: 1, errorCode },
      ],
    })),
    ...answering(
      'JoinGroup',
      (errorCode, { memberId, protocols }: { memberId: string; protocols: { name: string; metadata: Buffer }[] }) => {
        joins.push({ memberId, generation });
        if (errorCode !== 0)
          return { errorCode, memberId: errorCode === kafkaErrors.MEMBER_ID_REQUIRED.code ? MEMBER : '' };
        generation++;
        const members = [{ memberId: MEMBER, metadata: protocols[0]!.metadata }];
        return {
          generationId: generation,
          protocolName: protocols[0]!.name,
          leader: MEMBER,
          memberId: MEMBER,
          members,
        };
      },
    ),
    ...answering('SyncGroup', (errorCode) => ({
      errorCode,
      assignment: encodeAssignment([{ topic: TOPIC, partitions: [0] }]),
    })),
    ...answering('Heartbeat', (errorCode) => ({ errorCode })),
    ...answering('LeaveGroup', (errorCode, { members }: { members: { memberId: string }[] }) => {
      if (errorCode === 0) left.push(...members.map(({ memberId }) => memberId));
      return { errorCode, members: [] };
    }),
    ...answering(
      'ConsumerGroupHeartbeat',
      (errorCode, { memberId, memberEpoch }: { memberId: string; memberEpoch: number }) => {
        if (memberEpoch < 0) {
          if (errorCode === 0) left.push(memberId);
          return { errorCode, memberId, memberEpoch };
        }
        if (memberEpoch === 0) joins.push({ memberId, generation });
        if (errorCode !== 0) return { errorCode, errorMessage: 'as scripted' };
        if (memberEpoch === 0) generation++;
        const assignment = memberEpoch === 0 ? { topicPartitions: [{ topicId: TOPIC_ID, partitions: [0] }] } : null;
        return { memberId, memberEpoch: generation, heartbeatIntervalMs: 20, assignment };
      },
    ),
    ...answering('OffsetFetch', (errorCode, { groups }: { groups: { groupId: string }[] }) => ({
      groups: [
        {
          groupId: groups[0]!.groupId,
          errorCode,
          topics: errorCode === 0 ? offsetTopics({ committedOffset: 5, metadata: 'said before' }) : [],
        },
      ],
    })),
    ...answering(
      'OffsetCommit',
      (
        errorCode,
        request: {
          memberId: string;
          generationIdOrMemberEpoch: number;
          topics: { partitions: { committedOffset: number }[] }[];
        },
      ) => {
        const offset = request.topics[0]!.partitions[0]!.committedOffset;
        commits.push({ generation: request.generationIdOrMemberEpoch, memberId: request.memberId, offset });
        return { topics: offsetTopics({ errorCode }) };
      },
    ),
    Fetch: () => {
      fetches++;
      const records = [
        { timestampMs: 1, value: Buffer.from('five') },
        { timestampMs: 1, value: Buffer.from('six') },
      ];
      return fetches === 1 ? fetched({ records: [buildBatch(records, { baseOffset: 5 })] }) : 'silence';
    },
  };
  broker = await FakeBroker.start(script);
  client = await Millrace.connect(broker.address, shortPauses);
});

afterEach(async () => {
  await client.close();
  await broker.close();
});

const consumer = (
  protocol: GroupProtocol,
  options: Partial<ConsumerOptions<string, string>> = {},
): Consumer<string, string> =>
  client.consumer({
    ...{ group: 'group', topics: TOPIC, protocol, value: text, heartbeatIntervalMs: 20, autoCommit: false },
    onAssigned: (offsets) =>
      void told.push(`assigned ${offsets.map(({ offset, metadata }) => `${offset} ${metadata}`)}`),
    onRevoked: () => void told.push('revoked'),
    onLost: () => void told.push('lost'),
    ...options,
  });

const assigned = 'assigned 5 said before';
const joining: Record<GroupProtocol, ApiName[]> = {
  classic: ['FindCoordinator', 'JoinGroup', 'SyncGroup', 'OffsetFetch'],
  consumer: ['FindCoordinator', 'ConsumerGroupHeartbeat', 'OffsetFetch'],
};

describe.each(['classic', 'consumer'] as const)('while it joins, by the protocol %s', (protocol) => {
  describe.each(joining[protocol])('%s', (api) => {
    test.each(['COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR', 'COORDINATOR_LOAD_IN_PROGRESS', 'hang up'] as const)(
      'is asked again after %s',
      async (error) => {
        failing.set(api, [error, error]);
        const member = consumer(protocol);
        await member.start();
        expect(told).toEqual([assigned]);
        expect(broker.count(api)).toBeGreaterThanOrEqual(3);
      },
    );

    test('that is not allowed ends the consumer with what the broker says', async () => {
      failing.set(api, ['GROUP_AUTHORIZATION_FAILED']);
      await expect(consumer(protocol).start()).rejects.toMatchObject({ kafka: 'GROUP_AUTHORIZATION_FAILED' });
      expect(told).toEqual([]);
    });
  });
});

test.each(['classic', 'consumer'] as const)(
  'partitions whose offsets cannot be found for long are taken over later, by the protocol %s',
  async (protocol) => {
    const impatient = await Millrace.connect(broker.address, {
      ...shortPauses,
      callTimeoutMs: 50,
    });
    failing.set('OffsetFetch', Array(20).fill('COORDINATOR_LOAD_IN_PROGRESS'));
    const member = impatient.consumer({ group: 'group', topics: TOPIC, protocol, value: text });
    for await (const { value } of member) {
      expect(value).toBe('five');
      break;
    }
    expect(failing.get('OffsetFetch')).toEqual([]);
    await impatient.close();
  },
);

describe.each(['classic', 'consumer'] as const)('what a member had, by the protocol %s', (protocol) => {
  test('is lost when another instance has taken its place, and no more of it is given out', async () => {
    const member = consumer(protocol, { instanceId: 'desk-1' });
    const records = member[Symbol.asyncIterator]();
    expect((await records.next()).value?.value).toBe('five');
    failing.set(protocol === 'classic' ? 'Heartbeat' : 'ConsumerGroupHeartbeat', ['FENCED_INSTANCE_ID']);
    await expect.poll(() => told, PATIENCE).toEqual([assigned, 'lost']);
    expect(member.assignment).toEqual([]);
    await expect(records.next()).rejects.toMatchObject({ fault: 'fencedInstance' });
    await member.close();
    expect(told).toEqual([assigned, 'lost']);
  });

  test('is lost too where the topic is gone before its first record was looked for', async () => {
    const member = consumer(protocol, {
      onAssigned: () => {
        isTopicGone = true;
        told.push('assigned');
      },
    });
    await member.start();
    expect([told, member.assignment]).toEqual([['assigned', 'lost'], []]);
  });
});

test.each<[Partial<ConsumerOptions<string, string>> | { [name: string]: unknown }, string]>([
  [{ protocol: 'none' }, 'protocol must be one of classic, consumer'],
  [{ from: 'here' }, 'from must be one of earliest, latest, error'],
  [{ group: '' }, 'a group has a name'],
  [{ group: undefined }, 'a group has a name'],
  [{ topics: [] }, 'name at least one topic'],
  [{ pattern: 'a.*' }, 'either topics or a pattern'],
  [{ topics: undefined, pattern: '(?P<n>a.*)' }, 'write named groups as (?<name>…)'],
  [{ assignors: ['range', 'cooperative-sticky'] }, 'cooperative-sticky cannot be mixed'],
  // The group would take it for dead between any two.
  [{ sessionTimeoutMs: 6_000, heartbeatIntervalMs: 6_000 }, 'heartbeatIntervalMs must be below sessionTimeoutMs'],
  [{ rebalanceTimeoutMs: 0 }, 'rebalanceTimeoutMs must be from 1'],
])('%j is refused before anything is asked of a broker', (options, says) => {
  expect(() => consumer('classic', options as Partial<ConsumerOptions<string, string>>)).toThrow(says);
});

describe('the classic protocol', () => {
  test('joins again with the id it is given', async () => {
    failing.set('JoinGroup', ['MEMBER_ID_REQUIRED']);
    const member = consumer('classic');
    await member.start();
    expect(joins.map(({ memberId }) => memberId)).toEqual(['', MEMBER]);
    expect([member.memberId, member.generation]).toEqual([MEMBER, 1]);
  });

  test.each([
    ['JoinGroup', 'INCONSISTENT_GROUP_PROTOCOL', 'inconsistentGroupProtocol'],
    ['JoinGroup', 'INVALID_SESSION_TIMEOUT', 'invalidSessionTimeout'],
    ['JoinGroup', 'GROUP_MAX_SIZE_REACHED', 'groupFull'],
    ['JoinGroup', 'INVALID_GROUP_ID', 'invalidGroupId'],
    ['JoinGroup', 'FENCED_INSTANCE_ID', 'fencedInstance'],
    ['SyncGroup', 'FENCED_INSTANCE_ID', 'fencedInstance'],
    ['SyncGroup', 'INCONSISTENT_GROUP_PROTOCOL', 'inconsistentGroupProtocol'],
    ['Heartbeat', 'FENCED_INSTANCE_ID', 'fencedInstance'],
    ['Heartbeat', 'GROUP_AUTHORIZATION_FAILED', 'brokerError'],
  ] as const)('%s with %s ends the consumer with %s', async (api, error, fault) => {
    failing.set(api, [error]);
    const loop = async (): Promise<void> => {
      for await (const _ of consumer('classic'));
    };
    await expect(loop()).rejects.toMatchObject({ fault });
  });

  test.each([
    ['JoinGroup', 'UNKNOWN_MEMBER_ID'],
    ['JoinGroup', 'REBALANCE_IN_PROGRESS'],
    ['SyncGroup', 'UNKNOWN_MEMBER_ID'],
    ['SyncGroup', 'ILLEGAL_GENERATION'],
    ['SyncGroup', 'REBALANCE_IN_PROGRESS'],
  ] as const)('%s with %s: it joins again, and has lost nothing that it had not', async (api, error) => {
    failing.set(api, [error]);
    await consumer('classic').start();
    expect(told).toEqual([assigned]);
    expect(joins).toHaveLength(2);
  });

  test.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)(
    'Heartbeat with %s: what it had is lost, and it joins again',
    async (error) => {
      const member = consumer('classic');
      await member.start();
      failing.set('Heartbeat', [error]);
      await expect.poll(() => told, PATIENCE).toEqual([assigned, 'lost', assigned]);
      expect(joins.at(-1)!.memberId).toBe(error === 'UNKNOWN_MEMBER_ID' ? '' : MEMBER);
    },
  );

  test.each(['hang up', 'NOT_COORDINATOR', 'COORDINATOR_LOAD_IN_PROGRESS'] as const)(
    'Heartbeat with %s changes nothing',
    async (error) => {
      const member = consumer('classic');
      await member.start();
      const before = broker.count('Heartbeat');
      failing.set('Heartbeat', [error, error]);
      await expect.poll(() => broker.count('Heartbeat'), PATIENCE).toBeGreaterThan(before + 4);
      expect([told, joins.length, member.generation]).toEqual([[assigned], 1, 1]);
    },
  );

  test('a rebalance under cooperative-sticky keeps what it has; under range it gives up first', async () => {
    const member = consumer('classic');
    await member.start();
    failing.set('Heartbeat', ['REBALANCE_IN_PROGRESS']);
    await expect.poll(() => member.generation, PATIENCE).toBe(2);
    expect(told).toEqual([assigned]);
    await member.close();
    told = [];
    const eager = consumer('classic', { assignors: ['range'] });
    await eager.start();
    failing.set('Heartbeat', ['REBALANCE_IN_PROGRESS']);
    await expect.poll(() => told, PATIENCE).toEqual([assigned, 'revoked', assigned]);
  });
});

describe('the consumer protocol', () => {
  test.each([
    ['FENCED_INSTANCE_ID', 'fencedInstance'],
    ['UNRELEASED_INSTANCE_ID', 'unreleasedInstance'],
    ['INVALID_REQUEST', 'malformedRequest'],
    ['GROUP_MAX_SIZE_REACHED', 'groupFull'],
    ['UNSUPPORTED_ASSIGNOR', 'unsupportedAssignor'],
    ['INVALID_REGULAR_EXPRESSION', 'invalidRegularExpression'],
    ['UNSUPPORTED_VERSION', 'unsupportedVersion'],
  ] as const)('ConsumerGroupHeartbeat with %s ends the consumer with %s', async (error, fault) => {
    failing.set('ConsumerGroupHeartbeat', [error]);
    await expect(consumer('consumer').start()).rejects.toMatchObject({ fault, kafka: error });
  });

  test.each(['UNKNOWN_MEMBER_ID', 'FENCED_MEMBER_EPOCH'] as const)(
    'ConsumerGroupHeartbeat with %s: what it had is lost, and it joins again under the same id',
    async (error) => {
      const member = consumer('consumer');
      await member.start();
      const { memberId } = member;
      failing.set('ConsumerGroupHeartbeat', [error]);
      await expect.poll(() => told, PATIENCE).toEqual([assigned, 'lost', assigned]);
      expect(joins.map((join) => join.memberId)).toEqual([memberId, memberId]);
    },
  );

  test.each(['hang up', 'NOT_COORDINATOR', 'COORDINATOR_LOAD_IN_PROGRESS'] as const)(
    'ConsumerGroupHeartbeat with %s changes nothing',
    async (error) => {
      const member = consumer('consumer');
      await member.start();
      const before = broker.count('ConsumerGroupHeartbeat');
      failing.set('ConsumerGroupHeartbeat', [error, error]);
      await expect.poll(() => broker.count('ConsumerGroupHeartbeat'), PATIENCE).toBeGreaterThan(before + 4);
      expect([told, joins.length, member.generation]).toEqual([[assigned], 1, 1]);
    },
  );

  test('is left for the classic one where the broker is told not to serve it', async () => {
    failing.set('ConsumerGroupHeartbeat', ['UNSUPPORTED_VERSION']);
    const { protocol: _, ...options } = { protocol: undefined, group: 'group', topics: TOPIC, value: text };
    const member = client.consumer(options);
    await member.start();
    expect([member.protocol, member.assignment]).toEqual(['classic', [place]]);
  });
});

describe.each(['classic', 'consumer'] as const)('a commit, by the protocol %s', (protocol) => {
  const commit = async (...errors: (KafkaErrorName | 'hang up')[]): Promise<void> => {
    const member = consumer(protocol);
    await member.start();
    failing.set('OffsetCommit', errors);
    await member.commit([{ ...place, offset: 6 }]);
  };

  test.each([
    'COORDINATOR_NOT_AVAILABLE',
    'NOT_COORDINATOR',
    'COORDINATOR_LOAD_IN_PROGRESS',
    'REQUEST_TIMED_OUT',
    'REBALANCE_IN_PROGRESS',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'hang up',
  ] as const)('is tried again after %s', async (error) => {
    await commit(error, error);
    expect(commits.map(({ offset }) => offset).slice(-1)).toEqual([6]);
  });

  test.each([
    'ILLEGAL_GENERATION',
    'UNKNOWN_MEMBER_ID',
    'FENCED_INSTANCE_ID',
    'STALE_MEMBER_EPOCH',
    'FENCED_MEMBER_EPOCH',
  ] as const)('that meets %s is refused, and says who goes on', async (error) => {
    await expect(commit(error)).rejects.toMatchObject({ fault: 'commitFenced', kafka: error });
  });

  test.each([
    ['OFFSET_METADATA_TOO_LARGE', 'offsetMetadataTooLarge'],
    ['TOPIC_AUTHORIZATION_FAILED', 'brokerError'],
    ['GROUP_AUTHORIZATION_FAILED', 'brokerError'],
    ['INVALID_COMMIT_OFFSET_SIZE', 'brokerError'],
  ] as const)('that meets %s fails with it', async (error, fault) => {
    await expect(commit(error)).rejects.toMatchObject({ fault, kafka: error });
  });

  test('for a topic that stays unknown fails, since it was deleted', async () => {
    const unknown = 'UNKNOWN_TOPIC_OR_PARTITION';
    await expect(commit(unknown, unknown, unknown)).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('of a partition that was lost is not even sent', async () => {
    const member = consumer(protocol, { onLost: () => new Promise<void>(() => {}) });
    await member.start();
    failing.set(protocol === 'classic' ? 'Heartbeat' : 'ConsumerGroupHeartbeat', ['UNKNOWN_MEMBER_ID']);
    await expect.poll(() => member.assignment, PATIENCE).toEqual([]);
    await expect(member.commit([{ ...place, offset: 6 }])).rejects.toMatchObject({ fault: 'notAssigned' });
    await member.commit();
    expect(commits).toEqual([]);
    await member.close({ timeoutMs: 100 });
  });

  test('of what was handled is made at close; of what is in hand it is not', async () => {
    const member = consumer(protocol, { autoCommit: true });
    for await (const { value } of member) if (value === 'six') break;
    expect(commits.map(({ offset }) => offset)).toEqual([6]);
    expect(told).toEqual([assigned, 'revoked']);
  });
});

describe.each(['classic', 'consumer'] as const)('closing, by the protocol %s', (protocol) => {
  test.each(['NOT_COORDINATOR', 'UNKNOWN_MEMBER_ID', 'hang up'] as const)(
    'comes to its end after %s',
    async (error) => {
      const member = consumer(protocol);
      await member.start();
      const leaving = protocol === 'classic' ? 'LeaveGroup' : 'ConsumerGroupHeartbeat';
      failing.set(leaving, [error]);
      await member.close();
      expect(told).toEqual([assigned, 'revoked']);
    },
  );

  test.each(['NOT_COORDINATOR', 'COORDINATOR_LOAD_IN_PROGRESS', 'hang up'] as const)(
    'leaves the group all the same after %s, so that nobody waits for its session to end',
    async (error) => {
      const member = consumer(protocol, { heartbeatIntervalMs: 40_000 });
      await member.start();
      const { memberId } = member;
      failing.set(protocol === 'classic' ? 'LeaveGroup' : 'ConsumerGroupHeartbeat', [error, error]);
      await member.close();
      expect(left).toEqual([memberId]);
    },
  );

  test('does not wait for a broker that does not answer, nor for one that is gone', async () => {
    for (const ending of ['silence', 'gone'] as const) {
      const member = consumer(protocol, { autoCommit: true });
      await member.start();
      if (ending === 'gone') await broker.close();
      else {
        failing.set('LeaveGroup', ['silence']);
        failing.set('ConsumerGroupHeartbeat', ['silence']);
      }
      await member.close({ timeoutMs: 300 });
      failing.clear();
    }
  });
});
