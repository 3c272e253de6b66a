import { expect, test, vi } from 'vitest';
import { type Counts, cuts, missingCases, tryCut, tryFailing } from './power-cuts.ts';

/** States to check, beside a third as many with failing calls; `npm run power-cuts` is made for many. */
const STATES = Number(process.env['MILLRACE_POWER_CUTS'] ?? 900);
/** Of the calls of each life every so many are tried: few states are to be of many lives. */
const CALLS_STEP = 9;
vi.setConfig({ testTimeout: 600_000 + STATES * 200 });

test('whenever the power goes, what was acknowledged is there, once, in order; groups whole; and nothing else', async () => {
  const counts: Counts = new Map();
  for await (const cut of cuts(1, STATES, CALLS_STEP)) {
    await tryCut(cut, counts).catch((error) => {
      throw new Error(`seed ${cut.seed}, call ${cut.call}, ${cut.end}: ${(error as Error).message}`, { cause: error });
    });
  }
  expect(missingCases(counts, STATES, 0)).toEqual([]);
});

test('whichever call of the disk fails, once or for ever, nothing that was acknowledged is lost, and nothing hangs', async () => {
  const counts: Counts = new Map();
  for (let number = 1; number <= STATES / 3; number += 1) {
    await tryFailing(number, counts).catch((error) => {
      throw new Error(`failing ${number}: ${(error as Error).message}`, { cause: error });
    });
  }
  expect(missingCases(counts, 0, STATES / 3)).toEqual([]);
});
