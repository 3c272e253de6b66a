import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { shrink } from './shrink.ts';
import { tell } from './tell.ts';
import { simulate } from './world.ts';

/*
 * npm run simulate -- --seeds N --from S [--jobs J]      N seeds from S on, on J threads
 * npm run simulate -- --from S --trace FILE              one seed, with the whole trace in a file
 *
 * Prints what was done in total; for a seed that fails, its shortest known trace. Exits with 1 when one failed.
 */

/** What a thread tells of one seed. */
interface Told {
  readonly seed: number;
  readonly operations: number;
  readonly succeeded: number;
  readonly crashes: number;
  readonly injected: ReadonlyMap<string, number>;
  readonly failure: string | null;
}

const PROGRESS_EVERY_MS = 10_000;

async function runSeed(seed: number): Promise<Told> {
  const run = await simulate({ seed });
  const { operations, succeeded, crashes, injected } = run;
  const counts = { seed, operations, succeeded, crashes, injected };
  if (run.failures.length === 0) return { ...counts, failure: null };
  const shortest = await shrink(run);
  const { without = [], operations: begun, crashes: ended } = shortest.options;
  const how = `shortest known: ${shortest.run.operations} operations, ${shortest.run.crashes} crashes`;
  const options = JSON.stringify({ without, operations: begun, crashes: ended });
  return { ...counts, failure: `${how} (${options})\n\n${tell(shortest.run)}` };
}

/** All that was told so far. */
class Totals {
  readonly #startedMs = performance.now();
  readonly #injected = new Map<string, number>();
  #seeds = 0;
  #operations = 0;
  #succeeded = 0;
  #crashes = 0;
  readonly failed: number[] = [];

  add({ seed, operations, succeeded, crashes, injected, failure }: Told): void {
    this.#seeds += 1;
    this.#operations += operations;
    this.#succeeded += succeeded;
    this.#crashes += crashes;
    for (const [what, times] of injected) this.#injected.set(what, (this.#injected.get(what) ?? 0) + times);
    if (failure === null) return;
    this.failed.push(seed);
    console.log(`\nseed ${seed} failed; ${failure}\n`);
  }

  addLost(seed: number | null, error: unknown): void {
    this.#seeds += 1;
    this.failed.push(seed ?? -1);
    console.log(`\nseed ${seed} failed; nobody waited for this:\n${error instanceof Error ? error.stack : error}\n`);
  }

  progress(of: number): string {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const rate = (this.#seeds / seconds).toFixed(1);
    return `${this.#seeds} of ${of} seeds, ${rate} a second, ${this.failed.length} failed`;
  }

  summary(of: number): string {
    const injected = [...this.#injected].sort(([a], [b]) => (a < b ? -1 : 1));
    const width = Math.max(...injected.map(([what]) => what.length));
    return [
      this.progress(of),
      `${this.#operations} operations (${this.#succeeded} succeeded), ${this.#crashes} crashes; injected:`,
      ...injected.map(([what, times]) => `  ${what.padEnd(width)} ${times}`),
      ...(this.failed.length > 0 ? [`failed: ${this.failed.join(' ')}`] : []),
    ].join('\n');
  }
}

/** Has a thread run the seeds that `take` gives, until there is none, or one has brought the thread down. */
function runSome(take: () => number | null, totals: Totals): Promise<void> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL(import.meta.url));
    let seed: number | null = null;
    const give = (): void => {
      seed = take();
      if (seed === null) void worker.terminate().then(() => resolve());
      else worker.postMessage(seed);
    };
    worker.on('message', (told: Told) => {
      totals.add(told);
      give();
    });
    // A failure that nobody waited for, in the broker as in a client.
    worker.on('error', (error: unknown) => {
      totals.addLost(seed, error);
      resolve();
    });
    give();
  });
}

async function runAll(from: number, seeds: number, jobs: number): Promise<boolean> {
  const totals = new Totals();
  const progress = setInterval(() => console.log(totals.progress(seeds)), PROGRESS_EVERY_MS);
  // Whoever has seen enough is told what was done until then.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      console.log(totals.summary(seeds));
      process.exit(totals.failed.length > 0 ? 1 : 0);
    });
  }
  let next = from;
  const work = async (): Promise<void> => {
    while (next < from + seeds) await runSome(() => (next < from + seeds ? next++ : null), totals);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, seeds) }, work));
  clearInterval(progress);
  console.log(totals.summary(seeds));
  return totals.failed.length === 0;
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
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'string' },
    },
  });
  const from = Number(values.from);
  const isGood =
    values.trace === undefined
      ? await runAll(from, Number(values.seeds), Number(values.jobs))
      : await runOne(from, values.trace);
  process.exitCode = isGood ? 0 : 1;
}

if (isMainThread) await main();
else parentPort!.on('message', (seed: number) => void runSeed(seed).then((told) => parentPort!.postMessage(told)));
