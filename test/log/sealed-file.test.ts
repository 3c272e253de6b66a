import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { readWhole, writeWhole } from '../../src/log/sealed-file.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';

const diskOf = (): SimulatedDisk => new SimulatedDisk(new SeededRandom(1));

const pause = async (turns: number): Promise<void> => {
  for (let turn = 0; turn < turns; turn += 1) await null;
};

test('writes of one file that overlap all succeed, and what was written last stands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 4 }), async (pauses) => {
      const disk = diskOf();
      const writes: Promise<void>[] = [];
      for (const [i, turns] of pauses.entries()) {
        // The first ones are the longest, and would end last.
        writes.push(writeWhole(disk, 'f', Buffer.alloc(40 - i, i)));
        await pause(turns);
      }
      await Promise.all(writes);
      const last = pauses.length - 1;
      expect(await readWhole(disk, 'f')).toEqual(Buffer.alloc(40 - last, last));
      expect(await disk.list('')).toEqual(['f']);
    }),
  );
});

test('a write that fails is told to its caller alone; the next one of the file is not held up', async () => {
  const disk = diskOf();
  disk.fail({ of: (call) => call === 'sync', from: 0, fault: 'ENOSPC', forEver: false });
  const writes = [writeWhole(disk, 'f', Buffer.from('one')), writeWhole(disk, 'f', Buffer.from('two'))];
  const [first, second] = await Promise.allSettled(writes);
  expect(first).toMatchObject({ status: 'rejected', reason: expect.any(Fault) });
  expect(second).toMatchObject({ status: 'fulfilled' });
  expect(await readWhole(disk, 'f')).toEqual(Buffer.from('two'));
});

test('files of two disks with the same name have nothing to do with each other', async () => {
  const [stuck, other] = [diskOf(), diskOf()];
  stuck.cutPowerAfter(0);
  void writeWhole(stuck, 'f', Buffer.from('one'));
  await writeWhole(other, 'f', Buffer.from('two'));
  expect(await readWhole(other, 'f')).toEqual(Buffer.from('two'));
});
