import { describe, expect, test } from 'vitest';
import { POWER_CUTS, type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { closeAll, type Opened, openJournaled, tagsOf, warm } from './journaled.ts';
import { append, failureOf, oneSegment } from './support.ts';

const ATTEMPTS = 40;

/** What a log has after a power cut. One record was stored, then two refused by a full disk; `later` is what comes then. */
async function tagsAfter(seed: number, cut: PowerCut, later: (opened: Opened) => Promise<unknown>): Promise<string> {
  const disk = new SimulatedDisk(new SeededRandom(seed));
  const opened = await openJournaled(disk, ['a'], oneSegment);
  await warm(opened);
  await append(opened.context, opened.logs[0]!, { tag: 'before' });
  disk.fail({ fault: 'ENOSPC', of: (call) => call === 'write', from: 0, forEver: true });
  // Nobody waits for these to be durable: they go to the log's file.
  const refused = ['refused1', 'refused2'].map((tag) =>
    failureOf(append(opened.context, opened.logs[0]!, { tag }, 'written')),
  );
  for (const error of await Promise.all(refused)) expect(error).toMatchObject({ fault: 'diskFull' });
  disk.heal();
  await later(opened);
  const again = await openJournaled(disk.afterPowerCut(cut), ['a'], oneSegment);
  const [tags] = await tagsOf(again);
  await closeAll(again);
  return tags!
    .match(/before|refused\d|later\d/g)!
    .filter((tag, i, all) => tag !== all[i - 1])
    .join();
}

describe.each(POWER_CUTS)('what a full disk has refused does not come back with a power cut that keeps %s', (cut) => {
  test('at once', async () => {
    for (let seed = 0; seed < ATTEMPTS; seed += 1) {
      expect(await tagsAfter(seed, cut, async () => {}), `seed ${seed}`).toBe('before');
    }
  });

  test('behind what was acknowledged later', async () => {
    for (let seed = 0; seed < ATTEMPTS; seed += 1) {
      const later = ({ context, logs }: Opened) => append(context, logs[0]!, { tag: 'later111' });
      expect(await tagsAfter(seed, cut, later), `seed ${seed}`).toBe('before,later1');
    }
  });
});
