import { exitCodes } from './exit-codes.ts';

/**
 * Runs what ends by itself, or when the signal that it is given aborts: at Ctrl-C or SIGTERM, which the exit code then says.
 * False when it was cut short.
 */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  const abort = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    process.exitCode = signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated;
    abort.abort();
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    await work(abort.signal);
    return true;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return false;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
