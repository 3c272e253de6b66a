import { Fault } from '../../base/faults.ts';
import { faultOf, handler } from '../handler.ts';

export const createPartitions = handler('CreatePartitions', [0, 3], async (request, { broker }) => ({
  results: await Promise.all(
    request.topics.map(async ({ name, count, assignments }) => {
      const fault = await faultOf(() => {
        const { nodeId } = broker.identity;
        if (assignments?.some(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== nodeId)) {
          throw new Fault('invalidReplicaAssignment', { detail: `${name}; this broker is ${nodeId}` });
        }
        return broker.topics.addPartitions(name, count, request.validateOnly);
      });
      return { name, errorCode: fault?.code ?? 0, errorMessage: fault?.message ?? null };
    }),
  ),
}));
