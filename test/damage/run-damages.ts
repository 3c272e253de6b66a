import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { type CaseFailure, doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf, shardOf } from '../proof-options.ts';
import { damagesOf, missingKinds, textOf, tryDamage } from './damages.ts';
import { prepareFolders } from './folders.ts';
import { liveFlipsOf, textOf as textOfFlip, tryLiveFlip } from './live-flips.ts';

/*
 * npm run damages -- [--jobs J] [--shard I/N]     every damage of every file, or the Ith of N parts of them
 * npm run damages -- --only NUMBER                one of them
 * First come those of files at rest, then those that happen to files while a broker runs on them.
 */

interface NumberedDamage {
  readonly number: number;
  readonly path: string;
  readonly says: string;
  /** Counts what becomes of it; resolves to what is wrong, or null. */
  tried(counts: Map<string, number>): Promise<string | null>;
}

/** Numbers of damages, in rising order. */
type Part = readonly number[];

const PART_SIZE = 50;

const again = (number: number): string => `npm run damages -- --only ${number}`;

async function* allDamages(): AsyncGenerator<NumberedDamage> {
  let number = 0;
  const folders = await prepareFolders();
  for (const folder of folders) {
    for (const damage of damagesOf(folder)) {
      const says = `${folder.name}: ${textOf(damage)}`;
      yield { number: number++, path: damage.path, says, tried: (counts) => tryDamage(folder, damage, counts) };
    }
  }
  for (const folder of folders) {
    for (const flip of await liveFlipsOf(folder)) {
      const says = `${folder.name}: ${textOfFlip(flip)}`;
      yield { number: number++, path: flip.path, says, tried: (counts) => tryLiveFlip(folder, flip, counts) };
    }
  }
}

/** A thread is given parts in rising order, so each goes through all damages once. */
function damageTrier(): (part: Part) => Promise<Told> {
  const damages = allDamages();
  return async (part) => {
    const counts = new Map<string, number>();
    const failures: CaseFailure[] = [];
    for (const number of part) {
      let found = await damages.next();
      while (!found.done && found.value.number < number) found = await damages.next();
      if (found.done) throw new Error(`there is no damage ${number}`);
      const wrong = await found.value.tried(counts);
      if (wrong !== null) failures.push({ says: `${found.value.says}: ${wrong}`, again: again(number) });
    }
    return { cases: part.length, counts, failures };
  };
}

function* partsOf(numbers: readonly number[]): Generator<Part> {
  for (let at = 0; at < numbers.length; at += PART_SIZE) yield numbers.slice(at, at + PART_SIZE);
}

async function main(): Promise<void> {
  const values = optionsOf({
    jobs: { type: 'string', default: String(availableParallelism()) },
    shard: { type: 'string', default: '1/1' },
    only: { type: 'string' },
  });
  const { only } = values;
  const isMine = shardOf(values.shard);
  const paths: string[] = [];
  for await (const { path } of allDamages()) paths.push(path);
  // Of all parts: a small one need not have every kind.
  const missing = missingKinds(paths);
  const isWanted = only === undefined ? isMine : (number: number) => number === countOf('only', only, 0);
  const numbers = [...paths.keys()].filter(isWanted);
  const isGood = await runLong<Part>(
    import.meta.url,
    {
      cases: 'damages',
      total: numbers.length,
      parts: partsOf(numbers),
      again: (part) => again(part[0]!),
      missing: () => missing,
    },
    only === undefined ? countOf('jobs', values.jobs) : 1,
  );
  process.exitCode = isGood ? 0 : 1;
}

if (isMainThread) await main();
else doParts(damageTrier());
