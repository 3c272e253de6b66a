import { checkGroupId } from '../group-requests.ts';
import { answerOr, handler } from '../handler.ts';

/** From here on several members may leave at once, each with its own outcome. */
const MEMBERS_FROM = 3;

export const leaveGroup = handler('LeaveGroup', [0, 5], (request, { broker, version }) =>
  answerOr(
    async () => {
      checkGroupId(request.groupId);
      const leavers =
        version < MEMBERS_FROM ? [{ memberId: request.memberId, groupInstanceId: null }] : request.members;
      const refusals = await broker.groups.leave(
        request.groupId,
        leavers.map(({ memberId, groupInstanceId: instanceId }) => ({ memberId, instanceId })),
      );
      if (version < MEMBERS_FROM) return { errorCode: refusals[0]?.code ?? 0 };
      const members = leavers.map(({ memberId, groupInstanceId }, i) => {
        return { memberId, groupInstanceId, errorCode: refusals[i]?.code ?? 0 };
      });
      return { errorCode: 0, members };
    },
    (fault) => ({ errorCode: fault.code }),
  ),
);
