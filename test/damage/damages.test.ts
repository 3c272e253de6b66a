import { expect, test } from 'vitest';
import { type Damage, damagesOf, inTime, kindOf, type Outcome, outcomeOf } from './damages.ts';
import { prepareFolders } from './folders.ts';

/** Every n-th damage is tried; MILLRACE_DAMAGES=1 tries all, some 300,000 in half an hour. MILLRACE_SHARD=i/n takes a part. */
const EVERY = Number(process.env['MILLRACE_DAMAGES'] ?? 331);
const IS_SAMPLE = EVERY > 200;
const [SHARD, SHARDS] = (process.env['MILLRACE_SHARD'] ?? '0/1').split('/').map(Number) as [number, number];

/** What may become of each kind of file; all else is a broken promise. */
const allowed: Readonly<Record<string, readonly Outcome[]>> = {
  'millrace.json': ['refused', 'harmless'],
  checkpoint: ['refused', 'harmless'],
  'ledger checkpoint': ['refused', 'harmless'],
  'journal/proofs': ['refused', 'harmless', 'mended'],
  'journal file': ['harmless', 'mended', 'told'],
  'ledger .log': ['refused', 'harmless', 'mended'],
  '.log': ['told', 'harmless', 'mended'],
};
const caches: readonly Outcome[] = ['harmless', 'mended'];

test('whichever byte of whichever file is flipped, wherever it is cut: it is detected, or all is there', async () => {
  const counts = new Map<string, number>();
  const failures: string[] = [];
  let turn = 0;
  for (const folder of await prepareFolders()) {
    for (const damage of damagesOf(folder, EVERY)) {
      turn += 1;
      if (turn % SHARDS !== SHARD) continue;
      const kind = kindOf(damage.path);
      const outcome = await inTime(outcomeOf(folder, damage)).catch((error: Error) => {
        failures.push(`${folder.name}: ${textOf(damage)}: ${error.name === 'Error' ? error.message : error.stack}`);
        return 'BROKEN' as const;
      });
      // A log whose checkpoint is gone and that has damage is cut there, as at a crash: its bytes are kept, and it is told.
      const isTwice = kind === 'checkpoint' && damage.bytes === null && outcome === 'told';
      if (outcome !== 'BROKEN' && !isTwice && !(allowed[kind] ?? caches).includes(outcome)) {
        failures.push(`${folder.name}: ${textOf(damage)}: ${outcome}`);
      }
      counts.set(`${kind}: ${outcome}`, (counts.get(`${kind}: ${outcome}`) ?? 0) + 1);
    }
  }
  if (!IS_SAMPLE || failures.length > 0) {
    console.log(
      [...counts]
        .sort()
        .map(([what, count]) => `${what} ${count}`)
        .join('\n'),
    );
  }
  expect(failures.slice(0, 20)).toEqual([]);
  for (const kind of Object.keys(allowed))
    expect(
      [...counts.keys()].some((key) => key.startsWith(kind)),
      kind,
    ).toBe(true);
}, 7_200_000);

function textOf({ path, what }: Damage): string {
  return `${path} ${what}`;
}
