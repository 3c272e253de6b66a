import { expect, test } from 'vitest';
import { countCalls, type FailingState, failingStates, runState } from './failing-calls.ts';

/** Every n-th state is tried; MILLRACE_FAILING_CALLS=1 tries all, some 7,000 in some minutes. MILLRACE_SHARD=i/n takes a part. */
const EVERY = Number(process.env['MILLRACE_FAILING_CALLS'] ?? 61);
const [SHARD, SHARDS] = (process.env['MILLRACE_SHARD'] ?? '0/1').split('/').map(Number) as [number, number];

test('whichever call of the disk fails, what a broker has promised holds at the next start, and nothing hangs', async () => {
  const counts = await countCalls();
  for (const [call, count] of counts) expect(count, `the script makes calls of ${call}`).toBeGreaterThan(10);
  const tried = new Map<string, number>();
  let [turn, states, failed] = [0, 0, 0];
  for (const state of failingStates(counts)) {
    const at = turn;
    turn += 1;
    if (at % EVERY !== 0 || Math.floor(at / EVERY) % SHARDS !== SHARD) continue;
    const hits = await runState(state).catch((error) => {
      throw new Error(`${textOf(state)}: ${(error as Error).message}`, { cause: error });
    });
    states += 1;
    // The last of them may come in one run and not in another: a round is shared by what arrives in time.
    if (hits > 0) failed += 1;
    const kind = `${state.call} ${state.fault} ${state.forEver ? 'for ever' : 'once'}`;
    tried.set(kind, (tried.get(kind) ?? 0) + 1);
  }
  expect(failed / states).toBeGreaterThan(0.9);
  if (EVERY < 61) console.log([...tried].map(([kind, count]) => `${kind}: ${count}`).join('\n'));
}, 3_600_000);

function textOf({ call, nth, fault, forEver, truncateFails, end }: FailingState): string {
  const which = `${call} ${nth} ${fault} ${forEver ? 'for ever' : 'once'}`;
  return `${which}${truncateFails ? ', with each truncation after it' : ''}, then ${end}`;
}
