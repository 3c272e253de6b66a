import { Fault } from '../../base/faults.ts';
import { readingHandler } from '../handler.ts';

/** KIP-919: this broker answers for brokers; there are no controllers to ask. */
const BROKERS = 1;
const CONTROLLERS = 2;

export const describeCluster = readingHandler('DescribeCluster', [0, 2], ({ endpointType }, { broker, advertised }) => {
  if (endpointType === CONTROLLERS) throw new Fault('mismatchedEndpointType');
  if (endpointType !== BROKERS) throw new Fault('unsupportedEndpointType', { detail: String(endpointType) });
  const { clusterId, nodeId } = broker.identity;
  return {
    endpointType: BROKERS,
    clusterId,
    controllerId: nodeId,
    brokers: [{ brokerId: nodeId, host: advertised.host, port: advertised.port, rack: null, isFenced: false }],
  };
});
