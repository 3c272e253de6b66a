import fs from 'node:fs';
import { Semaphore } from '../../src/base/semaphore.ts';
import type { Disk } from '../../src/disk/disk.ts';
import type { AppendStage } from '../../src/log/append-group.ts';
import type { LogContext } from '../../src/log/log-context.ts';
import type { LogSettings } from '../../src/log/log-settings.ts';
import { PartitionLog } from '../../src/log/partition-log.ts';
import { ReadBuffers } from '../../src/log/read-buffers.ts';
import { type Appended, Syncer } from '../../src/log/syncer.ts';
import { TailCache } from '../../src/log/tail-cache.ts';
import { type BatchOptions, buildBatch } from '../../src/record/batch-builder.ts';
import { ManualClock } from '../manual-clock.ts';

/*
 * Logs on any disk, outside of the test runner too.
 */

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
    readBuffers: new ReadBuffers(),
    onFatal: (error) => void fatal.push(error),
    fatal,
    warnings,
  };
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

/** Lets all that is ready run, including what waits for answers of the file system. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    await fs.promises.stat('.');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
