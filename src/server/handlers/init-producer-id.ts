import { Fault } from '../../base/faults.ts';
import { handler } from '../handler.ts';

/** An idempotent producer always gets a new id; one that restarts is another producer. */
export const initProducerId = handler('InitProducerId', [0, 5], async (request, { broker }) => {
  if (request.transactionalId !== null) throw new Fault('transactionsNotServed');
  return { producerId: await broker.producerIds.next(), producerEpoch: 0 };
});
