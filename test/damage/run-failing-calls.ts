import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { type CaseFailure, doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf, shardOf } from '../proof-options.ts';
import { countCalls, type FailingState, failingStates, missingCalls, textOf, tryState } from './failing-calls.ts';

/*
 * npm run failing-calls -- [--jobs J] [--shard I/N]     each call of the disk failed in each way, or the Ith of N parts of them
 * npm run failing-calls -- --only NUMBER                one of them
 */

interface Numbered {
  readonly number: number;
  readonly state: FailingState;
}

const again = (number: number): string => `npm run failing-calls -- --only ${number}`;

async function tryPart({ number, state }: Numbered): Promise<Told> {
  const counts = new Map<string, number>();
  const failures: CaseFailure[] = [];
  await tryState(state, counts).catch((error: Error) => {
    failures.push({ says: `${textOf(state)}: ${error.stack}`, again: again(number) });
  });
  return { cases: 1, counts, failures };
}

async function main(): Promise<void> {
  const values = optionsOf({
    jobs: { type: 'string', default: String(availableParallelism()) },
    shard: { type: 'string', default: '1/1' },
    only: { type: 'string' },
  });
  const { only } = values;
  const isMine = shardOf(values.shard);
  const all = Array.from(failingStates(await countCalls()), (state, number) => ({ number, state }));
  const isWanted = only === undefined ? isMine : (number: number) => number === countOf('only', only, 0);
  const parts = all.filter(({ number }) => isWanted(number));
  const isGood = await runLong<Numbered>(
    import.meta.url,
    {
      cases: 'states',
      total: parts.length,
      parts,
      again: ({ number }) => again(number),
      missing: (counts) => (only === undefined ? missingCalls(counts) : []),
    },
    only === undefined ? countOf('jobs', values.jobs) : 1,
  );
  process.exitCode = isGood ? 0 : 1;
}

if (isMainThread) await main();
else doParts(tryPart);
