import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { type CaseFailure, doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf } from '../proof-options.ts';
import { type Counts, type Cut, cuts, ENDS, type End, missingCases, tryCut, tryFailing } from './power-cuts.ts';

/*
 * npm run power-cuts -- --states N --from S [--jobs J]     N states at every call of the lives from seed S on, and N / 3 with failing calls
 * npm run power-cuts -- --only SEED/CALL/END               one of them
 * npm run power-cuts -- --only failing/NUMBER
 */

/** A state by its name: what `only` takes. */
type Part = readonly string[];

/** Failing states that a thread is given at once. */
const FAILING_AT_ONCE = 8;

const nameOf = ({ seed, call, end }: Cut): string => `${seed}/${call}/${end}`;
const again = (name: string): string => `npm run power-cuts -- --only ${name}`;

async function tryState(name: string, counts: Counts): Promise<void> {
  const [first, second, end] = name.split('/');
  if (first === 'failing') return tryFailing(countOf('only', second ?? ''), counts);
  if (!ENDS.includes(end as End)) throw new Error(`--only ${name} is not SEED/CALL/END, with an end of ${ENDS}`);
  return tryCut({ seed: countOf('only', first!), call: countOf('only', second!, 0), end: end as End }, counts);
}

async function tryPart(part: Part): Promise<Told> {
  const counts: Counts = new Map();
  const failures: CaseFailure[] = [];
  for (const name of part) {
    await tryState(name, counts).catch((error: Error) => {
      failures.push({ says: `${name}: ${error.stack}`, again: again(name) });
    });
  }
  return { cases: part.length, counts, failures };
}

/** Both kinds in turn, so that each part of a run has some of each. */
async function* partsOf(from: number, states: number, failing: number): AsyncGenerator<Part> {
  let part: string[] = [];
  let [tried, failed] = [0, 0];
  for await (const cut of cuts(from, states, 1)) {
    part.push(nameOf(cut));
    tried += 1;
    if (cut.end !== ENDS.at(-1) && tried < states) continue;
    yield part;
    part = [];
    while (failed < failing && (tried === states || failed + FAILING_AT_ONCE <= tried / 3)) {
      const size = Math.min(FAILING_AT_ONCE, failing - failed);
      yield Array.from({ length: size }, (_, i) => `failing/${from + failed + i}`);
      failed += size;
    }
  }
}

async function main(): Promise<void> {
  const values = optionsOf({
    states: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string' },
  });
  const states = countOf('states', values.states);
  const failing = Math.floor(states / 3);
  const { only } = values;
  const isGood = await runLong<Part>(
    import.meta.url,
    {
      cases: 'states',
      total: only === undefined ? states + failing : 1,
      parts: only === undefined ? partsOf(countOf('from', values.from), states, failing) : [[only]],
      again: (part) => again(part[0]!),
      missing: (counts) => (only === undefined && states >= 1000 ? missingCases(counts, states, failing) : []),
    },
    only === undefined ? countOf('jobs', values.jobs) : 1,
  );
  process.exitCode = isGood ? 0 : 1;
}

if (isMainThread) await main();
else doParts(tryPart);
