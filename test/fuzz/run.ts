/*
 * Reads mutations of valid inputs with every decoder, as many as one likes:
 *   node test/fuzz/run.ts [--inputs 1000000] [--family NAME]… [--from SEED]
 * `from`: the first seed; each one stands for 20,000 inputs. A failing input is printed with its seed as a line for
 * test/fuzz/corpus.jsonl; the exit code is 1.
 */
import { parseArgs } from 'node:util';
import { families } from './families/index.ts';
import { fuzz } from './family.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    family: { type: 'string', multiple: true },
    from: { type: 'string', default: '1' },
  },
});
const names = families.map(({ name }) => name);
const wanted = values.family ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) throw new Error(`no family ${unknown.join(', ')}; there are ${names.join(', ')}`);

for (const family of families.filter(({ name }) => wanted.includes(name))) {
  const startedMs = performance.now();
  try {
    const { inputs, read } = fuzz(family, Number(values.inputs), Number(values.from));
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    console.log(`${family.name}: ${inputs} inputs, ${read} of them read without a fault, ${seconds} s`);
  } catch (error) {
    console.log((error as Error).message);
    process.exitCode = 1;
  }
}
