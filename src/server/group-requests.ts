import { Fault } from '../base/faults.ts';
import { answerOr } from './handler.ts';

/** @throws Fault invalidGroupId */
export function checkGroupId(groupId: string): void {
  if (groupId === '') throw new Fault('invalidGroupId');
}

/**
 * The answer to a request that its group may let wait, or what `refuse` makes of the fault it ends in. A client that goes, or
 * a broker that stops, ends the waiting: the group keeps the member, who is to look for its coordinator again.
 */
export function answered<Answer>(
  ask: () => Promise<Answer>,
  signal: AbortSignal,
  refuse: (fault: Fault) => Answer,
): Promise<Answer> {
  return answerOr(async () => {
    const ended = Promise.withResolvers<never>();
    const end = (): void => ended.reject(new Fault('coordinatorNotAvailable', { detail: 'the connection ends' }));
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    try {
      return await Promise.race([ask(), ended.promise]);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }, refuse);
}

/** Without access control everybody may read (3), delete (6) and describe (8) a group, and describe (10) and alter (11) its settings. */
const ALL_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const UNTOLD = -2147483648;

/** What may be done with a group, as Kafka's bits. */
export function groupOperations(wanted: boolean): number {
  return wanted ? ALL_OPERATIONS : UNTOLD;
}
