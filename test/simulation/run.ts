import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { count, doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf } from '../proof-options.ts';
import { shrink } from './shrink.ts';
import { tell } from './tell.ts';
import { MUST_TAKE_PLACE } from './took-place.ts';
import { simulate } from './world.ts';

/*
 * npm run simulate -- --seeds N --from S [--jobs J]      N seeds from S on, on J threads
 * npm run simulate -- --from S --trace FILE              one seed, with the whole trace in a file
 *
 * Prints what was done in total; for a seed that fails, its shortest known trace. Exits with 1 when one failed.
 */

const again = (seed: number): string => `npm run simulate -- --from ${seed} --trace trace.txt`;

const SEEDS_THAT_DO_ALL = 100;
const seedsWith = (what: string): string => `${what}: seeds`;

async function runSeed(seed: number): Promise<Told> {
  const run = await simulate({ seed });
  const counts = new Map(run.injected);
  count(counts, 'crashes', run.crashes);
  count(counts, 'operations', run.operations);
  for (const [what, times] of run.tookPlace) {
    count(counts, what, times);
    count(counts, seedsWith(what));
  }
  count(counts, 'operations that succeeded', run.succeeded);
  if (run.failures.length === 0) return { cases: 1, counts, failures: [] };
  const shortest = await shrink(run);
  const { without = [], operations, crashes } = shortest.options;
  const how = `shortest known: ${shortest.run.operations} operations, ${shortest.run.crashes} crashes`;
  const options = JSON.stringify({ without, operations, crashes });
  const says = `seed ${seed} failed; ${how} (${options})\n\n${tell(shortest.run)}`;
  return { cases: 1, counts, failures: [{ says, again: again(seed) }] };
}

function runSeeds(from: number, seeds: number, jobs: number): Promise<boolean> {
  const parts = Array.from({ length: seeds }, (_, i) => from + i);
  // Few seeds need not do everything.
  const must = seeds < SEEDS_THAT_DO_ALL ? [] : MUST_TAKE_PLACE;
  const missing = (counts: ReadonlyMap<string, number>): string[] =>
    must.filter((what) => !counts.has(seedsWith(what)));
  return runLong(import.meta.url, { cases: 'seeds', total: seeds, parts, again, missing }, jobs);
}

async function runOne(seed: number, traceFile: string): Promise<boolean> {
  const run = await simulate({ seed, keepsTrace: true });
  writeFileSync(traceFile, run.trace);
  console.log(
    `seed ${seed}: ${run.operations} operations, ${run.crashes} crashes, trace ${run.digest} in ${traceFile}`,
  );
  if (run.failures.length > 0) console.log(tell(run));
  return run.failures.length === 0;
}

async function main(): Promise<void> {
  const values = optionsOf({
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'string' },
  });
  const from = countOf('from', values.from);
  const isGood =
    values.trace === undefined
      ? await runSeeds(from, countOf('seeds', values.seeds), countOf('jobs', values.jobs))
      : await runOne(from, values.trace);
  process.exitCode = isGood ? 0 : 1;
}

if (isMainThread) await main();
else doParts(runSeed);
