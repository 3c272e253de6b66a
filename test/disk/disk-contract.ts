import { describe, expect, test } from 'vitest';
import { Fault, type FaultName } from '../../src/base/faults.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';

export const bytes = (text: string): Buffer => Buffer.from(text);

/** The fault that a promise rejects with; any other error, and none, fail the test. */
export async function faultOf(operation: Promise<unknown>): Promise<FaultName> {
  const error = await operation.then(
    () => 'no failure',
    (reason: unknown) => reason,
  );
  if (error instanceof Fault) return error.fault;
  throw new Error('expected a Fault', { cause: error });
}

export async function withFile<T>(file: Promise<DiskFile>, use: (file: DiskFile) => Promise<T>): Promise<T> {
  const opened = await file;
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

/** What every disk promises: run on the real one and on the simulated one, so that neither drifts from the other. */
export function testDiskContract(makeDisk: () => Disk): void {
  for (const part of [testFiles, testFolders, testNames, testFaults, testRest]) part(makeDisk);
}

function testFiles(makeDisk: () => Disk): void {
  describe('a file', () => {
    test('returns what was written, wherever it was written', async () => {
      const disk = makeDisk();
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write([bytes('hello '), bytes(''), bytes('world')], 0);
        await file.write([bytes('W')], 6);
        const buffer = Buffer.alloc(11);
        expect(await file.read(buffer, 0)).toBe(11);
        expect(buffer.toString()).toBe('hello World');
        expect(await file.size()).toBe(11);
      });
    });

    test('reads short only at its end, and nothing past it', async () => {
      const disk = makeDisk();
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write([bytes('0123456789')], 0);
        expect(await file.read(Buffer.alloc(20), 4)).toBe(6);
        expect(await file.read(Buffer.alloc(20), 10)).toBe(0);
        expect(await file.read(Buffer.alloc(20), 1000)).toBe(0);
        expect(await file.read(Buffer.alloc(0), 0)).toBe(0);
      });
    });

    test('takes more buffers in one write than the operating system does', async () => {
      const disk = makeDisk();
      const buffers = Array.from({ length: 5000 }, (_, i) => bytes(`${i},`));
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write(buffers, 3);
        const read = Buffer.alloc(3 + Buffer.concat(buffers).length);
        expect(await file.read(read, 0)).toBe(read.length);
        expect(read.subarray(3).equals(Buffer.concat(buffers))).toBe(true);
      });
    });

    test('truncates, and grows with zeros where it is written past its end', async () => {
      const disk = makeDisk();
      await withFile(disk.open('f', 'create'), async (file) => {
        await file.write([bytes('0123456789')], 0);
        await file.truncate(4);
        await file.write([bytes('x')], 6);
        await file.sync();
        const buffer = Buffer.alloc(7);
        await file.read(buffer, 0);
        expect(buffer.toString()).toBe('0123\0\0x');
      });
    });

    test('is made by "create" alone, and only once', async () => {
      const disk = makeDisk();
      expect(await faultOf(disk.open('f', 'read'))).toBe('diskError');
      expect(await faultOf(disk.open('f', 'write'))).toBe('diskError');
      await withFile(disk.open('f', 'create'), async () => {});
      expect(await faultOf(disk.open('f', 'create'))).toBe('diskError');
      await withFile(disk.open('f', 'write'), (file) => file.write([bytes('x')], 0));
      await withFile(disk.open('f', 'read'), async (file) => {
        expect(await faultOf(file.write([bytes('y')], 0))).toBe('diskError');
      });
    });
  });
}

function testFolders(makeDisk: () => Disk): void {
  describe('a folder', () => {
    test('lists its names sorted; a missing one is empty', async () => {
      const disk = makeDisk();
      expect(await disk.list('none')).toEqual([]);
      await disk.makeFolder('a/b/c');
      for (const name of ['z', '10', 'm', '9']) await (await disk.open(`a/${name}`, 'create')).close();
      expect(await disk.list('a')).toEqual(['10', '9', 'b', 'm', 'z']);
    });

    test('goes with all in it; a missing one goes without harm', async () => {
      const disk = makeDisk();
      await disk.makeFolder('a/b');
      await (await disk.open('a/b/f', 'create')).close();
      await disk.removeFolder('a');
      await disk.removeFolder('a');
      expect(await disk.list('.')).toEqual([]);
    });

    test('syncs; a missing one is a fault', async () => {
      const disk = makeDisk();
      await disk.syncFolder('.');
      expect(await faultOf(disk.syncFolder('none'))).toBe('diskError');
    });
  });
}

function testNames(makeDisk: () => Disk): void {
  describe('names', () => {
    test('a missing file has no size, and removing it does nothing', async () => {
      const disk = makeDisk();
      expect(await disk.size('none')).toBe(null);
      expect(await disk.size('no/such/folder')).toBe(null);
      await disk.remove('none');
      expect(await faultOf(disk.rename('none', 'other'))).toBe('diskError');
    });

    test('a rename replaces', async () => {
      const disk = makeDisk();
      for (const name of ['old', 'new']) {
        await withFile(disk.open(name, 'create'), (file) => file.write([bytes(name)], 0));
      }
      await disk.rename('new', 'old');
      expect(await disk.list('.')).toEqual(['old']);
      expect(await disk.size('old')).toBe(3);
    });

    test('a path below a file is a fault in every call, not a missing file', async () => {
      const disk = makeDisk();
      await (await disk.open('f', 'create')).close();
      expect(await faultOf(disk.open('f/x', 'read'))).toBe('diskError');
      expect(await faultOf(disk.open('f/x', 'create'))).toBe('diskError');
      expect(await faultOf(disk.size('f/x'))).toBe('diskError');
      expect(await faultOf(disk.list('f'))).toBe('diskError');
      expect(await faultOf(disk.remove('f/x'))).toBe('diskError');
      expect(await faultOf(disk.makeFolder('f/x'))).toBe('notAFolder');
      expect(await faultOf(disk.makeFolder('f'))).toBe('notAFolder');
    });
  });
}

function testFaults(makeDisk: () => Disk): void {
  describe('faults', () => {
    test('a closed file is a fault', async () => {
      const file = await makeDisk().open('f', 'create');
      await file.close();
      expect(await faultOf(file.sync())).toBe('diskError');
    });

    test('the cause stays known', async () => {
      const error = await makeDisk()
        .open('none', 'read')
        .catch((reason: Fault) => reason);
      expect(error).toMatchObject({ fault: 'diskError', cause: { code: 'ENOENT' } });
    });
  });
}

function testRest(makeDisk: () => Disk): void {
  test('what is written through is there, and synced as well', async () => {
    const disk = makeDisk();
    await withFile(disk.open('f', 'create'), (file) => file.write([bytes('0123')], 0));
    await withFile(disk.open('f', 'writeThrough'), async (file) => {
      await file.write([bytes('ab'), bytes('c')], 2);
      await file.sync();
      const read = Buffer.alloc(5);
      expect(await file.read(read, 0)).toBe(5);
      expect(read.toString()).toBe('01abc');
    });
    expect(await faultOf(disk.open('none', 'writeThrough'))).toBe('diskError');
  });

  test('space: no more is free than there is', async () => {
    const { freeBytes, totalBytes } = await makeDisk().space();
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  });

  test('a lock is held once, until it is released', async () => {
    const disk = makeDisk();
    const lock = await disk.lock('lock');
    expect(await disk.lock('lock')).toBe(null);
    await lock!.release();
    await lock!.release();
    await (await disk.lock('lock'))!.release();
  });
}
