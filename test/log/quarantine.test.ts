import { expect, test } from 'vitest';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { append, batchOf, contextOn, FOLDER, openLog } from './support.ts';

async function bytesOf(disk: SimulatedDisk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}

test('what recovery cuts off is kept aside for good: no power cut takes it, from the moment that the log is open', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const random = new SeededRandom(seed);
    let disk = new SimulatedDisk(random);
    const context = contextOn(disk);
    const log = await openLog(context);
    await append(context, log, { tag: 'stored' });
    const end = log.segments[0]!.sizeBytes;
    const torn = batchOf({ tag: 'torn', valueBytes: 100 }).subarray(0, 20 + random.below(100));
    const file = await disk.open(log.segments[0]!.logPath, 'write');
    await file.write([torn], end);
    disk = disk.afterKill();
    await openLog(contextOn(disk));
    disk = disk.afterPowerCut('nothing');
    const kept = await disk.list(`${FOLDER}/quarantine`);
    expect(kept.length, `seed ${seed}`).toBe(1);
    expect(await bytesOf(disk, `${FOLDER}/quarantine/${kept[0]}`)).toEqual(torn);
    const again = await openLog(contextOn(disk));
    expect(again.marks.writtenNext).toBe(1);
  }
});
