import type { TopicPartitions } from '../../broker/groups/consumer/assignor.ts';
import type { HeartbeatReply } from '../../broker/groups/consumer/heartbeat-request.ts';
import type { ConsumerGroupHeartbeatRequest } from '../../wire/messages.generated.ts';
import { answerOr, handler } from '../handler.ts';

/** From here on members give themselves their ids. */
const MEMBER_IDS_FROM = 1;

/** KIP-848: how a member of the new protocol joins, stays, learns what it is to have, and leaves. */
export const consumerGroupHeartbeat = handler('ConsumerGroupHeartbeat', [0, 1], (request, context) => {
  const { broker, version, clientId, clientHost } = context;
  const { groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, serverAssignor } = request;
  const beat = {
    ...{ groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, serverAssignor },
    topicNames: request.subscribedTopicNames,
    topicRegex: request.subscribedTopicRegex,
    owned: request.topicPartitions && partitionsFrom(request.topicPartitions),
    clientId: clientId ?? '',
    clientHost,
  };
  return answerOr(
    async () => {
      const { assignment, ...reply } = await broker.groups.consumers.heartbeat(beat, version >= MEMBER_IDS_FROM);
      const told = assignment && { topicPartitions: partitionsTo(assignment) };
      return { ...(reply as Told), assignment: told, errorCode: 0, errorMessage: null as string | null };
    },
    (fault) => ({
      memberId: null,
      memberEpoch: 0,
      heartbeatIntervalMs: 0,
      assignment: null,
      errorCode: fault.code,
      errorMessage: fault.message,
    }),
  );
});

type Told = Omit<HeartbeatReply, 'memberId' | 'assignment'> & { memberId: string | null };
type Owned = NonNullable<ConsumerGroupHeartbeatRequest['topicPartitions']>;

function partitionsFrom(owned: Owned): TopicPartitions {
  const partitions = new Map<string, number[]>();
  for (const { topicId, partitions: some } of owned) {
    partitions.set(topicId, [...(partitions.get(topicId) ?? []), ...some]);
  }
  return partitions;
}

function partitionsTo(partitions: TopicPartitions): { topicId: string; partitions: number[] }[] {
  return Array.from(partitions, ([topicId, some]) => ({ topicId, partitions: [...some] }));
}
