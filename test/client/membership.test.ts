import { expect, test } from 'vitest';
import { Millrace } from '../../src/client/millrace.ts';
import { allVersions, FakeBroker, type Script, shortPauses, TOPIC, TOPIC_ID } from './fake-broker.ts';

/* What was asked as a member reaches the coordinator late: when the member has left, or has lost what it had. */

const PATIENCE = { timeout: 20_000, interval: 5 };

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
