import { Fault } from '../../base/faults.ts';
import { ZERO_UUID } from '../../base/random.ts';
import type { Broker } from '../../broker/broker.ts';
import { answerOr, duplicatesIn, handler } from '../handler.ts';

interface Wish {
  readonly name: string | null;
  readonly topicId: string;
}

export const deleteTopics = handler('DeleteTopics', [1, 6], async (request, { broker, version }) => {
  const wanted: Wish[] =
    version < 6 ? request.topicNames.map((name) => ({ name, topicId: ZERO_UUID })) : request.topics;
  const nameOf = ({ name, topicId }: Wish) => name ?? broker.topics.findById(topicId)?.name ?? topicId;
  const duplicates = duplicatesIn(wanted.map(nameOf));
  return {
    responses: await Promise.all(
      wanted.map((wish) =>
        answerOr(
          async () => {
            if (duplicates.has(nameOf(wish))) throw new Fault('invalidRequest', { detail: 'a topic is named twice' });
            const topic = await remove(broker, wish);
            return {
              name: topic.name as string | null,
              topicId: topic.id,
              errorCode: 0,
              errorMessage: null as string | null,
            };
          },
          (fault) => ({ ...wish, errorCode: fault.code, errorMessage: fault.message }),
        ),
      ),
    ),
  };
});

function remove(broker: Broker, { name, topicId }: Wish) {
  if ((name === null) === (topicId === ZERO_UUID)) {
    throw new Fault('invalidRequest', { detail: 'a topic is deleted by its name or by its id' });
  }
  return broker.topics.delete(name ?? broker.topics.getById(topicId).name);
}
