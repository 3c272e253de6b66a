import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../seeded-random.ts';
import { bytes, faultOf, testDiskContract, withFile } from './disk-contract.ts';
import { testDiskOddities } from './disk-contract-oddities.ts';
import { POWER_CUTS, type PowerCut, SimulatedDisk } from './simulated-disk.ts';

const diskOf = (seed = 1): SimulatedDisk => new SimulatedDisk(new SeededRandom(seed));

testDiskContract(() => diskOf());
testDiskOddities(() => diskOf());

async function contentOf(disk: SimulatedDisk, path: string): Promise<Buffer | null> {
  const size = await disk.size(path);
  if (size === null) return null;
  return withFile(disk.open(path, 'read'), async (file) => {
    const buffer = Buffer.alloc(size);
    await file.read(buffer, 0);
    return buffer;
  });
}

/** A file of which all is durable, its name included. */
async function storedFile(disk: SimulatedDisk, path: string, content: Buffer): Promise<void> {
  await withFile(disk.open(path, 'create'), async (file) => {
    await file.write([content], 0);
    await file.sync();
  });
  await disk.syncFolder('.');
}

describe('a power cut', () => {
  test.each(POWER_CUTS)('that keeps %s keeps all that is synced', async (cut) => {
    for (let seed = 0; seed < 50; seed += 1) {
      const disk = diskOf(seed);
      await disk.makeFolder('a/b');
      await storedFile(disk, 'f', bytes('stored'));
      const after = disk.afterPowerCut(cut);
      expect(await after.list('a')).toEqual(['b']);
      expect(String(await contentOf(after, 'f'))).toBe('stored');
    }
  });

  test('takes nothing of what was written through', async () => {
    const disk = diskOf();
    await storedFile(disk, 'f', bytes('0123'));
    await withFile(disk.open('f', 'writeThrough'), (file) => file.write([bytes('abcdef')], 2));
    expect(String(await contentOf(disk.afterPowerCut('nothing'), 'f'))).toBe('01abcdef');
  });

  test('may take a name whose folder was not synced, and bytes that were not', async () => {
    const disk = diskOf();
    await storedFile(disk, 'f', bytes('old'));
    await withFile(disk.open('f', 'write'), (file) => file.write([bytes('new!')], 0));
    await withFile(disk.open('g', 'create'), async (file) => {
      await file.write([bytes('x')], 0);
      await file.sync();
    });
    const after = disk.afterPowerCut('nothing');
    expect(String(await contentOf(after, 'f'))).toBe('old');
    expect(await contentOf(after, 'g')).toBe(null);
  });

  test('takes a rename back whole or not at all', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 50; seed += 1) {
      const disk = diskOf(seed);
      await storedFile(disk, 'f', bytes('old'));
      await storedFile(disk, 'f.new', bytes('new'));
      await disk.rename('f.new', 'f');
      const after = disk.afterPowerCut('reordered');
      seen.add(`${await contentOf(after, 'f')} ${await contentOf(after, 'f.new')}`);
    }
    expect([...seen].sort()).toEqual(['new null', 'old new']);
  });

  const CHANGED: readonly PowerCut[] = ['torn', 'reordered'];
  test.each(CHANGED)(
    'that is %s leaves sectors that are old, new, or begun with new and ended with old',
    async (cut) => {
      const kinds = new Set<string>();
      for (let seed = 0; seed < 200; seed += 1) {
        const disk = diskOf(seed);
        await storedFile(disk, 'f', Buffer.alloc(4096, 'o'));
        await withFile(disk.open('f', 'write'), (file) => file.write([Buffer.alloc(4096, 'n')], 0));
        const content = (await contentOf(disk.afterPowerCut(cut), 'f'))!.toString();
        expect(content).toMatch(/^[on]{4096}$/);
        const sectors = Array.from({ length: 8 }, (_, i) => content.slice(i * 512, i * 512 + 512));
        for (const sector of sectors) kinds.add(/^o+$/.test(sector) ? 'old' : /^n+$/.test(sector) ? 'new' : 'mixed');
        if (sectors.some((sector, i) => sector[0] === 'n' && sectors[i - 1]?.[511] === 'o')) kinds.add('out of order');
      }
      expect([...kinds].sort()).toEqual(['mixed', 'new', 'old', 'out of order']);
    },
  );

  test('may leave a size without its bytes: zeros', async () => {
    const contents = new Set<string>();
    for (let seed = 0; seed < 100; seed += 1) {
      const disk = diskOf(seed);
      await storedFile(disk, 'f', bytes(''));
      await withFile(disk.open('f', 'write'), (file) => file.write([bytes('x')], 0));
      contents.add(String(await contentOf(disk.afterPowerCut('reordered'), 'f')));
    }
    expect([...contents].sort()).toEqual(['', '\0', 'x']);
  });

  test('at a call leaves that call half done; neither it nor a later one returns', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 60; seed += 1) {
      const disk = diskOf(seed);
      await storedFile(disk, 'f', bytes(''));
      const file = await disk.open('f', 'write');
      disk.cutPowerAfter(0);
      let returned = false;
      void file.write([bytes('abc')], 0).then(() => (returned = true));
      // Looked at the moment that the power has gone, when the half of it must be there.
      await disk.died;
      outcomes.add(String(await contentOf(disk.afterPowerCut('prefix'), 'f')));
      expect(returned).toBe(false);
    }
    expect(outcomes).toContain('');
    expect(outcomes).toContain('abc');
    expect(outcomes.size).toBeGreaterThan(2);
  });

  test('may take what was written while a sync ran, which never promised it', async () => {
    const disk = diskOf(1);
    await storedFile(disk, 'f', bytes(''));
    const file = await disk.open('f', 'write');
    await file.write([bytes('before')], 0);
    const syncing = file.sync();
    await file.write([bytes(' and during')], 6);
    await syncing;
    expect(String(await contentOf(disk.afterPowerCut('nothing'), 'f'))).toBe('before');
  });

  test('the same seed, the same loss', async () => {
    const once = async (): Promise<string> => {
      const disk = diskOf(77);
      await withFile(disk.open('f', 'create'), (file) => file.write([Buffer.alloc(5000, 'n')], 0));
      const after = disk.afterPowerCut('reordered');
      return String(await contentOf(after, 'f'));
    };
    expect(await once()).toBe(await once());
  });
});

describe('a kill of the process', () => {
  test('loses nothing that was written, and what was not synced is still not synced', async () => {
    const disk = diskOf();
    await storedFile(disk, 'f', bytes('old'));
    await withFile(disk.open('f', 'write'), (file) => file.write([bytes('new')], 0));
    const next = disk.afterKill();
    expect(String(await contentOf(next, 'f'))).toBe('new');
    expect(String(await contentOf(next.afterPowerCut('nothing'), 'f'))).toBe('old');
  });
});

describe('a failure', () => {
  test('comes at the call that was named, once', async () => {
    const disk = diskOf();
    const file = await disk.open('f', 'create');
    disk.fail({ fault: 'ENOSPC', of: (call) => call === 'write', from: 1, forEver: false });
    await file.write([bytes('a')], 0);
    expect(await faultOf(file.write([bytes('b')], 1))).toBe('diskFull');
    await file.write([bytes('c')], 1);
  });

  test('or from there on, until it is healed', async () => {
    const disk = diskOf();
    disk.fail({ fault: 'EMFILE', of: (call) => call === 'open', from: 0, forEver: true });
    for (let i = 0; i < 3; i += 1) expect(await faultOf(disk.open('f', 'create'))).toBe('diskError');
    disk.heal();
    await (await disk.open('f', 'create')).close();
  });

  test('of a write may leave any part of it in the file', async () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < 100; seed += 1) {
      const disk = diskOf(seed);
      const file = await disk.open('f', 'create');
      disk.fail({ fault: 'ENOSPC', of: (call) => call === 'write', from: 0, forEver: false });
      await faultOf(file.write([bytes('abc')], 0));
      sizes.add(await file.size());
    }
    expect([...sizes].sort()).toEqual([0, 1, 2, 3]);
  });

  test('of a sync of names leaves a made folder for the next making of it', async () => {
    const disk = diskOf();
    disk.fail({ fault: 'EIO', of: (call) => call === 'syncFolder', from: 0, forEver: false });
    expect(await faultOf(disk.makeFolder('a'))).toBe('diskError');
    await disk.makeFolder('a');
    expect(await disk.afterPowerCut('nothing').list('.')).toEqual(['a']);
  });

  test('of a sync counts what it lost as clean: the next one succeeds and writes none of it', async () => {
    const disk = diskOf();
    await storedFile(disk, 'f', bytes('old'));
    const file = await disk.open('f', 'write');
    await file.write([bytes('new')], 0);
    disk.fail({ fault: 'EIO', of: (call) => call === 'sync', from: 0, forEver: false });
    expect(await faultOf(file.sync())).toBe('diskError');
    await file.sync();
    expect(String(await contentOf(disk, 'f'))).toBe('new');
    expect(String(await contentOf(disk.afterPowerCut('all'), 'f'))).toBe('old');
  });
});

test('bits flip at rest, for readers now and after a power cut', async () => {
  const disk = diskOf();
  await storedFile(disk, 'f', bytes('abc'));
  disk.flip('f', 1, 0x20);
  expect(String(await contentOf(disk, 'f'))).toBe('aBc');
  expect(String(await contentOf(disk.afterPowerCut('nothing'), 'f'))).toBe('aBc');
});
