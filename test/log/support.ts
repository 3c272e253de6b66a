import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../src/base/faults.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { tempFolder } from '../disk/temp-folder.ts';
import { unsyncedDisk } from './hooked-disk.ts';
import { contextOn, FOLDER, openLog, type TestContext } from './opened-log.ts';

export { ManualClock } from '../manual-clock.ts';
export * from './opened-log.ts';
export { tempFolder };

/** The same in a folder, with nothing synced: what is tested is not what a power cut leaves. */
export function contextIn(root: string, cacheBytes?: number): TestContext {
  return contextOn(unsyncedDisk(realDisk(root)), cacheBytes);
}

/** Pushes all that is cached of any partition out, so that reads go to the files. */
export function dropCache(context: TestContext): void {
  context.cache.copy(Buffer.alloc(8 << 20));
  context.cache.copy(Buffer.alloc(8 << 20));
}

/** The bytes of all segment files, in order. */
export function logFiles(root: string, folder = FOLDER): Buffer {
  return Buffer.concat(filesOf(root, '.log', folder).map((file) => fs.readFileSync(file)));
}

/** Paths of the partition's files whose names end so, in order. */
export function filesOf(root: string, ending: string, folder = FOLDER): string[] {
  const names = fs.readdirSync(path.join(root, folder)).sort();
  return names.filter((name) => name.endsWith(ending)).map((name) => path.join(root, folder, name));
}

/** A copy of a data folder as it is now: what a process that was killed now would leave. */
export function copyOf(root: string): string {
  for (let attempt = 1; ; attempt += 1) {
    const copy = tempFolder();
    try {
      fs.cpSync(root, copy, { recursive: true });
      return copy;
    } catch (error) {
      // Calls of the disk are under way: a file that was seen may be renamed before it is copied.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 10) throw error;
    }
  }
}

/** Ends a log as the end of its process would: nothing more is written, and its handles are given back. */
export async function kill(log: PartitionLog): Promise<void> {
  log.abort(new Fault('brokerStopped'));
  await log.close();
}

/** Opens a copy of the folder, hands it to `use`, and ends it. */
export async function withLogOf<T>(
  root: string,
  use: (log: PartitionLog, context: TestContext) => Promise<T>,
  settings: Partial<LogSettings> = {},
): Promise<T> {
  const context = contextIn(root);
  const log = await openLog(context, settings);
  try {
    return await use(log, context);
  } finally {
    await kill(log);
  }
}

/** The error that a promise rejects with; fails when there is none, or when it hangs. */
export async function failureOf(operation: Promise<unknown>): Promise<unknown> {
  const done = Symbol('done');
  const outcome = await operation.then(
    () => done,
    (error: unknown) => ({ error }),
  );
  if (typeof outcome === 'symbol') throw new Error('expected a failure');
  return outcome.error;
}

/** Waits for what must come; the test's time limit is what fails it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** What a file holds. */
export async function bytesOf(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}
