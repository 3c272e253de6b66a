import { Fault } from '../../base/faults.ts';
import type { Broker } from '../../broker/broker.ts';
import type { CreatePartitionsTopic } from '../../wire/messages.generated.ts';
import { duplicatesIn, faultOf, handler } from '../handler.ts';

export const createPartitions = handler('CreatePartitions', [0, 3], async (request, { broker }) => {
  const duplicates = duplicatesIn(request.topics.map(({ name }) => name));
  return {
    results: await Promise.all(
      request.topics.map(async (wish) => {
        const { name, count } = wish;
        const fault = await faultOf(() => {
          if (duplicates.has(name)) throw new Fault('invalidRequest', { detail: `${name} is named twice` });
          checkAssignments(wish, broker);
          return broker.topics.addPartitions(name, count, request.validateOnly);
        });
        return { name, errorCode: fault?.code ?? 0, errorMessage: fault?.message ?? null };
      }),
    ),
  };
});

/** Each partition that is added has its one replica on this broker, if the client says where. */
function checkAssignments({ name, count, assignments }: CreatePartitionsTopic, broker: Broker): void {
  if (assignments === null) return;
  const { nodeId } = broker.identity;
  const added = count - broker.topics.get(name).record.partitions;
  const here = assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === nodeId);
  if (added > 0 && (assignments.length !== added || !here)) {
    throw new Fault('invalidReplicaAssignment', { detail: `${name}; this broker is ${nodeId}` });
  }
}
