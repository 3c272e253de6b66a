import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes } from './exit-codes.ts';
import { write } from './output.ts';

/** Clears the screen and puts the cursor at its top. */
const CLEAR = '\x1b[2J\x1b[H';

/** Shows something every so often until Ctrl-C: over the last at a terminal, one after another elsewhere. */
export async function watching(intervalMs: number, show: () => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    process.exitCode = signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated;
    abort.abort();
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    while (!abort.signal.aborted) {
      if (process.stdout.isTTY) await write(CLEAR);
      await show();
      await sleep(intervalMs, undefined, { signal: abort.signal });
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
