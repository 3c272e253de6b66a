import { checkGroupId } from '../group-requests.ts';
import { answerOr, handler } from '../handler.ts';

export const heartbeat = handler('Heartbeat', [0, 4], (request, { broker }) =>
  answerOr(
    async () => {
      const { groupId, memberId, groupInstanceId, generationId } = request;
      checkGroupId(groupId);
      await broker.groups.heartbeat(groupId, memberId, groupInstanceId, generationId);
      return { errorCode: 0 };
    },
    (fault) => ({ errorCode: fault.code }),
  ),
);
