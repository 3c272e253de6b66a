import { expect, test } from 'vitest';
import { countCalls, failingStates, missingCalls, textOf, tryState } from './failing-calls.ts';

/** Every n-th state is tried; `npm run failing-calls` tries all. */
const EVERY = Number(process.env['MILLRACE_FAILING_CALLS'] ?? 61);

test('whichever call of the disk fails, what a broker has promised holds at the next start, and nothing hangs', async () => {
  const calls = await countCalls();
  for (const [script, counts] of calls) {
    for (const [call, times] of counts) {
      const isRare = script === 'recovery' && ['remove', 'rename', 'folder', 'truncate'].includes(call);
      expect(times, `${script}: calls of ${call}`).toBeGreaterThan(isRare ? 1 : 10);
    }
  }
  const counts = new Map<string, number>();
  let turn = 0;
  for (const state of failingStates(calls)) {
    if (turn++ % EVERY !== 0) continue;
    await tryState(state, counts).catch((error) => {
      throw new Error(`${textOf(state)}: ${(error as Error).message}`, { cause: error });
    });
  }
  expect(missingCalls(counts)).toEqual([]);
}, 3_600_000);
