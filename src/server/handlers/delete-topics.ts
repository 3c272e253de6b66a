import { ZERO_UUID } from '../../base/random.ts';
import { answerOr, handler } from '../handler.ts';

export const deleteTopics = handler('DeleteTopics', [1, 6], async (request, { broker, version }) => {
  const wanted = version < 6 ? request.topicNames.map((name) => ({ name, topicId: ZERO_UUID })) : request.topics;
  return {
    responses: await Promise.all(
      wanted.map(({ name, topicId }) =>
        answerOr(
          async () => {
            const topic = await broker.topics.delete(name ?? broker.topics.getById(topicId).name);
            return {
              name: topic.name as string | null,
              topicId: topic.id,
              errorCode: 0,
              errorMessage: null as string | null,
            };
          },
          (fault) => ({ name, topicId, errorCode: fault.code, errorMessage: fault.message }),
        ),
      ),
    ),
  };
});
