import { isMainThread, parentPort, Worker } from 'node:worker_threads';

/*
 * A proof at full size: its cases are made in parts on several threads, and what came of them is told while it runs and at its end.
 */

/** What came of a part. Counts are by the name of what took place. */
export interface Told {
  readonly cases: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly failures: readonly CaseFailure[];
}

export interface CaseFailure {
  readonly says: string;
  /** The command that runs this case again. */
  readonly again: string;
}

export interface LongRun<Part> {
  /** What its cases are called: seeds, states. */
  readonly cases: string;
  /** How many there are. */
  readonly total: number;
  readonly parts: Iterable<Part> | AsyncIterable<Part>;
  /** The command that runs a part again, for one that brought its thread down. */
  again(part: Part): string;
  /** What must have taken place in a whole run, and has not. Default nothing. */
  missing?(counts: ReadonlyMap<string, number>): readonly string[];
}

const PROGRESS_EVERY_MS = 10_000;
/** Of one part, on a busy machine, with the search for a short trace. What takes longer has hung. */
const PART_MS_MAX = Number(process.env['MILLRACE_PART_MS_MAX'] ?? 900_000);

/** Adds to a count of what took place. */
export function count(counts: Map<string, number>, what: string, times = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + times);
}

/** In a thread: does each part that it is given. */
export function doParts<Part>(worker: PartWorker<Part> | Promise<PartWorker<Part>>): void {
  if (isMainThread) throw new Error('parts are done by threads');
  parentPort!.on('message', async (part: Part) => parentPort!.postMessage(await (await worker)(part)));
}

type PartWorker<Part> = (part: Part) => Promise<Told>;

/** All that was told so far. */
class Totals {
  readonly #run: LongRun<unknown>;
  readonly #startedMs = performance.now();
  readonly #counts = new Map<string, number>();
  readonly #failed: string[] = [];
  #cases = 0;

  constructor(run: LongRun<unknown>) {
    this.#run = run;
  }

  add({ cases, counts, failures }: Told): void {
    this.#cases += cases;
    for (const [what, times] of counts) count(this.#counts, what, times);
    for (const { says, again } of failures) {
      this.#failed.push(again);
      console.log(`\n${says}\nagain: ${again}\n`);
    }
  }

  progress(): string {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const { total, cases } = this.#run;
    const rate = this.#cases / seconds;
    return `${this.#cases} of ${total} ${cases} in ${seconds.toFixed(0)} s, ${rate.toFixed(1)} a second, ${this.#failed.length} failed`;
  }

  /** Prints what was done; says whether it was something, and all of it good. */
  end(isWhole: boolean): boolean {
    const counts = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const width = Math.max(0, ...counts.map(([what]) => what.length));
    for (const [what, times] of counts) console.log(`  ${what.padEnd(width)} ${times}`);
    const missing = isWhole ? (this.#run.missing?.(this.#counts) ?? []) : [];
    if (missing.length > 0) console.log(`this was to take place, and did not: ${missing.join(', ')}`);
    if (this.#cases === 0) console.log('nothing was tried');
    if (isWhole && this.#cases < this.#run.total) console.log('not all was tried');
    const again = this.#failed.length === 0 ? '' : `; again: ${this.#failed.join('; ')}`;
    console.log(this.progress() + again);
    const isAll = !isWhole || this.#cases >= this.#run.total;
    return this.#failed.length === 0 && missing.length === 0 && this.#cases > 0 && isAll;
  }
}

/**
 * Runs all parts on `jobs` threads of the module, whose other side is doParts. Prints what fails at once, with how to run
 * it again, and the progress; at its end how often everything took place, and in the last line how many cases were tried and failed.
 * Resolves to whether all is good.
 */
export async function runLong<Part>(module: string, run: LongRun<Part>, jobs: number): Promise<boolean> {
  const totals = new Totals(run as LongRun<unknown>);
  const progress = setInterval(() => console.log(totals.progress()), PROGRESS_EVERY_MS);
  // Whoever has seen enough is told what was done until then.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(totals.end(false) ? 0 : 1));
  const parts = iterate(run.parts);
  const work = async (): Promise<void> => {
    while (!(await runThread(module, run, parts, totals)));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  clearInterval(progress);
  return totals.end(true);
}

async function* iterate<Part>(parts: Iterable<Part> | AsyncIterable<Part>): AsyncGenerator<Part> {
  yield* parts;
}

/** Has a thread do parts; resolves to true when there are none any more, to false when one has brought the thread down. */
function runThread<Part>(
  module: string,
  run: LongRun<Part>,
  parts: AsyncIterator<Part>,
  totals: Totals,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(module));
    let part: Part;
    let timer: NodeJS.Timeout | undefined;
    const failed = (says: string): void => {
      clearTimeout(timer);
      totals.add({ cases: 1, counts: new Map(), failures: [{ says, again: run.again(part) }] });
      resolve(false);
    };
    const give = async (): Promise<void> => {
      const { done, value } = await parts.next();
      if (done) {
        await worker.terminate();
        resolve(true);
        return;
      }
      part = value;
      worker.postMessage(part);
      timer = setTimeout(
        () => void worker.terminate().then(() => failed(`hangs: ${JSON.stringify(part)}`)),
        PART_MS_MAX,
      );
    };
    worker.on('message', (told: Told) => {
      clearTimeout(timer);
      totals.add(told);
      give().catch(reject);
    });
    // A failure that nobody waited for.
    worker.on('error', (error: unknown) => {
      failed(`nobody waited for this: ${error instanceof Error ? error.stack : error}`);
    });
    give().catch(reject);
  });
}
