import { Fault } from '../../../base/faults.ts';
import { limits } from '../../../base/limits.ts';
import { isAssignor, type TopicPartitions } from './assignor.ts';
import { JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH } from './consumer-member.ts';

/** A heartbeat of KIP-848, which is also how a member joins (epoch 0) and leaves (-1; -2 for a static one that returns). */
export interface ConsumerHeartbeat {
  readonly groupId: string;
  /** Empty in a join of version 0: the broker gives one. */
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  /** -1 when it did not change. */
  readonly rebalanceTimeoutMs: number;
  /** Null when they did not change, as below. */
  readonly topicNames: readonly string[] | null;
  readonly topicRegex: string | null;
  readonly serverAssignor: string | null;
  /** What the member has; null when that did not change. */
  readonly owned: TopicPartitions | null;
  readonly clientId: string;
  readonly clientHost: string;
}

export interface HeartbeatReply {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** What the member is to have; null when it was told before. */
  readonly assignment: TopicPartitions | null;
}

/** @throws Fault invalidRequest, unsupportedAssignor */
export function checkHeartbeat(beat: ConsumerHeartbeat, memberIdRequired: boolean): void {
  const refuse = (detail: string): never => {
    throw new Fault('invalidRequest', { detail });
  };
  const { memberId, memberEpoch, instanceId, rackId } = beat;
  if ((memberIdRequired || memberEpoch !== JOIN_EPOCH) && isBlank(memberId)) refuse('the member id is empty');
  if (isBlank(beat.groupId)) refuse('the group id is empty');
  if (isBlank(instanceId)) refuse('the instance id is empty');
  if (isBlank(rackId)) refuse('the rack id is empty');
  if ((beat.topicNames?.length ?? 0) > limits.subscribedTopicsMax) {
    refuse(`it names more than ${limits.subscribedTopicsMax} topics`);
  }
  if (memberEpoch === JOIN_EPOCH) {
    if (beat.rebalanceTimeoutMs === -1) refuse('a join needs a rebalance timeout');
    if (beat.owned === null || beat.owned.size > 0) refuse('who joins owns no partitions, and must say so');
    if (beat.topicNames === null && beat.topicRegex === null) refuse('a join needs topic names or a pattern of them');
  } else if (memberEpoch === STATIC_LEAVE_EPOCH) {
    if (instanceId === null) refuse('only a member with an instance id leaves to come back');
  } else if (memberEpoch < LEAVE_EPOCH) refuse(`no member has epoch ${memberEpoch}`);
  if (beat.serverAssignor !== null && !isAssignor(beat.serverAssignor)) {
    throw new Fault('unsupportedAssignor', { detail: JSON.stringify(beat.serverAssignor) });
  }
}

function isBlank(text: string | null): boolean {
  return text !== null && text.trim() === '';
}

/** A request that says all of itself, as after a join or an error, is answered with the whole assignment. */
export function isFull(beat: ConsumerHeartbeat): boolean {
  return (
    beat.memberEpoch === JOIN_EPOCH ||
    (beat.rebalanceTimeoutMs !== -1 && (beat.topicNames ?? beat.topicRegex) !== null && beat.owned !== null)
  );
}
