import { expect, test } from 'vitest';
import { Millrace } from '../../src/client/millrace.ts';
import { type ApiName, apis } from '../../src/wire/messages.generated.ts';
import { allVersions, FakeBroker, type Script, shortPauses } from './fake-broker.ts';

// What a coordinator that moves, loads, is old or talks nonsense does to one group must not touch the others.

const LOADING = 14;
const MOVED = 16;
const UNKNOWN_GROUP = 69;

/** A coordinator of all groups, unless the script says otherwise. */
function coordinator(script: Script): Script {
  return {
    FindCoordinator: ({ coordinatorKeys }) => ({
      coordinators: coordinatorKeys.map((key) => ({ key, nodeId: 0, host: '127.0.0.1', port: 1 })),
    }),
    ...script,
  };
}

const commitsAnswered =
  (errorCode: () => number): NonNullable<Script['OffsetCommit']> =>
  ({ topics }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errorCode() })),
    })),
  });

async function connect(broker: FakeBroker, callTimeoutMs = 60_000): Promise<Millrace> {
  return Millrace.connect(broker.address, { callTimeoutMs, ...shortPauses });
}

test('a coordinator that is loading or has moved is asked again, the groups that it answered are not', async () => {
  const asked: string[][] = [];
  const answers = [
    [0, LOADING],
    [0, MOVED],
    [0, 0],
  ];
  await using broker = await FakeBroker.start(
    coordinator({
      DeleteGroups: ({ groupsNames }) => {
        const [first, later] = answers[asked.length]!;
        asked.push([...groupsNames]);
        const codeOf = (name: string): number => (name === 'one' ? first! : later!);
        return { results: groupsNames.map((groupId) => ({ groupId, errorCode: codeOf(groupId) })) };
      },
    }),
  );
  await using client = await connect(broker);
  expect(await client.admin.groups.delete(['one', 'two'])).toEqual(
    new Map([
      ['one', null],
      ['two', null],
    ]),
  );
  expect(asked).toEqual([['one', 'two'], ['two'], ['two']]);
  expect(broker.count('FindCoordinator')).toBe(3);
});

test('a coordinator that cannot be found is looked for again', async () => {
  let asked = 0;
  await using broker = await FakeBroker.start(
    coordinator({
      FindCoordinator: ({ coordinatorKeys }) => ({
        coordinators: coordinatorKeys.map((key) => ({ key, nodeId: 0, errorCode: asked++ === 0 ? 15 : 0 })),
      }),
      OffsetCommit: commitsAnswered(() => 0),
    }),
  );
  await using client = await connect(broker);
  const outcomes = await client.admin.groups.setOffsets('one', [{ topic: 'topic', partition: 0, offset: 1 }]);
  expect(outcomes).toEqual([{ topic: 'topic', partition: 0, fault: null }]);
  expect(asked).toBe(2);
});

test('a group whose coordinator never gets ready ends in its own fault, beside the answers of the others', async () => {
  await using broker = await FakeBroker.start(
    coordinator({
      OffsetFetch: ({ groups }) => ({
        groups: groups.map(({ groupId }) => ({ groupId, errorCode: groupId === 'one' ? LOADING : 0 })),
      }),
    }),
  );
  await using client = await connect(broker, 2_000);
  const found = await client.admin.groups.offsets(['one', 'two']);
  expect(found.get('one')).toMatchObject({ kafka: 'COORDINATOR_LOAD_IN_PROGRESS' });
  expect(found.get('two')).toEqual([]);
  expect(broker.count('OffsetFetch')).toBeGreaterThan(1);
});

test('a commit that all partitions are refused with a fault of the group is that fault; one of a partition is its own', async () => {
  let code = 25;
  await using broker = await FakeBroker.start(
    coordinator({
      OffsetCommit: commitsAnswered(() => code),
    }),
  );
  await using client = await connect(broker);
  const offsets = [{ topic: 'topic', partition: 0, offset: 1 }];
  await expect(client.admin.groups.setOffsets('one', offsets)).rejects.toMatchObject({ fault: 'nonEmptyGroup' });
  code = 12;
  expect(await client.admin.groups.setOffsets('one', offsets)).toMatchObject([
    { partition: 0, fault: { kafka: 'OFFSET_METADATA_TOO_LARGE' } },
  ]);
});

test('members of a group that tell each other nonsense fail their group alone', async () => {
  const member = { memberId: 'm', clientId: 'c', clientHost: '/127.0.0.1', memberMetadata: Buffer.alloc(0) };
  const whole = Buffer.from('00000000000100017400000001000000070000', 'hex');
  await using broker = await FakeBroker.start(
    coordinator({
      ConsumerGroupDescribe: ({ groupIds }) => ({
        groups: groupIds.map((groupId) => ({ groupId, errorCode: UNKNOWN_GROUP, groupState: '', assignorName: '' })),
      }),
      DescribeGroups: ({ groups }) => ({
        groups: groups.map((groupId) => ({
          groupId,
          groupState: 'Stable',
          protocolType: 'consumer',
          members: [{ ...member, memberAssignment: groupId === 'one' ? Buffer.from('0000ffffffff', 'hex') : whole }],
        })),
      }),
    }),
  );
  await using client = await connect(broker);
  const found = await client.admin.groups.describe(['one', 'two']);
  expect(found.get('one')).toMatchObject({ fault: 'malformedResponse' });
  expect(found.get('two')).toMatchObject({
    members: [{ memberId: 'm', host: '127.0.0.1', assignment: [{ topic: 't', partitions: [7] }] }],
  });
});

test('an old broker is asked in its own versions, and what it cannot say is refused by name', async () => {
  const last: Partial<Record<ApiName, number>> = {
    FindCoordinator: 3,
    OffsetFetch: 6,
    ListGroups: 3,
    DescribeGroups: 4,
  };
  const limits = new Map(Object.entries(last).map(([name, version]) => [apis[name as ApiName].key as number, version]));
  await using broker = await FakeBroker.start({
    ApiVersions: () => ({
      apiKeys: allVersions
        .filter(({ apiKey }) => apiKey !== apis.ConsumerGroupDescribe.key)
        .map((one) => ({ ...one, maxVersion: Math.min(one.maxVersion, limits.get(one.apiKey) ?? one.maxVersion) })),
    }),
    FindCoordinator: ({ key }) => ({ nodeId: 0, host: key, port: 1 }),
    ListGroups: () => ({ groups: [{ groupId: 'one', protocolType: 'consumer' }] }),
    DescribeGroups: ({ groups }) => ({ groups: groups.map((groupId) => ({ groupId, groupState: 'Dead' })) }),
    OffsetFetch: ({ groupId }) => ({
      topics: [{ name: groupId, partitions: [{ partitionIndex: 0, committedOffset: 5, metadata: null }] }],
    }),
  });
  await using client = await connect(broker);
  const { groups } = client.admin;
  expect(await groups.list()).toEqual([
    { group: 'one', type: null, state: null, protocolType: 'consumer', coordinator: 0 },
  ]);
  await expect(groups.list({ states: ['Stable'] })).rejects.toMatchObject({ fault: 'notSupportedByBroker' });
  await expect(groups.list({ types: ['consumer'] })).rejects.toMatchObject({ fault: 'notSupportedByBroker' });
  await expect(groups.offsets(['one'], { requireStable: true })).rejects.toMatchObject({
    fault: 'notSupportedByBroker',
  });
  expect((await groups.describe(['one'])).get('one')).toMatchObject({ fault: 'groupNotFound' });
  const offsets = await groups.offsets(['one', 'two']);
  expect(offsets.get('two')).toMatchObject([{ topic: 'two', partition: 0, offset: 5, metadata: '' }]);
});
