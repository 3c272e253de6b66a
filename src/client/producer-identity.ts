import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Cluster } from './cluster.ts';
import type { ProducerIdentity } from './producer-batch.ts';

/** Asks for an identity that no other producer has. @throws Fault notSupportedByBroker, connectionFailed and others. */
export function askIdentity(cluster: Cluster, timeoutMs: number): Promise<ProducerIdentity> {
  return cluster.retrying('asking for a producer id', timeoutMs, async () => {
    if (cluster.brokers.size === 0) await cluster.askMetadata([]);
    const connection = await cluster.connection(cluster.controllerId, 'main');
    if (!connection.offers('InitProducerId')) {
      throw new Fault('notSupportedByBroker', { detail: 'idempotent producers; set idempotent: false' });
    }
    const answer = await connection.request('InitProducerId', { transactionalId: null, transactionTimeoutMs: 0 });
    const fault = faultFromKafka(answer.errorCode, 'a producer id was refused; with idempotent: false none is needed');
    if (fault !== null) throw fault;
    return { producerId: answer.producerId, epoch: answer.producerEpoch };
  });
}
