import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { tempFolder } from './temp-folder.ts';

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Another process that takes the lock and holds it; what it says is whether it got it. */
async function otherProcess(root: string): Promise<{ child: ChildProcess; says: string }> {
  const source = path.resolve('src/disk/real-disk.ts');
  const program = `
    const { realDisk } = await import(${JSON.stringify(source)});
    const lock = await realDisk(${JSON.stringify(root)}).lock('lock');
    process.stdout.write(lock === null ? 'refused' : 'held');
    setInterval(() => lock, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [said] = await once(child.stdout!, 'data');
  return { child, says: String(said) };
}

test('one holder at a time, also between two brokers of one process', async () => {
  const root = tempFolder();
  const lock = await realDisk(root).lock('lock');
  expect(lock).not.toBe(null);
  expect(await realDisk(root).lock('lock')).toBe(null);
  await lock!.release();
  const again = await realDisk(root).lock('lock');
  expect(again).not.toBe(null);
  await again!.release();
});

test('a refusal does not free the lock of the holder', async () => {
  const root = tempFolder();
  const lock = await realDisk(root).lock('lock');
  expect(await realDisk(root).lock('lock')).toBe(null);
  expect(await realDisk(root).lock('lock')).toBe(null);
  // POSIX locks go when any handle of the file is closed: another process must still be refused.
  expect((await otherProcess(root)).says).toBe('refused');
  await lock!.release();
});

test('releasing twice does nothing more', async () => {
  const root = tempFolder();
  const lock = await realDisk(root).lock('lock');
  await lock!.release();
  const next = await realDisk(root).lock('lock');
  await lock!.release();
  expect(await realDisk(root).lock('lock')).toBe(null);
  await next!.release();
});

test('another process is refused, and a killed one gives the lock back', async () => {
  const root = tempFolder();
  const { child, says } = await otherProcess(root);
  expect(says).toBe('held');
  expect(await realDisk(root).lock('lock')).toBe(null);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await realDisk(root).lock('lock');
  expect(lock).not.toBe(null);
  expect((await otherProcess(root)).says).toBe('refused');
  await lock!.release();
});

test('nothing is left beside the lock file, and it stays empty', async () => {
  const root = tempFolder();
  const lock = await realDisk(root).lock('lock');
  expect(fs.readdirSync(root)).toEqual(['lock']);
  expect(fs.statSync(path.join(root, 'lock')).size).toBe(0);
  await lock!.release();
});

test('where no lock can be taken, that is a fault and not a holder', async () => {
  const root = tempFolder();
  fs.mkdirSync(path.join(root, 'folder'));
  for (const name of ['folder', 'no/such/folder']) {
    const error = await realDisk(root)
      .lock(name)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ fault: 'readOnlyDisk' });
  }
});
