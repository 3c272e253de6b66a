import { expect, test } from 'vitest';
import { damagesOf, missingKinds, textOf, tryDamage } from './damages.ts';
import { prepareFolders } from './folders.ts';
import { liveFlipsOf, textOf as textOfFlip, tryLiveFlip } from './live-flips.ts';

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

test('whichever byte is flipped while a broker runs on it: all is there, or readers or the next start are told', async () => {
  const counts = new Map<string, number>();
  const failures: string[] = [];
  let turn = 0;
  for (const folder of await prepareFolders()) {
    for (const flip of await liveFlipsOf(folder)) {
      if (turn++ % EVERY !== 0) continue;
      const wrong = await tryLiveFlip(folder, flip, counts);
      if (wrong !== null) failures.push(`${folder.name}: ${textOfFlip(flip)}: ${wrong}`);
    }
  }
  expect(failures.slice(0, 20)).toEqual([]);
  // Readers came upon it, starts were refused, and most of it nobody noticed.
  const outcomes = [...counts.keys()].join('; ');
  expect(outcomes).toMatch(/\.log, early, running: told, at the next start: harmless/);
  expect(outcomes).toMatch(/checkpoint, late, running: harmless, at the next start: refused/);
  expect(outcomes).toMatch(/journal file, early, running: harmless, at the next start: harmless/);
}, 7_200_000);
