import { expect, test } from 'vitest';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { hookedDisk } from './hooked-disk.ts';
import { isJournal, openJournaled, tagsOf, warm } from './journaled.ts';
import { append } from './opened-log.ts';

const FOLDERS = ['a', 'b', 'c', 'd', 'e', 'f'];
const settings = { segmentBytes: 1 << 20 };

test('a round of many logs is on its way to the disk while the next are still appending, and those share the one behind it', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  let rounds = 0;
  const counted = hookedDisk(disk, ({ name, path }, proceed) => {
    if (name === 'write' && isJournal(path)) rounds += 1;
    return proceed();
  });
  const opened = await openJournaled(counted, FOLDERS, settings);
  await warm(opened);
  rounds = 0;
  const appends: Promise<unknown>[] = [];
  const roundsAfterEach = opened.logs.map((log) => {
    appends.push(append(opened.context, log, { tag: 'kept' }));
    return rounds;
  });
  // One log is not yet many: it waits for what else the turn brings.
  expect(roundsAfterEach).toEqual([0, 1, 1, 1, 1, 1]);
  await Promise.all(appends);
  expect(rounds).toBe(2);
  const texts = await tagsOf(await openJournaled(disk.afterPowerCut('nothing'), FOLDERS, settings));
  for (const text of texts) expect(text).toContain('kept');
});
