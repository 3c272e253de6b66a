import type { Millrace } from '../../src/millrace.ts';
import { consumerAssignment, consumerMetadata } from '../broker/groups/consumer-metadata.ts';

/*
 * Members of groups by single requests, with no client behind them that would heartbeat, commit or join again by itself: what a
 * broker says of a group is then exactly what the test made.
 */

const SESSION_TIMEOUT_MS = 45_000;

interface ClassicMember {
  readonly memberId: string;
  readonly generation: number;
}

/** Joins a classic group as its only member, with all partitions of one topic. */
export async function joinClassic(
  { admin }: Millrace,
  group: string,
  topic: string,
  partitions: readonly number[],
  instanceId: string | null = null,
): Promise<ClassicMember> {
  const ask = (memberId: string) =>
    admin.request('JoinGroup', {
      groupId: group,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: SESSION_TIMEOUT_MS,
      memberId,
      groupInstanceId: instanceId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: consumerMetadata([topic]) }],
    });
  let joined = await ask('');
  // A dynamic member is given its id first (KIP-394).
  if (joined.errorCode === 79) joined = await ask(joined.memberId);
  if (joined.errorCode !== 0) throw new Error(`JoinGroup: ${joined.errorCode}`);
  const { memberId, generationId: generation } = joined;
  const synced = await admin.request('SyncGroup', {
    groupId: group,
    generationId: generation,
    memberId,
    groupInstanceId: instanceId,
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [{ memberId, assignment: consumerAssignment(topic, partitions) }],
  });
  if (synced.errorCode !== 0) throw new Error(`SyncGroup: ${synced.errorCode}`);
  return { memberId, generation };
}

/** Joins a group of the type `consumer`. @returns the member's epoch */
export async function joinConsumer(
  { admin }: Millrace,
  group: string,
  topic: string,
  memberId: string,
  instanceId: string | null = null,
): Promise<number> {
  const joining = { rebalanceTimeoutMs: SESSION_TIMEOUT_MS, subscribedTopicNames: [topic], topicPartitions: [] };
  // Asking for the coordinator is what makes a Kafka broker begin to be one; then it takes its time to load.
  await admin.groups.offsets([group]);
  const answer = await admin.request('ConsumerGroupHeartbeat', {
    groupId: group,
    memberId,
    instanceId,
    memberEpoch: 0,
    ...joining,
  });
  if (answer.errorCode !== 0) throw new Error(`ConsumerGroupHeartbeat: ${answer.errorCode} ${answer.errorMessage}`);
  return answer.memberEpoch;
}

/** A heartbeat of such a member, which Apache Kafka waits for before it looks at a topic again that was just made. */
export async function beatConsumer(client: Millrace, groupId: string, memberId: string, memberEpoch: number) {
  return client.admin.request('ConsumerGroupHeartbeat', { groupId, memberId, memberEpoch });
}
