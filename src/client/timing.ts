import type { Clock } from '../base/clock.ts';

/** The promise's outcome, or a rejection with `onTimeout()` when it has none within `timeoutMs`; the promise itself goes on. */
export function within<T>(clock: Clock, timeoutMs: number, promise: Promise<T>, onTimeout: () => Error): Promise<T> {
  if (timeoutMs === Number.POSITIVE_INFINITY) return promise;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(onTimeout()));
    promise.then(resolve, reject).finally(cancel);
  });
}
