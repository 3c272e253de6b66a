import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OverlayDisk } from '../../src/disk/overlay-disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { bytes, testDiskContract, withFile } from './disk-contract.ts';
import { testDiskOddities } from './disk-contract-oddities.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { tempFolder } from './temp-folder.ts';

testDiskContract(() => new OverlayDisk(realDisk(tempFolder())));
testDiskOddities(() => new OverlayDisk(realDisk(tempFolder())));

const contentOf = async (disk: OverlayDisk | SimulatedDisk, file: string): Promise<Buffer> =>
  withFile(disk.open(file, 'read'), async (opened) => {
    const content = Buffer.alloc(await opened.size());
    await opened.read(content, 0);
    return content;
  });

test('whatever is done to a file through it, it reads as a disk on which the same was done, and below is what was', async () => {
  const place = fc.nat({ max: 200_000 });
  const step = fc.oneof(
    fc.record({ does: fc.constant('write'), at: place, size: fc.nat({ max: 90_000 }), value: fc.nat({ max: 3 }) }),
    fc.record({ does: fc.constant('truncate'), at: place, size: fc.constant(0), value: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat({ max: 150_000 }), async (steps, size) => {
      const files = new Map([['a/f', Buffer.alloc(size, 1)]]);
      const below = SimulatedDisk.holding(files, new SeededRandom(1));
      const model = SimulatedDisk.holding(files, new SeededRandom(1));
      const overlay = new OverlayDisk(below);
      for (const { does, at, size: count, value } of steps) {
        for (const disk of [overlay, model]) {
          await withFile(disk.open('a/f', 'write'), (file) =>
            does === 'write' ? file.write([Buffer.alloc(count, value)], at) : file.truncate(at),
          );
        }
      }
      expect((await contentOf(overlay, 'a/f')).equals(await contentOf(model, 'a/f'))).toBe(true);
      expect(below.files().get('a/f')!.equals(files.get('a/f')!)).toBe(true);
      expect(below.calls).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test('its changes are what is other than below, and nothing else', async () => {
  const root = tempFolder();
  fs.mkdirSync(path.join(root, 'a'));
  for (const name of ['same', 'rewritten', 'changed', 'cut', 'gone', 'old']) {
    fs.writeFileSync(path.join(root, 'a', name), 'content');
  }
  const overlay = new OverlayDisk(realDisk(root));
  const write = (name: string, text: string, at = 0): Promise<void> =>
    withFile(overlay.open(`a/${name}`, 'write'), (file) => file.write([bytes(text)], at));
  await write('rewritten', 'tent', 3);
  await write('changed', 'X', 3);
  await withFile(overlay.open('a/cut', 'write'), (file) => file.truncate(2));
  await overlay.remove('a/gone');
  await overlay.remove('a/same');
  await withFile(overlay.open('a/same', 'create'), (file) => file.write([bytes('content')], 0));
  await overlay.makeFolder('b/c');
  await overlay.rename('a/old', 'b/c/new');
  await withFile(overlay.open('b/made', 'create'), (file) => file.write([bytes('four')], 0));
  await withFile(overlay.open('b/passing', 'create'), async () => {});
  await overlay.remove('b/passing');
  expect(await overlay.changes()).toEqual([
    {
      kind: 'changed',
      path: 'a/changed',
      from: null,
      bytesBefore: 7,
      bytesAfter: 7,
      bytesWritten: 1,
      bytesReplaced: 1,
    },
    { kind: 'changed', path: 'a/cut', from: null, bytesBefore: 7, bytesAfter: 2, bytesWritten: 0, bytesReplaced: 0 },
    {
      kind: 'removed',
      path: 'a/gone',
      from: null,
      bytesBefore: 7,
      bytesAfter: null,
      bytesWritten: 0,
      bytesReplaced: 0,
    },
    { kind: 'removed', path: 'a/old', from: null, bytesBefore: 7, bytesAfter: null, bytesWritten: 0, bytesReplaced: 0 },
    {
      kind: 'moved',
      path: 'b/c/new',
      from: 'a/old',
      bytesBefore: null,
      bytesAfter: 7,
      bytesWritten: 0,
      bytesReplaced: 0,
    },
    { kind: 'made', path: 'b/made', from: null, bytesBefore: null, bytesAfter: 4, bytesWritten: 4, bytesReplaced: 0 },
  ]);
  expect(fs.readdirSync(root)).toEqual(['a']);
  expect(fs.readdirSync(path.join(root, 'a')).length).toBe(6);
});
