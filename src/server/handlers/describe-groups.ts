import { Fault } from '../../base/faults.ts';
import { ClassicGroup } from '../../broker/groups/classic-group.ts';
import { metadataOf } from '../../broker/groups/classic-member.ts';
import { groupOperations } from '../group-requests.ts';
import { handler } from '../handler.ts';

/** From here on a group that is not there is an error, not only dead. */
const NOT_FOUND_FROM = 6;

export const describeGroups = handler('DescribeGroups', [0, 6], (request, { broker, version }) => {
  const operations = groupOperations(request.includeAuthorizedOperations);
  return {
    groups: request.groups.map((groupId) => {
      const group = broker.groups.find(groupId);
      if (group instanceof ClassicGroup) {
        return { ...described(group), ...(version < 3 ? {} : { authorizedOperations: operations }) };
      }
      const fault = new Fault('groupNotFound', { detail: JSON.stringify(groupId) });
      const error = version < NOT_FOUND_FROM ? {} : { errorCode: fault.code, errorMessage: fault.message };
      const untold = version < NOT_FOUND_FROM ? operations : groupOperations(false);
      return { groupId, groupState: 'Dead', ...error, ...(version < 3 ? {} : { authorizedOperations: untold }) };
    }),
  };
});

function described(group: ClassicGroup) {
  const { id, stateName, protocolType, protocolName } = group;
  return {
    errorCode: 0,
    groupId: id,
    groupState: stateName,
    protocolType,
    protocolData: protocolName,
    members: Array.from(group.members, (member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: Buffer.from(metadataOf(member, protocolName)),
      memberAssignment: Buffer.from(member.assignment),
    })),
  };
}
