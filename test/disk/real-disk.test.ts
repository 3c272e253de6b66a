import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
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
});
