import { expect } from 'vitest';
import { joinOf } from './oracle/groups.ts';
import type { RawClient } from './support.ts';
import { type Place, STRANGE_ID, UNKNOWN_ID, UNKNOWN_TOPIC, type Walk } from './walk-step.ts';

/** Commits offset 2 of the first partition from outside the group, which has the topic's name. */
async function commit(client: RawClient, { topic, group = topic }: Place & { group?: string }): Promise<void> {
  const partitions = [
    { partitionIndex: 0, committedOffset: 2, committedLeaderEpoch: 0, committedMetadata: 'half way' },
  ];
  const { topics } = await client.request('OffsetCommit', 8, { groupId: group, topics: [{ name: topic, partitions }] });
  expect(topics[0]!.partitions[0]!.errorCode).toBe(0);
}

/** A group with one member at work, which is a static one; its leader's generation is 1. */
async function join(client: RawClient, { topic }: Place): Promise<string> {
  const { memberId, errorCode } = await client.request('JoinGroup', 5, joinOf(topic, 5, { instanceId: 'one' }));
  expect(errorCode).toBe(0);
  const assignments = [{ memberId, assignment: Buffer.from('work') }];
  await client.request('SyncGroup', 3, { groupId: topic, generationId: 1, memberId, assignments });
  return memberId;
}

const named = (version: number, name: string, topicId: string) => (version < 10 ? { name } : { topicId });

/** The walk's part that is about groups. Each step's group has the name of its topic. */
export const groupWalk: Walk = {
  OffsetCommit: [
    {
      says: 'commits, and refuses an unknown topic, an unknown partition and too long a word alone',
      ask: (version, { topic, topicId }) => ({
        groupId: topic,
        topics: [
          {
            ...named(version, topic, topicId),
            partitions: [
              { partitionIndex: 0, committedOffset: 2, committedMetadata: null },
              { partitionIndex: 1, committedOffset: 2, committedMetadata: 'x'.repeat(4097) },
              { partitionIndex: 9, committedOffset: 2, committedMetadata: '' },
            ],
          },
          {
            ...named(version, 'no-such', STRANGE_ID),
            partitions: [{ partitionIndex: 0, committedOffset: 2, committedMetadata: '' }],
          },
        ],
      }),
      check: ({ topics }, version, { topic, topicId }) => {
        expect(topics[0]).toMatchObject(named(version, topic, topicId));
        expect(topics[0]!.partitions).toEqual([
          { partitionIndex: 0, errorCode: 0 },
          { partitionIndex: 1, errorCode: 12 },
          { partitionIndex: 9, errorCode: UNKNOWN_TOPIC },
        ]);
        expect(topics[1]!.partitions[0]!.errorCode).toBe(version < 10 ? UNKNOWN_TOPIC : UNKNOWN_ID);
      },
    },
    {
      says: 'refuses a member of a group that is not there',
      ask: (version, { topic, topicId }) => ({
        groupId: 'no-such',
        generationIdOrMemberEpoch: 3,
        memberId: 'm',
        topics: [
          {
            ...named(version, topic, topicId),
            partitions: [{ partitionIndex: 0, committedOffset: 2, committedMetadata: '' }],
          },
        ],
      }),
      check: ({ topics }, version) => expect(topics[0]!.partitions[0]!.errorCode).toBe(version < 9 ? 22 : 69),
    },
  ],
  OffsetFetch: [
    {
      says: 'tells what was committed, and what was not',
      before: commit,
      ask: (version, { topic, topicId }) => {
        const topics = [
          { ...named(version, topic, topicId), partitionIndexes: [0, 1, 7] },
          { ...named(version, 'no-such', STRANGE_ID), partitionIndexes: [0] },
        ];
        return version < 8 ? { groupId: topic, topics } : { groups: [{ groupId: topic, topics }] };
      },
      check: ({ errorCode, topics, groups }, version, { topic, topicId }) => {
        const found = version < 8 ? topics : groups[0]!.topics;
        expect(version < 8 ? errorCode : groups[0]!.errorCode).toBe(0);
        expect(found[0]).toMatchObject(named(version, topic, topicId));
        const none = { committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 };
        expect(found[0]!.partitions).toEqual([
          {
            partitionIndex: 0,
            committedOffset: 2,
            committedLeaderEpoch: version < 5 ? -1 : 0,
            metadata: 'half way',
            errorCode: 0,
          },
          { partitionIndex: 1, ...none },
          { partitionIndex: 7, ...none },
        ]);
        const unknown = version < 10 ? none : { ...none, errorCode: UNKNOWN_ID };
        expect(found[1]!.partitions).toEqual([{ partitionIndex: 0, ...unknown }]);
      },
    },
    {
      says: 'tells all that was committed',
      before: commit,
      ask: (version, { topic }) =>
        version < 2
          ? { groupId: topic, topics: [{ name: topic, partitionIndexes: [0] }] }
          : version < 8
            ? { groupId: topic, topics: null }
            : {
                groups: [
                  { groupId: topic, topics: null },
                  { groupId: 'no-such', topics: null },
                ],
              },
      check: ({ topics, groups }, version, { topic, topicId }) => {
        const found = version < 8 ? topics : groups[0]!.topics;
        expect(found).toMatchObject([{ ...named(version, topic, topicId), partitions: [{ committedOffset: 2 }] }]);
        if (version >= 8) expect(groups[1]).toEqual({ groupId: 'no-such', topics: [], errorCode: 0 });
      },
    },
  ],
  FindCoordinator: [
    {
      says: 'is the coordinator of every group',
      ask: (version) => (version < 4 ? { key: 'g' } : { coordinatorKeys: ['g', 'h'] }),
      check: (answer, version) => {
        const found = version < 4 ? [answer] : answer.coordinators;
        expect(found.map(({ errorCode, nodeId, host }) => ({ errorCode, nodeId, host }))).toEqual(
          Array(version < 4 ? 1 : 2).fill({ errorCode: 0, nodeId: 1, host: '127.0.0.1' }),
        );
      },
    },
    {
      says: 'coordinates no transactions',
      ask: (version) =>
        version < 1 ? { key: 'g' } : version < 4 ? { key: 't', keyType: 1 } : { coordinatorKeys: ['t'], keyType: 1 },
      check: (answer, version) => {
        const found = version < 4 ? answer : answer.coordinators[0]!;
        expect(found.errorCode).toBe(version < 1 ? 0 : 35);
      },
    },
  ],
  ListGroups: [
    {
      says: 'lists a group that only holds offsets',
      before: commit,
      ask: (version) =>
        version < 4 ? {} : { statesFilter: ['EMPTY', 'Dead'], ...(version < 5 ? {} : { typesFilter: ['Classic'] }) },
      check: ({ errorCode, groups }, version, { topic }) => {
        expect(errorCode).toBe(0);
        expect(groups.filter(({ groupId }) => groupId === topic)).toEqual([
          {
            groupId: topic,
            protocolType: '',
            groupState: version < 4 ? '' : 'Empty',
            groupType: version < 5 ? '' : 'classic',
          },
        ]);
      },
    },
    {
      says: 'lists none in a state in which none is',
      before: commit,
      ask: (version) => (version < 4 ? {} : { statesFilter: ['Stable'] }),
      check: ({ groups }, version) => expect(groups.length > 0).toBe(version < 4),
    },
  ],
  JoinGroup: [
    {
      says: 'lets a new member in, or tells it its id first',
      ask: (version, { topic }) => joinOf(topic, version),
      check: ({ errorCode, memberId, generationId, leader, members }, version) => {
        expect(memberId).toMatch(/^raw-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        if (version >= 4)
          expect({ errorCode, generationId, members }).toEqual({ errorCode: 79, generationId: -1, members: [] });
        else expect({ errorCode, generationId, leader }).toEqual({ errorCode: 0, generationId: 1, leader: memberId });
      },
    },
  ],
  SyncGroup: [
    {
      says: 'refuses a member that the group does not know',
      before: join,
      ask: (version, { topic }) => ({
        groupId: topic,
        generationId: 1,
        memberId: 'nobody',
        ...(version < 5 ? {} : { protocolType: 'consumer', protocolName: 'range' }),
      }),
      check: ({ errorCode, assignment }) => expect([errorCode, assignment.length]).toEqual([25, 0]),
    },
  ],
  Heartbeat: [
    {
      says: 'fences who claims to be another, and knows no strangers',
      before: join,
      ask: (version, { topic }) => ({
        groupId: topic,
        generationId: 1,
        memberId: 'nobody',
        ...(version < 3 ? {} : { groupInstanceId: 'one' }),
      }),
      check: ({ errorCode }, version) => expect(errorCode).toBe(version < 3 ? 25 : 82),
    },
  ],
  LeaveGroup: [
    {
      says: 'lets a member go, by its instance where the version has it',
      before: join,
      ask: (version, { topic }) =>
        version < 3
          ? { groupId: topic, memberId: 'nobody' }
          : { groupId: topic, members: [{ memberId: '', groupInstanceId: 'one' }, { memberId: 'nobody' }] },
      check: ({ errorCode, members }, version) => {
        expect(errorCode).toBe(version < 3 ? 25 : 0);
        expect(members.map((member) => member.errorCode)).toEqual(version < 3 ? [] : [0, 25]);
      },
    },
  ],
  DescribeGroups: [
    {
      says: 'describes a group at work, and one that is not there',
      before: join,
      ask: (version, { topic }) => ({
        groups: [topic, 'no-such'],
        ...(version < 3 ? {} : { includeAuthorizedOperations: true }),
      }),
      check: ({ groups }, version, { topic }) => {
        expect(groups[0]).toMatchObject({
          errorCode: 0,
          groupId: topic,
          groupState: 'Stable',
          protocolType: 'consumer',
          protocolData: 'range',
          authorizedOperations: version < 3 ? -2147483648 : 3400,
        });
        const [member] = groups[0]!.members;
        expect(member).toMatchObject({
          groupInstanceId: version < 4 ? null : 'one',
          clientId: 'raw',
          clientHost: '/127.0.0.1',
        });
        expect(member!.memberAssignment.toString()).toBe('work');
        expect(groups[1]).toMatchObject({ errorCode: version < 6 ? 0 : 69, groupState: 'Dead', members: [] });
      },
    },
  ],
  DeleteGroups: [
    {
      says: 'deletes a group that only holds offsets, none at work, and none that is not there',
      before: async (client, place) => {
        await commit(client, { ...place, group: 'offsets' });
        await join(client, place);
      },
      ask: (_, { topic }) => ({ groupsNames: ['offsets', topic, 'no-such'] }),
      check: ({ results }, version) => {
        expect(results.map(({ errorCode }) => errorCode)).toEqual([0, 68, 69]);
        if (version >= 3) expect(results[1]!.errorMessage).toContain('has members');
      },
    },
  ],
  OffsetDelete: [
    {
      says: 'deletes what is committed, and refuses an unknown partition and topic alone',
      before: commit,
      ask: (_, { topic }) => ({
        groupId: topic,
        topics: [
          { name: topic, partitions: [{ partitionIndex: 0 }, { partitionIndex: 9 }] },
          { name: 'no-such', partitions: [{ partitionIndex: 0 }] },
        ],
      }),
      check: ({ errorCode, topics }) => {
        expect(errorCode).toBe(0);
        const codes = topics.map(({ partitions }) => partitions.map((partition) => partition.errorCode));
        expect(codes).toEqual([[0, UNKNOWN_TOPIC], [UNKNOWN_TOPIC]]);
      },
    },
  ],
};
