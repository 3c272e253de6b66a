import { expect, test } from 'vitest';
import { damagesOf, missingKinds, textOf, tryDamage } from './damages.ts';
import { prepareFolders } from './folders.ts';

/** Every n-th damage is tried; `npm run damages` tries all. */
const EVERY = Number(process.env['MILLRACE_DAMAGES'] ?? 331);

test('whichever byte of whichever file is flipped, wherever it is cut: it is detected, or all is there', async () => {
  const counts = new Map<string, number>();
  const failures: string[] = [];
  const damaged = new Set<string>();
  let turn = 0;
  for (const folder of await prepareFolders()) {
    for (const damage of damagesOf(folder)) {
      if (damage.change !== null && turn++ % EVERY !== 0) continue;
      damaged.add(damage.path);
      const wrong = await tryDamage(folder, damage, counts);
      if (wrong !== null) failures.push(`${folder.name}: ${textOf(damage)}: ${wrong}`);
    }
  }
  expect(failures.slice(0, 20)).toEqual([]);
  expect(missingKinds(damaged)).toEqual([]);
}, 7_200_000);
