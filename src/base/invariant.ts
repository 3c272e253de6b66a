/** A broken promise of our own code. It is never caught to go on: the broker it happens in stops itself. */
export class InvariantError extends Error {
  override name = 'InvariantError';
}

/**
 * States what must hold. A failure is a bug of ours, never of a peer or of the machine: those are faults (faults.ts).
 * @throws InvariantError with the facts at hand, so that the log line alone shows what was wrong.
 */
export function invariant(condition: unknown, message: string, facts?: object): asserts condition {
  if (!condition) throw new InvariantError(facts === undefined ? message : `${message}: ${JSON.stringify(facts)}`);
}

/** Marks code that no value can reach; the compiler proves it by the parameter's type. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable value ${JSON.stringify(value)}`);
}
