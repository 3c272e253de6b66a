import { handler } from '../handler.ts';

/** KIP-919: this broker answers for brokers; there are no controllers to ask. */
const BROKERS = 1;

export const describeCluster = handler('DescribeCluster', [0, 2], (_request, { broker, advertised }) => {
  const { clusterId, nodeId } = broker.identity;
  return {
    endpointType: BROKERS,
    clusterId,
    controllerId: nodeId,
    brokers: [{ brokerId: nodeId, host: advertised.host, port: advertised.port, rack: null, isFenced: false }],
  };
});
