import { Fault } from '../../base/faults.ts';
import { ClassicGroup } from '../../broker/groups/classic-group.ts';
import { metadataOf } from '../../broker/groups/classic-member.ts';
import { handler } from '../handler.ts';

/** From here on a group that is not there is an error, not only dead. */
const NOT_FOUND_FROM = 6;
/** Without access control everybody may read (3), delete (6) and describe (8) a group, and describe (10) and alter (11) its settings. */
const ALL_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const UNTOLD = -2147483648;

export const describeGroups = handler('DescribeGroups', [0, 6], (request, { broker, version }) => {
  const operations = request.includeAuthorizedOperations ? ALL_OPERATIONS : UNTOLD;
  return {
    groups: request.groups.map((groupId) => {
      const group = broker.groups.find(groupId);
      if (group instanceof ClassicGroup) {
        return { ...described(group), ...(version < 3 ? {} : { authorizedOperations: operations }) };
      }
      const fault = new Fault('groupNotFound', { detail: JSON.stringify(groupId) });
      const error = version < NOT_FOUND_FROM ? {} : { errorCode: fault.code, errorMessage: fault.message };
      const untold = version < NOT_FOUND_FROM ? operations : UNTOLD;
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
