import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { type CaseFailure, doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf, shardOf } from '../proof-options.ts';
import { type Damage, damagesOf, missingKinds, textOf, tryDamage } from './damages.ts';
import { type Folder, prepareFolders } from './folders.ts';

/*
 * npm run damages -- [--jobs J] [--shard I/N]     every damage of every file, or the Ith of N parts of them
 * npm run damages -- --only NUMBER                one of them
 */

/** Numbers of damages, in rising order. */
type Part = readonly number[];

const PART_SIZE = 50;

const again = (number: number): string => `npm run damages -- --only ${number}`;

function* allDamages(folders: readonly Folder[]): Generator<{ number: number; folder: Folder; damage: Damage }> {
  let number = 0;
  for (const folder of folders) for (const damage of damagesOf(folder)) yield { number: number++, folder, damage };
}

/** A thread is given parts in rising order, so each goes through all damages once. */
async function damageTrier(): Promise<(part: Part) => Promise<Told>> {
  const damages = allDamages(await prepareFolders());
  return async (part) => {
    const counts = new Map<string, number>();
    const failures: CaseFailure[] = [];
    for (const number of part) {
      let found = damages.next();
      while (!found.done && found.value.number < number) found = damages.next();
      if (found.done) throw new Error(`there is no damage ${number}`);
      const { folder, damage } = found.value;
      const wrong = await tryDamage(folder, damage, counts);
      if (wrong !== null) failures.push({ says: `${folder.name}: ${textOf(damage)}: ${wrong}`, again: again(number) });
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
  const all = [...allDamages(await prepareFolders())];
  // Of all parts: a small one need not have every kind.
  const missing = missingKinds(all.map(({ damage }) => damage.path));
  const isWanted = only === undefined ? isMine : (number: number) => number === countOf('only', only, 0);
  const numbers = all.map(({ number }) => number).filter(isWanted);
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
