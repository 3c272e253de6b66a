import { DISTURBANCES } from './nemesis.ts';
import { type Run, type RunOptions, simulate } from './world.ts';

/** Runs that are tried at most. */
const ATTEMPTS_MAX = 40;

/** The shortest run known that fails in the same way: with fewer disturbances, fewer crashes, fewer operations. */
export async function shrink(failed: Run): Promise<{ options: RunOptions; run: Run }> {
  const whats = new Set(failed.failures.map(({ what }) => what));
  let best: { options: RunOptions; run: Run } = { options: { seed: failed.seed }, run: failed };
  let attempts = 0;
  const attempt = async (change: Partial<RunOptions>): Promise<boolean> => {
    if (attempts++ >= ATTEMPTS_MAX) return false;
    const options = { ...best.options, ...change };
    const run = await simulate(options);
    const fails = run.failures.some(({ what }) => whats.has(what));
    if (fails) best = { options, run };
    return fails;
  };
  for (const disturbance of DISTURBANCES) await attempt({ without: [...(best.options.without ?? []), disturbance] });
  for (const crashes of [0, 1, 2]) if (await attempt({ crashes })) break;
  for (let operations = 1; operations < best.run.operations; operations *= 2) {
    if (await attempt({ operations: Math.max(8, operations) })) break;
  }
  // Somewhat fewer, as long as it helps.
  while (await attempt({ operations: Math.floor((best.options.operations ?? best.run.operations) * 0.8) }));
  return best;
}
