import { Fault } from '../../base/faults.ts';
import type { InitProducerIdRequest } from '../../wire/messages.generated.ts';
import { answerOr, handler } from '../handler.ts';

const NONE = -1;

/** An idempotent producer always gets a new id; one that restarts, or says which it had, is another producer. */
export const initProducerId = handler('InitProducerId', [0, 5], (request, { broker }) =>
  answerOr(
    async () => {
      check(request);
      return { errorCode: 0, producerId: await broker.producerIds.next(), producerEpoch: 0 };
    },
    (fault) => ({ errorCode: fault.code, producerId: NONE, producerEpoch: NONE }),
  ),
);

function check({ transactionalId, producerId, producerEpoch }: InitProducerIdRequest): void {
  if (transactionalId === '') throw new Fault('invalidRequest', { detail: 'an empty transactional id' });
  if ((producerId === NONE) !== (producerEpoch === NONE)) {
    throw new Fault('invalidRequest', { detail: `producer id ${producerId} with epoch ${producerEpoch}` });
  }
  if (transactionalId !== null) throw new Fault('transactionsNotServed');
}
