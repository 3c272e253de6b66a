import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/faults.ts';
import { Semaphore } from '../../src/base/semaphore.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { AppendStage } from '../../src/log/append-group.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import { type LogContext, PartitionLog } from '../../src/log/partition-log.ts';
import { type Appended, Syncer } from '../../src/log/syncer.ts';
import { TailCache } from '../../src/log/tail-cache.ts';
import { type BatchOptions, buildBatch } from '../../src/record/batch-builder.ts';
import { tempFolder } from '../disk/temp-folder.ts';
import { unsyncedDisk } from './hooked-disk.ts';

export { tempFolder };

/** The partition's folder in every test. */
export const FOLDER = 'p';

export const NEVER_MS = Number.MAX_SAFE_INTEGER;

/** Small enough that a few batches make several segments and index entries. */
export const smallSettings: LogSettings = {
  segmentBytes: 2000,
  segmentMs: NEVER_MS,
  indexIntervalBytes: 300,
  flushMessages: 1,
  flushMs: NEVER_MS,
  rot: 'stop',
};

export const oneSegment: LogSettings = { ...smallSettings, segmentBytes: 1 << 20 };

/** Time that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  readonly #timers = new Set<{ atMs: number; action: () => void }>();

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.action();
    }
  }
}

export interface TestContext extends LogContext {
  readonly clock: ManualClock;
  /** What onFatal was told. */
  readonly fatal: unknown[];
  /** What was logged as a warning or an error. */
  readonly warnings: { facts: object; message: string }[];
}

/** As a broker of its own would hand it to its logs. `cacheBytes` 1 leaves one page of 64 KB. */
export function contextOn(disk: Disk, cacheBytes = 1 << 20): TestContext {
  const fatal: unknown[] = [];
  const warnings: { facts: object; message: string }[] = [];
  const note = (facts: object, message: string): void => void warnings.push({ facts, message });
  return {
    disk,
    clock: new ManualClock(),
    logger: { debug() {}, info() {}, warn: note, error: note },
    syncer: new Syncer(),
    replay: null,
    cache: new TailCache(cacheBytes),
    reads: new Semaphore(2),
    onFatal: (error) => void fatal.push(error),
    fatal,
    warnings,
  };
}

/** The same in a folder, with nothing synced: what is tested is not what a power cut leaves. */
export function contextIn(root: string, cacheBytes?: number): TestContext {
  return contextOn(unsyncedDisk(realDisk(root)), cacheBytes);
}

/** Pushes all that is cached of any partition out, so that reads go to the files. */
export function dropCache(context: TestContext): void {
  context.cache.copy(Buffer.alloc(8 << 20));
  context.cache.copy(Buffer.alloc(8 << 20));
}

export async function openLog(
  context: TestContext,
  settings: Partial<LogSettings> = {},
  epoch = 1,
  folder = FOLDER,
): Promise<PartitionLog> {
  return PartitionLog.open(folder, context, { ...smallSettings, ...settings }, epoch);
}

export interface BatchSpec extends BatchOptions {
  /** Default 1. */
  count?: number;
  /** Of each record's value. Default 20. */
  valueBytes?: number;
  /** Of each record; the first one's is that of those that are not named. Default 1000. */
  timestampsMs?: readonly number[];
  /** Tells batches apart. */
  tag?: string | number;
}

export function batchOf({
  count = 1,
  valueBytes = 20,
  timestampsMs = [1000],
  tag = '',
  ...options
}: BatchSpec = {}): Buffer {
  const value = Buffer.alloc(valueBytes, `${tag}.`);
  const records = Array.from({ length: count }, (_, i) => ({
    timestampMs: timestampsMs[i] ?? timestampsMs[0]!,
    value,
  }));
  return buildBatch(records, options);
}

/** Appends one batch; resolves when it has come as far as `until`. */
export async function append(
  context: TestContext,
  log: PartitionLog,
  spec: BatchSpec | Buffer = {},
  until: AppendStage = 'visible',
): Promise<Appended> {
  const batch = Buffer.isBuffer(spec) ? spec : batchOf(spec);
  const { parts, settled } = context.syncer.append([{ log, batch }], until);
  await settled;
  return parts[0]!;
}

/** All that a reader of the log sees from `offset` on, read in steps of `bytesMax`. */
export async function readAll(log: PartitionLog, bytesMax = 1 << 20, offset = log.marks.logStart): Promise<Buffer> {
  const buffers: Buffer[] = [];
  const endNext = log.marks.highWatermark;
  for (let at = offset; at < endNext; ) {
    const read = await log.reader.read(at, { endNext, bytesMax, atLeastOne: true });
    if (read.bytes !== read.buffers.reduce((sum, buffer) => sum + buffer.length, 0)) throw new Error('bytes is wrong');
    if (read.nextOffset <= at) throw new Error(`no way on from offset ${at}`);
    buffers.push(...read.buffers);
    at = read.nextOffset;
  }
  return Buffer.concat(buffers);
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

/** Lets all that is ready run, including what waits for answers of the file system. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    await fs.promises.stat('.');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Waits for what must come; the test's time limit is what fails it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
