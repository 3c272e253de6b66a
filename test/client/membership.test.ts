import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { encodeAssignment } from '../../src/client/assignment-bytes.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { allVersions, FakeBroker, type Script, shortPauses, TOPIC, TOPIC_ID } from './fake-broker.ts';

/* What was asked as a member reaches the coordinator late: when the member has left, or has lost what it had. */

const PATIENCE = { timeout: 20_000, interval: 5 };
const { COORDINATOR_LOAD_IN_PROGRESS, UNKNOWN_MEMBER_ID } = kafkaErrors;

const offsetTopics = (facts: object) => [{ name: TOPIC, partitions: [{ partitionIndex: 0, ...facts }] }] as never;

const FindCoordinator: Script['FindCoordinator'] = ({ coordinatorKeys }) => ({
  coordinators: [{ key: coordinatorKeys[0]!, nodeId: 0, host: '127.0.0.1', port: 1 }],
});

test('a member that is closed while a heartbeat waits for a connection does not join again once it has left', async () => {
  const epochs: number[] = [];
  let isCutOff = false;
  let waiting = 0;
  const connected = Promise.withResolvers<void>();
  await using broker = await FakeBroker.start({
    ApiVersions: async () => {
      if (isCutOff) {
        waiting++;
        await connected.promise;
      }
      return { apiKeys: allVersions };
    },
    ConsumerGroupHeartbeat: ({ memberId, memberEpoch }) => {
      epochs.push(memberEpoch);
      if (memberEpoch < 0) return { memberId, memberEpoch };
      // By now nothing but the heartbeats is to connect.
      if (broker.count('Fetch') > 0) {
        isCutOff = true;
        return 'hang up';
      }
      const assignment = memberEpoch === 0 ? { topicPartitions: [{ topicId: TOPIC_ID, partitions: [0] }] } : null;
      return { memberId, memberEpoch: 1, heartbeatIntervalMs: 20, assignment };
    },
    FindCoordinator,
    OffsetFetch: () => ({ groups: [{ groupId: 'group', topics: offsetTopics({ committedOffset: 5 }) }] }),
    Fetch: () => 'silence',
  });
  await using client = await Millrace.connect(broker.address, shortPauses);
  const member = client.consumer({ group: 'group', topics: TOPIC, protocol: 'consumer', autoCommit: false });
  await member.start();
  await expect.poll(() => waiting, PATIENCE).toBeGreaterThan(0);
  const closing = member.close();
  await expect.poll(() => member.generation, PATIENCE).toBe(-1);
  connected.resolve();
  await closing;
  expect(epochs.filter((epoch) => epoch <= 0)).toEqual([0, -1]);
});

test.each(['classic', 'consumer'] as const)(
  'a commit of before a loss is none of what is had again since, whatever another has committed meanwhile, by the protocol %s',
  async (protocol) => {
    let committed = 5;
    let generation = 0;
    let isForgotten = false;
    let refusals = 0;
    let assignments = 0;
    const join = (): number => {
      isForgotten = false;
      generation++;
      return generation;
    };
    await using broker = await FakeBroker.start({
      JoinGroup: ({ protocols }) => {
        const [{ name, metadata }] = protocols as [{ name: string; metadata: Buffer }];
        const members = [{ memberId: 'the member', metadata }];
        return { generationId: join(), protocolName: name, leader: 'the member', memberId: 'the member', members };
      },
      SyncGroup: () => ({ assignment: encodeAssignment([{ topic: TOPIC, partitions: [0] }]) }),
      Heartbeat: () => ({ errorCode: isForgotten ? UNKNOWN_MEMBER_ID.code : 0 }),
      LeaveGroup: () => ({}),
      ConsumerGroupHeartbeat: ({ memberId, memberEpoch }) => {
        if (memberEpoch < 0) return { memberId, memberEpoch };
        if (memberEpoch > 0 && isForgotten) return { errorCode: UNKNOWN_MEMBER_ID.code };
        const assignment = memberEpoch === 0 ? { topicPartitions: [{ topicId: TOPIC_ID, partitions: [0] }] } : null;
        return { memberId, memberEpoch: assignment ? join() : memberEpoch, heartbeatIntervalMs: 20, assignment };
      },
      FindCoordinator,
      OffsetFetch: () => {
        assignments++;
        return { groups: [{ groupId: 'group', topics: offsetTopics({ committedOffset: committed }) }] };
      },
      OffsetCommit: ({ topics }) => {
        if (assignments === 1) {
          refusals++;
          return { topics: offsetTopics({ errorCode: COORDINATOR_LOAD_IN_PROGRESS.code }) };
        }
        committed = topics[0]!.partitions[0]!.committedOffset;
        return { topics: offsetTopics({ errorCode: 0 }) };
      },
      Fetch: () => 'silence',
    });
    // The pause before the commit is asked again is long by now, that before the member joins again is short.
    const retryBackoff = { firstMs: 1, maxMs: 2_000 };
    await using client = await Millrace.connect(broker.address, { retryBackoff });
    const options = { group: 'group', topics: TOPIC, protocol, heartbeatIntervalMs: 20, autoCommit: false };
    const member = client.consumer(options);
    await member.start();
    const commit = member.commit([{ topic: TOPIC, partition: 0, offset: 6 }]);
    commit.catch(() => {});
    await expect.poll(() => refusals, PATIENCE).toBeGreaterThan(9);
    // Another one had the partition while this member was silent.
    committed = 200;
    isForgotten = true;
    await expect(commit).rejects.toMatchObject({ fault: 'notAssigned' });
    await expect.poll(() => assignments, PATIENCE).toBe(2);
    expect([generation, committed]).toEqual([2, 200]);
    await member.commit([{ topic: TOPIC, partition: 0, offset: 201 }]);
    expect(committed).toBe(201);
    await member.close();
  },
);
