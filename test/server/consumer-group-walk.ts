import { expect } from 'vitest';
import type { RawClient } from './support.ts';
import type { Place, Walk } from './walk-step.ts';

const UNKNOWN_MEMBER = 25;
const INVALID_REQUEST = 42;
const GROUP_NOT_FOUND = 69;
const UNSUPPORTED_ASSIGNOR = 112;

const everything = ({ topicId }: Place) => ({ topicPartitions: [{ topicId, partitions: [0, 1] }] });

const joining = ({ topic, topicId }: Place, memberId: string) => ({
  groupId: topicId,
  memberId,
  memberEpoch: 0,
  rebalanceTimeoutMs: 10_000,
  subscribedTopicNames: [topic],
  topicPartitions: [],
});

/** A member of a group that has the topic's id for its name: no other step's. */
async function join(client: RawClient, place: Place): Promise<void> {
  const { errorCode } = await client.request('ConsumerGroupHeartbeat', 0, joining(place, 'first'));
  expect(errorCode).toBe(0);
}

/** The walk's part that is about groups of the new protocol. Each step's group has its topic's id for a name. */
export const consumerGroupWalk: Walk = {
  ConsumerGroupHeartbeat: [
    {
      says: 'lets a member in, which has all partitions as it is alone',
      ask: (_, place) => joining(place, 'm'),
      check: (answer, _, place) =>
        expect(answer).toEqual({
          throttleTimeMs: 0,
          errorCode: 0,
          errorMessage: null,
          memberId: 'm',
          memberEpoch: 2,
          heartbeatIntervalMs: 1000,
          assignment: everything(place),
        }),
    },
    {
      says: 'gives a member its id in version 0 alone',
      ask: (_, place) => joining(place, ''),
      check: ({ errorCode, memberId }, version) => {
        expect(errorCode).toBe(version < 1 ? 0 : INVALID_REQUEST);
        expect(memberId?.length).toBe(version < 1 ? 22 : undefined);
      },
    },
    {
      says: 'keeps a member, and says nothing where nothing changed',
      before: join,
      ask: (_, { topicId }) => ({ groupId: topicId, memberId: 'first', memberEpoch: 2 }),
      check: (answer) => expect(answer).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: null }),
    },
    {
      says: 'lets a member go',
      before: join,
      ask: (_, { topicId }) => ({ groupId: topicId, memberId: 'first', memberEpoch: -1 }),
      check: (answer) => expect(answer).toMatchObject({ errorCode: 0, memberId: 'first', memberEpoch: -1 }),
    },
    {
      says: 'does not know a member that never joined',
      before: join,
      ask: (_, { topicId }) => ({ groupId: topicId, memberId: 'stranger', memberEpoch: 1 }),
      check: ({ errorCode, memberId }) =>
        expect({ errorCode, memberId }).toEqual({ errorCode: UNKNOWN_MEMBER, memberId: null }),
    },
    {
      says: 'does not know a group that nobody joined',
      ask: () => ({ groupId: 'no-such', memberId: 'm', memberEpoch: 1 }),
      check: ({ errorCode }) => expect(errorCode).toBe(GROUP_NOT_FOUND),
    },
    {
      says: 'has no assignor of that name',
      ask: (_, place) => ({ ...joining(place, 'm'), serverAssignor: 'sticky' }),
      check: ({ errorCode }) => expect(errorCode).toBe(UNSUPPORTED_ASSIGNOR),
    },
    {
      says: 'takes a pattern of names',
      ask: (version, place) =>
        version < 1
          ? joining(place, 'm')
          : {
              ...joining(place, 'm'),
              subscribedTopicNames: null,
              subscribedTopicRegex: `${place.topic.slice(0, -1)}.`,
            },
      check: ({ assignment }, _, { topicId }) =>
        expect(assignment!.topicPartitions).toContainEqual({ topicId, partitions: [0, 1] }),
    },
  ],
  ConsumerGroupDescribe: [
    {
      says: 'describes a group with its members, and says which there is not',
      before: join,
      ask: (_, { topicId }) => ({ groupIds: [topicId, 'no-such'] }),
      check: ({ groups }, version, place) => {
        const { topic, topicId } = place;
        const has = { topicPartitions: [{ topicId, topicName: topic, partitions: [0, 1] }] };
        expect(groups[0]).toEqual({
          errorCode: 0,
          errorMessage: null,
          groupId: topicId,
          groupState: 'Stable',
          groupEpoch: 2,
          assignmentEpoch: 2,
          assignorName: 'uniform',
          members: [
            {
              memberId: 'first',
              instanceId: null,
              rackId: null,
              memberEpoch: 2,
              clientId: expect.any(String),
              clientHost: '/127.0.0.1',
              subscribedTopicNames: [topic],
              subscribedTopicRegex: '',
              assignment: has,
              targetAssignment: has,
              memberType: version < 1 ? -1 : 1,
            },
          ],
          authorizedOperations: -2147483648,
        });
        expect(groups[1]).toMatchObject({ errorCode: GROUP_NOT_FOUND, groupId: 'no-such', members: [] });
      },
    },
  ],
};
