import { describe, expect, test } from 'vitest';
import type { Disk } from '../../src/disk/disk.ts';
import { bytes, faultOf, withFile } from './disk-contract.ts';

async function contentOf(disk: Disk, path: string): Promise<string> {
  return withFile(disk.open(path, 'read'), async (file) => {
    const buffer = Buffer.alloc(await file.size());
    await file.read(buffer, 0);
    return String(buffer);
  });
}

const put = (disk: Disk, path: string, content: string): Promise<void> =>
  withFile(disk.open(path, 'create'), (file) => file.write([bytes(content)], 0));

/** What every disk promises of files that are used while they are removed, renamed, resized, or by two at once. */
export function testDiskOddities(makeDisk: () => Disk): void {
  testOpenFiles(makeDisk);
  testOddCalls(makeDisk);
}

function testOpenFiles(makeDisk: () => Disk): void {
  describe('an open file', () => {
    test('is read and written after its removal, and is another than one that is made under its name', async () => {
      const disk = makeDisk();
      await put(disk, 'f', 'first');
      await withFile(disk.open('f', 'write'), async (file) => {
        await disk.remove('f');
        expect(await disk.list('.')).toEqual([]);
        await file.write([bytes('F')], 0);
        await file.sync();
        await put(disk, 'f', 'second');
        const buffer = Buffer.alloc(5);
        expect(await file.read(buffer, 0)).toBe(5);
        expect(String(buffer)).toBe('First');
      });
      expect(await contentOf(disk, 'f')).toBe('second');
    });

    test('stays what it is when another is renamed over it', async () => {
      const disk = makeDisk();
      await put(disk, 'f', 'first');
      await put(disk, 'g', 'second');
      await withFile(disk.open('f', 'write'), async (file) => {
        await disk.rename('g', 'f');
        await file.write([bytes('F')], 0);
        const buffer = Buffer.alloc(5);
        await file.read(buffer, 0);
        expect(String(buffer)).toBe('First');
      });
      expect(await contentOf(disk, 'f')).toBe('second');
    });

    test('goes along when it is renamed', async () => {
      const disk = makeDisk();
      await put(disk, 'f', 'first');
      await withFile(disk.open('f', 'write'), async (file) => {
        await disk.rename('f', 'g');
        await file.write([bytes('F')], 0);
      });
      expect(await contentOf(disk, 'g')).toBe('First');
    });

    test('shows what another handle of it did: what it wrote, and how long it is', async () => {
      const disk = makeDisk();
      await put(disk, 'f', '0123456789');
      await withFile(disk.open('f', 'read'), (one) =>
        withFile(disk.open('f', 'write'), async (other) => {
          await other.write([bytes('ab')], 2);
          await other.truncate(5);
          expect(await one.size()).toBe(5);
          const buffer = Buffer.alloc(10);
          expect(await one.read(buffer, 0)).toBe(5);
          expect(buffer.toString('latin1', 0, 5)).toBe('01ab4');
          await other.write([bytes('z')], 6);
          expect(await one.read(buffer, 0)).toBe(7);
          expect(buffer.toString('latin1', 0, 7)).toBe('01ab4\0z');
        }),
      );
    });

    test('grows with zeros where it is truncated to more than it has, also over what it had before', async () => {
      const disk = makeDisk();
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write([bytes('0123456789')], 0);
        await file.truncate(3);
        await file.truncate(8);
        expect(await file.size()).toBe(8);
        const buffer = Buffer.alloc(20, 'x');
        expect(await file.read(buffer, 0)).toBe(8);
        expect(buffer.toString('latin1', 0, 8)).toBe('012\0\0\0\0\0');
      });
    });

    test('is not longer for a write of no bytes, wherever that is', async () => {
      const disk = makeDisk();
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write([bytes('x')], 0);
        await file.write([bytes('')], 100);
        await file.write([], 100);
        await file.write([bytes(''), bytes('')], 100);
        expect(await file.size()).toBe(1);
      });
    });
  });
}

function testOddCalls(makeDisk: () => Disk): void {
  describe('a fault, with nothing changed, is', () => {
    test('a rename of a file over a folder, and of a folder over a file', async () => {
      const disk = makeDisk();
      await disk.makeFolder('d/e');
      await put(disk, 'f', 'file');
      expect(await faultOf(disk.rename('f', 'd'))).toBe('diskError');
      expect(await faultOf(disk.rename('d', 'f'))).toBe('diskError');
      expect(await disk.list('.')).toEqual(['d', 'f']);
      expect(await disk.list('d')).toEqual(['e']);
      expect(await contentOf(disk, 'f')).toBe('file');
    });

    test('reading a folder as a file, and opening it to write', async () => {
      const disk = makeDisk();
      await disk.makeFolder('d');
      expect(await faultOf(withFile(disk.open('d', 'read'), (file) => file.read(Buffer.alloc(1), 0)))).toBe(
        'diskError',
      );
      expect(await faultOf(disk.open('d', 'write'))).toBe('diskError');
    });

    test('a truncation by who may only read', async () => {
      const disk = makeDisk();
      await put(disk, 'f', 'file');
      expect(await faultOf(withFile(disk.open('f', 'read'), (file) => file.truncate(0)))).toBe('diskError');
      expect(await contentOf(disk, 'f')).toBe('file');
    });

    test('a lock below a folder that is missing', async () => {
      expect(await faultOf(makeDisk().lock('none/lock'))).toBe('readOnlyDisk');
    });
  });
}
