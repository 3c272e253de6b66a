import { setTimeout as sleep } from 'node:timers/promises';
import { untilInterrupted } from './interrupted.ts';
import { write } from './output.ts';

/** Clears the screen and puts the cursor at its top. */
const CLEAR = '\x1b[2J\x1b[H';

/** Shows something every so often until Ctrl-C: over the last at a terminal, one after another elsewhere. */
export async function watching(intervalMs: number, show: () => Promise<void>): Promise<void> {
  await untilInterrupted(async (signal) => {
    while (!signal.aborted) {
      if (process.stdout.isTTY) await write(CLEAR);
      await show();
      await sleep(intervalMs, undefined, { signal });
    }
  });
}
