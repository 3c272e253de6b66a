import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { handlers } from '../../src/server/handlers/index.ts';
import { families } from './families/index.ts';
import { fuzz, readInput } from './family.ts';

/*
 * Whatever bytes a decoder is given: it reads them or throws a Fault, allocates nothing that the size of the input and the caps do not
 * allow (work.test.ts: and its
 * work grows as the input does). `npm run fuzz` tries more inputs.
 */

const INPUTS = 20_000;

describe.each(families)('$name', (family) => {
  test('valid inputs are read', () => {
    const unread = family.seeds.filter((seed) => {
      const { offence, faulted } = readInput(family, seed, seed.bytes);
      return offence !== null || (faulted && !seed.name.startsWith('bomb'));
    });
    expect(unread.map(({ name }) => name)).toEqual([]);
  });

  test(`${INPUTS} mutations of them are read or refused, and nothing else happens`, { timeout: 180_000 }, () => {
    const { inputs, read } = fuzz(family, INPUTS, 1);
    expect(inputs).toBe(INPUTS);
    expect(read).toBeGreaterThan(100);
    expect(read).toBeLessThanOrEqual(INPUTS);
  });
});

test('there are valid requests of every API and version that is served, and answers to them', () => {
  const seeds = new Set(
    families.flatMap((family) => family.seeds.map(({ name }) => name.split(' ').slice(0, 3).join(' '))),
  );
  const missing = handlers.flatMap(({ api, versions: [first, last] }) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i).flatMap((version) =>
      ['request', 'response'].map((direction) => `${api} ${version} ${direction}`).filter((name) => !seeds.has(name)),
    ),
  );
  expect(missing).toEqual([]);
});

interface PastFailure {
  family: string;
  seed: string;
  hex: string;
  /** What came of it. */
  was: string;
}

const corpus = readFileSync(new URL('./corpus.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as PastFailure);

test.each(corpus)('$family, $seed: no $was any more', ({ family: familyName, seed: seedName, hex }) => {
  const family = families.find(({ name }) => name === familyName)!;
  const seed = family.seeds.find(({ name }) => name === seedName)!;
  expect(readInput(family, seed, Buffer.from(hex, 'hex')).offence).toBeNull();
});
