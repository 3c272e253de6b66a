import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import type { TopicPartitions } from '../../broker/groups/consumer/assignor.ts';
import { type ConsumerMember, partitionsIn, union } from '../../broker/groups/consumer/consumer-member.ts';
import type { LiveConsumerGroup } from '../../broker/groups/consumer/live-consumer-group.ts';
import { groupOperations } from '../group-requests.ts';
import { answerOr, handler } from '../handler.ts';

/** Kafka's numbers for the protocol that a member speaks. */
const memberType = { classic: 0, consumer: 1 };

/** KIP-848. Groups of the classic protocol are not told here: tools ask DescribeGroups for them. */
export const consumerGroupDescribe = handler('ConsumerGroupDescribe', [0, 1], async (request, { broker }) => ({
  groups: await Promise.all(
    request.groupIds.map((groupId) =>
      answerOr(
        () => ({
          errorCode: 0,
          errorMessage: null as string | null,
          ...described(broker, groupId),
          authorizedOperations: groupOperations(request.includeAuthorizedOperations),
        }),
        (fault) => ({
          errorCode: fault.code,
          errorMessage: fault.message,
          ...nothing(groupId),
          authorizedOperations: groupOperations(false),
        }),
      ),
    ),
  ),
}));

const nothing = (groupId: string) => ({
  groupId,
  groupState: '',
  groupEpoch: 0,
  assignmentEpoch: 0,
  assignorName: '',
  members: [],
});

function described(broker: Broker, groupId: string) {
  if (groupId === '') throw new Fault('invalidGroupId');
  const group = broker.groups.consumers.get(groupId);
  return {
    groupId,
    groupState: group.stateName as string,
    groupEpoch: group.state.epoch,
    assignmentEpoch: group.state.targetEpoch,
    assignorName: group.assignorName as string,
    members: Array.from(group.state.members.values(), (member) => describedMember(broker, group, member)),
  };
}

function describedMember(broker: Broker, { state }: LiveConsumerGroup, member: ConsumerMember) {
  const { memberId, instanceId, rackId, epoch, clientId, clientHost, topicNames, topicRegex, classic } = member;
  const told = (partitions: TopicPartitions) => ({ topicPartitions: namedPartitions(broker, partitions) });
  return {
    ...{ memberId, instanceId, rackId, memberEpoch: epoch, clientId, clientHost },
    subscribedTopicNames: [...topicNames],
    subscribedTopicRegex: topicRegex as string | null,
    // As Kafka tells it: also what the member has yet to give up.
    assignment: told(partitionsIn(union(member.assigned, member.revoking))),
    targetAssignment: told(state.target(memberId)),
    memberType: classic === null ? memberType.consumer : memberType.classic,
  };
}

/** Topics that are gone by now are left out: they have no name. */
function namedPartitions(broker: Broker, partitions: TopicPartitions) {
  return Array.from(partitions).flatMap(([topicId, some]) => {
    const topic = broker.topics.findById(topicId);
    return topic === null ? [] : [{ topicId, topicName: topic.name, partitions: [...some] }];
  });
}
