import { expect } from 'vitest';
import type { RawClient } from './support.ts';
import { type Place, STRANGE_ID, UNKNOWN_ID, UNKNOWN_TOPIC, type Walk } from './walk-step.ts';

/** Commits offset 2 of the first partition from outside the group, which has the topic's name. */
async function commit(client: RawClient, { topic }: Place): Promise<void> {
  const partitions = [
    { partitionIndex: 0, committedOffset: 2, committedLeaderEpoch: 0, committedMetadata: 'half way' },
  ];
  const { topics } = await client.request('OffsetCommit', 8, { groupId: topic, topics: [{ name: topic, partitions }] });
  expect(topics[0]!.partitions[0]!.errorCode).toBe(0);
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
            groupType: version < 5 ? '' : 'Classic',
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
};
