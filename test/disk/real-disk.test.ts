import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { bytes, faultOf, testDiskContract, withFile } from './disk-contract.ts';
import { testDiskOddities } from './disk-contract-oddities.ts';
import { tempFolder } from './temp-folder.ts';

testDiskContract(() => realDisk(tempFolder()));
testDiskOddities(() => realDisk(tempFolder()));

describe('the operating system takes a write in pieces', () => {
  afterEach(() => vi.restoreAllMocks());

  // Real disks do this near a full disk or a signal, which cannot be provoked: so the calls are cut short here.
  test.each([1, 2, 3, 7, 1000])('of at most %d bytes: all bytes land where they belong', async (pieceBytes) => {
    const { write, writev } = fs;
    let calls = 0;
    vi.spyOn(fs, 'write').mockImplementation(((
      fd: number,
      buffer: Buffer,
      at: number,
      length: number,
      ...rest: never[]
    ) => {
      calls += 1;
      (write as (...all: unknown[]) => void)(fd, buffer, at, Math.min(length, pieceBytes), ...rest);
    }) as typeof fs.write);
    vi.spyOn(fs, 'writev').mockImplementation(((fd: number, buffers: Buffer[], ...rest: never[]) => {
      calls += 1;
      const cut: Buffer[] = [];
      let left = pieceBytes;
      for (const buffer of buffers) {
        cut.push(buffer.subarray(0, left));
        left -= cut.at(-1)!.length;
        if (left === 0) break;
      }
      (writev as (...all: unknown[]) => void)(fd, cut, ...rest);
    }) as typeof fs.writev);
    const disk = realDisk(tempFolder());
    const buffers = ['a', '', 'bcd', 'efghi', '', 'jklmnopqrstuv', 'w'].map(bytes);
    await withFile(disk.open('f', 'create'), async (file) => {
      await file.write(buffers, 5);
      await file.write([bytes('xyz')], 28);
      const read = Buffer.alloc(31);
      expect(await file.read(read, 0)).toBe(31);
      expect(read.toString()).toBe('\0\0\0\0\0abcdefghijklmnopqrstuvwxyz');
    });
    expect(calls).toBeGreaterThanOrEqual(2);
  });
});

describe('a folder', () => {
  test('is made with all above it, and again without harm', async () => {
    const root = path.join(tempFolder(), 'not', 'yet');
    const disk = realDisk(root);
    await disk.makeFolder('a/b/c');
    await disk.makeFolder('a/b/c');
    await disk.makeFolder('.');
    expect(fs.statSync(path.join(root, 'a/b/c')).isDirectory()).toBe(true);
  });

  test('is durable when it is made, also if it was there: who made it may have been killed before its sync', async () => {
    const root = tempFolder();
    fs.mkdirSync(path.join(root, 'a/b/c'), { recursive: true });
    const opened = vi.spyOn(fs.promises, 'open');
    const synced = (): unknown[] => opened.mock.calls.splice(0).map(([folder]) => folder);
    try {
      await realDisk(root).makeFolder('a/b/c');
      expect(synced()).toEqual([path.join(root, 'a/b'), path.join(root, 'a'), root]);
      await realDisk(root).makeFolder('.');
      expect(synced()).toEqual([path.dirname(root)]);
    } finally {
      opened.mockRestore();
    }
  });

  test('is made below a root named relative to the working folder, however short the names', async () => {
    const here = process.cwd();
    process.chdir(tempFolder());
    try {
      await realDisk('.').makeFolder('p');
      await realDisk('.').makeFolder('q/r');
      await realDisk('d').makeFolder('p');
      expect(fs.readdirSync('.').sort()).toEqual(['d', 'p', 'q']);
    } finally {
      process.chdir(here);
    }
  });
});

describe('faults', () => {
  test.runIf(process.platform === 'linux')('a full disk is diskFull', async () => {
    await withFile(realDisk('/dev').open('full', 'write'), async (file) => {
      expect(await faultOf(file.write([bytes('x')], 0))).toBe('diskFull');
      expect(await faultOf(file.write([bytes('x'), bytes('y')], 0))).toBe('diskFull');
    });
  });

  test.runIf(process.platform === 'linux')('a disk that cannot be written is readOnlyDisk', async () => {
    // proc refuses to everyone, also to root, what a mode or a read-only mount refuses to others.
    expect(await faultOf(realDisk('/proc').remove('version'))).toBe('readOnlyDisk');
  });

  test('name the file or folder, and what was done with it', async () => {
    const root = tempFolder();
    const disk = realDisk(root);
    await disk.makeFolder('folder');
    await withFile(disk.open('file', 'create'), async (file) => {
      const said = async (call: Promise<unknown>): Promise<string> => {
        const { fault, detail } = (await call.then(null, (error: unknown) => error)) as Fault;
        return `${fault}: ${detail}`;
      };
      const fails = (name: 'read' | 'write' | 'fdatasync' | 'ftruncate' | 'fstat'): void => {
        vi.spyOn(fs, name).mockImplementation(((...all: unknown[]) => {
          const error = Object.assign(new Error(`EIO: i/o error, ${name}`), { code: 'EIO', syscall: name });
          (all.at(-1) as (error: Error) => void)(error);
        }) as never);
      };
      for (const name of ['read', 'write', 'fdatasync', 'ftruncate', 'fstat'] as const) fails(name);
      const named = (call: string): string => `diskError: EIO: i/o error, ${call} '${path.join(root, 'file')}'`;
      try {
        expect(await said(file.read(Buffer.alloc(3), 4096))).toBe(`${named('read')} at byte 4096`);
        expect(await said(file.write([bytes('abc')], 8192))).toBe(`${named('write')} at byte 8192`);
        expect(await said(file.sync())).toBe(named('fdatasync'));
        expect(await said(file.truncate(0))).toBe(named('ftruncate'));
        expect(await said(file.size())).toBe(named('fstat'));
      } finally {
        vi.restoreAllMocks();
      }
      const folder = path.join(root, 'folder');
      await withFile(disk.open('folder', 'read'), async (opened) => {
        expect(await said(opened.read(Buffer.alloc(1), 0))).toMatch(`EISDIR`);
        expect(await said(opened.read(Buffer.alloc(1), 0))).toMatch(`read '${folder}' at byte 0`);
      });
      expect(await said(disk.open('folder', 'write'))).toMatch(`open '${folder}'`);
      expect(await said(disk.remove('folder'))).toMatch(`unlink '${folder}'`);
      expect(await said(disk.rename('none', 'other'))).toMatch(`rename '${path.join(root, 'none')}'`);
      expect(await said(disk.syncFolder('none'))).toMatch(`open '${path.join(root, 'none')}'`);
      expect(await said(disk.list('file'))).toMatch(`scandir '${path.join(root, 'file')}'`);
      expect(await said(disk.size('file/below'))).toMatch(`stat '${path.join(root, 'file/below')}'`);
    });
  });
});
