import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import { type JoinAnswer, type JoinRequest, refusedJoin } from '../../broker/groups/classic-member.ts';
import type { JoinGroupRequest } from '../../wire/messages.generated.ts';
import type { RequestContext } from '../context.ts';
import { answered, checkGroupId } from '../group-requests.ts';
import { handler } from '../handler.ts';

/** The first version that names a rebalance timeout; before, the session's counts. */
const REBALANCE_TIMEOUT_FROM = 1;
/** KIP-394: a new member joins again with the id it is given. */
const KNOWN_ID_FROM = 4;
/** From here on a protocol's name may be null. */
const NULLABLE_FROM = 7;
/** KIP-814: a leader can be told that nothing is to be assigned. */
const SKIP_ASSIGNMENT_FROM = 9;

export const joinGroup = handler('JoinGroup', [0, 9], async (request, context) => {
  const { broker, version } = context;
  const answer = await answered(
    () => {
      checkGroupId(request.groupId);
      checkSessionTimeout(broker, request.sessionTimeoutMs);
      return broker.groups.join(request.groupId, joinOf(request, context));
    },
    context.signal,
    (fault) => refusedJoin(fault, request.memberId),
  );
  return told(answer, version);
});

function told(answer: JoinAnswer, version: number) {
  const { refused, generation, protocolType, protocolName, leader, skipAssignment, memberId, members } = answer;
  return {
    errorCode: refused?.code ?? 0,
    generationId: generation,
    ...(version >= NULLABLE_FROM ? { protocolType } : {}),
    protocolName: version >= NULLABLE_FROM ? protocolName : (protocolName ?? ''),
    leader,
    ...(version >= SKIP_ASSIGNMENT_FROM ? { skipAssignment } : {}),
    memberId,
    members: members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      metadata: Buffer.from(member.metadata),
    })),
  };
}

function joinOf(request: JoinGroupRequest, context: RequestContext): JoinRequest {
  const { memberId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType } = request;
  const { version, broker } = context;
  const clientId = context.clientId ?? '';
  const protocols = new Map<string, Uint8Array>();
  for (const { name, metadata } of request.protocols) {
    // A copy, since it outlives the request's frame. Of a protocol that is named twice the first counts.
    if (!protocols.has(name)) protocols.set(name, new Uint8Array(metadata));
  }
  return {
    memberId,
    instanceId: groupInstanceId,
    clientId,
    clientHost: context.clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: version < REBALANCE_TIMEOUT_FROM ? sessionTimeoutMs : rebalanceTimeoutMs,
    protocolType,
    protocols: Array.from(protocols, ([name, metadata]) => ({ name, metadata })),
    newMemberId: broker.groups.newMemberId(groupInstanceId ?? clientId),
    mustKnowId: version >= KNOWN_ID_FROM,
    maySkipAssignment: version >= SKIP_ASSIGNMENT_FROM,
  };
}

function checkSessionTimeout({ settings }: Broker, sessionTimeoutMs: number): void {
  const minMs = settings.number('group.min.session.timeout.ms');
  const maxMs = settings.number('group.max.session.timeout.ms');
  if (sessionTimeoutMs < minMs || sessionTimeoutMs > maxMs) throw new Fault('invalidSessionTimeout');
}
