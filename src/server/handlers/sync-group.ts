import { Fault } from '../../base/faults.ts';
import { refusedSync } from '../../broker/groups/classic-member.ts';
import { answered, checkGroupId } from '../group-requests.ts';
import { handler } from '../handler.ts';

/** From here on both sides say which protocol they mean. */
const PROTOCOL_FROM = 5;

export const syncGroup = handler('SyncGroup', [0, 5], async (request, { broker, version, signal }) => {
  const { groupId, generationId: generation, memberId, groupInstanceId: instanceId } = request;
  const answer = await answered(
    () => {
      checkGroupId(groupId);
      const { protocolType, protocolName } = request;
      const untold = protocolType === null || protocolName === null;
      if (version >= PROTOCOL_FROM && untold) throw new Fault('inconsistentGroupProtocol');
      // Copies, since they outlive the request's frame.
      const assignments = request.assignments.map((each) => ({
        memberId: each.memberId,
        assignment: new Uint8Array(each.assignment),
      }));
      const ask = { memberId, instanceId, generation, protocolType, protocolName, assignments };
      return broker.groups.sync(groupId, ask);
    },
    signal,
    refusedSync,
  );
  return {
    errorCode: answer.refused?.code ?? 0,
    ...(version >= PROTOCOL_FROM ? { protocolType: answer.protocolType, protocolName: answer.protocolName } : {}),
    assignment: Buffer.from(answer.assignment),
  };
});
