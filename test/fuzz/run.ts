import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { doParts, runLong, type Told } from '../long-run.ts';
import { countOf, optionsOf, refuse } from '../proof-options.ts';
import { families } from './families/index.ts';
import { fuzz, RUN_INPUTS } from './family.ts';

/*
 * Reads mutations of valid inputs with every decoder, as many of each family as one likes:
 *   npm run fuzz -- [--inputs 1000000] [--family NAME]… [--from SEED] [--jobs J]
 * `from`: the first seed; each one stands for 20,000 inputs. A failing input is printed with its seed as a line for
 * test/fuzz/corpus.jsonl; the exit code is 1.
 */

interface Part {
  readonly family: string;
  readonly inputs: number;
  readonly seed: number;
}

const again = ({ family, inputs, seed }: Part): string =>
  `npm run fuzz -- --inputs ${inputs} --family ${family} --from ${seed}`;

async function tryPart(part: Part): Promise<Told> {
  const { family: name, inputs, seed } = part;
  const family = families.find((one) => one.name === name)!;
  try {
    const { read } = fuzz(family, inputs, seed);
    const counts = new Map([
      [`${name}: inputs`, inputs],
      [`${name}: read without a fault`, read],
    ]);
    return { cases: inputs, counts, failures: [] };
  } catch (error) {
    return { cases: inputs, counts: new Map(), failures: [{ says: (error as Error).message, again: again(part) }] };
  }
}

function* partsOf(names: readonly string[], inputs: number, from: number): Generator<Part> {
  for (const family of names) {
    for (let at = 0; at < inputs; at += RUN_INPUTS) {
      yield { family, inputs: Math.min(RUN_INPUTS, inputs - at), seed: from + at / RUN_INPUTS };
    }
  }
}

async function main(): Promise<void> {
  const values = optionsOf({
    inputs: { type: 'string', default: '1000000' },
    family: { type: 'string', multiple: true },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
  });
  const names = families.map(({ name }) => name);
  const wanted = values.family ?? names;
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) refuse(`no family ${unknown.join(', ')}; there are ${names.join(', ')}`);
  const inputs = countOf('inputs', values.inputs);
  const parts = partsOf(wanted, inputs, countOf('from', values.from));
  const run = { cases: 'inputs', total: inputs * wanted.length, parts, again };
  process.exitCode = (await runLong(import.meta.url, run, countOf('jobs', values.jobs))) ? 0 : 1;
}

if (isMainThread) await main();
else doParts(tryPart);
