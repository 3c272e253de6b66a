import { Fault } from '../../base/faults.ts';
import { readingHandler } from '../handler.ts';

/** Kafka's numbers for what has a coordinator. */
const keyType = { group: 0, transaction: 1, share: 2 };

const BATCHED_FROM = 4;
const SHARE_FROM = 6;

/** This broker coordinates every group. Whoever asks for a transaction's coordinator is told what can be done: nothing. */
export const findCoordinator = readingHandler('FindCoordinator', [0, 6], (request, { broker, advertised, version }) => {
  const { keyType: type } = request;
  const found = { nodeId: broker.identity.nodeId, host: advertised.host, port: advertised.port };
  const answer = (key: string) => {
    const fault = refusal(type, version);
    if (fault === null) return { key, errorCode: 0, errorMessage: version < BATCHED_FROM ? 'NONE' : '', ...found };
    return { key, errorCode: fault.code, errorMessage: fault.message, nodeId: -1, host: '', port: -1 };
  };
  if (version >= BATCHED_FROM) return { coordinators: request.coordinatorKeys.map(answer) };
  const { key: _, ...single } = answer(request.key);
  return single;
});

function refusal(type: number, version: number): Fault | null {
  if (type === keyType.group) return null;
  if (type === keyType.transaction) return new Fault('transactionsNotServed');
  if (type === keyType.share && version >= SHARE_FROM) return new Fault('coordinatorNotAvailable');
  return new Fault('invalidRequest', { detail: `coordinator type ${type}` });
}
