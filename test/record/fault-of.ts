import { Fault, type FaultName } from '../../src/base/faults.ts';

/** The fault that `action` throws; null when it throws none. Any other error is thrown on: it is not what was promised. */
export function faultOf(action: () => unknown): FaultName | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof Fault) return error.fault;
    throw error;
  }
}
