import fs from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { hookedDisk, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextIn,
  contextOn,
  dropCache,
  filesOf,
  kill,
  logFiles,
  NEVER_MS,
  oneSegment,
  openLog,
  type TestContext,
  tempFolder,
} from './support.ts';

const basesOf = (log: PartitionLog): number[] => log.segments.map(({ baseOffset }) => baseOffset);

async function appendAt(context: TestContext, log: PartitionLog, ...timesMs: number[]): Promise<void> {
  for (const ms of timesMs) await append(context, log, { timestampsMs: [ms] });
}

describe('a segment is rolled', () => {
  test('before it would grow past segment.bytes, wherever appends are cut into writes', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context, { segmentBytes: 1000 });
    const batches = Array.from({ length: 50 }, (_, i) => batchOf({ valueBytes: (i * 53) % 400 }));
    const expected: number[] = [];
    let size = Number.POSITIVE_INFINITY;
    for (const [offset, batch] of batches.entries()) {
      if (size + batch.length > 1000) {
        expected.push(offset);
        size = 0;
      }
      size += batch.length;
    }
    await Promise.all(batches.slice(0, 30).map((batch) => append(context, log, batch)));
    for (const batch of batches.slice(30)) await append(context, log, batch);
    expect(basesOf(log)).toEqual(expected);
    await kill(log);
  });

  test('never for one batch that is larger than a segment may be', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context, { segmentBytes: 100 });
    for (let i = 0; i < 3; i += 1) await append(context, log, { valueBytes: 500 });
    expect(basesOf(log)).toEqual([0, 1, 2]);
    await kill(log);
  });

  test('when a record is younger than its first by more than segment.ms, also after a restart', async () => {
    const root = tempFolder();
    let context = contextIn(root);
    let log = await openLog(context, { ...oneSegment, segmentMs: 100 });
    await appendAt(context, log, 1000, 1100, 1101, 900, 1201, 1202);
    expect(basesOf(log)).toEqual([0, 2, 5]);
    await log.close();
    context = contextIn(root);
    log = await openLog(context, { ...oneSegment, segmentMs: 100 });
    await appendAt(context, log, 1302, 1303);
    expect(basesOf(log)).toEqual([0, 2, 5, 7]);
    await kill(log);
  });

  test('by settings that changed while it runs', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context, oneSegment);
    await appendAt(context, log, 0, 0, 0);
    log.changeSettings({ ...oneSegment, segmentBytes: 1 });
    await appendAt(context, log, 0, 0);
    log.changeSettings(oneSegment);
    await appendAt(context, log, 0, 0);
    expect(basesOf(log)).toEqual([0, 3, 4]);
    await kill(log);
  });

  test('and is then synced as a whole, with its indexes beside it', async () => {
    const root = tempFolder();
    const context = contextOn(realDisk(root));
    const log = await openLog(context, { segmentBytes: 1000, flushMessages: NEVER_MS });
    for (let i = 0; i < 30; i += 1) await append(context, log, { valueBytes: 50 });
    expect(log.marks.durableNext).toBe(log.segments.at(-1)!.baseOffset);
    expect(filesOf(root, '.index').length).toBe(log.segments.length - 1);
    expect(filesOf(root, '.timeindex').length).toBe(log.segments.length - 1);
    await kill(log);
  });
});

test('under load that never ends, between two writes: whoever ends segments waits for no pause', async () => {
  const context = contextIn(tempFolder());
  const log = await openLog(context, oneSegment);
  let appended = 0;
  let rolled = 0;
  const load = Array.from({ length: 8 }, async (_, i) => {
    await setTimeout(i);
    for (; rolled < 2 && appended < 10_000; appended += 1) await append(context, log, { tag: appended });
  });
  await setTimeout(20);
  for (let i = 0; i < 2; i += 1) void log.roll(log.segments.at(-1)!).then(() => (rolled += 1));
  await Promise.all(load);
  expect(rolled).toBe(2);
  expect(log.segments.length).toBe(2);
  expect(log.marks.highWatermark).toBe(appended);
  await log.close();
});

test('while its index is on its way for a start after a crash, and nothing is refused', async () => {
  let writes = 0;
  const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name, path }, proceed) => {
    // The first one is there still when the second one comes.
    if (name === 'write' && path.endsWith('/00000000000000000000.index.new') && (writes += 1) === 1)
      await setTimeout(100);
    return proceed();
  });
  const context = contextOn(disk);
  const MIB = 1024 * 1024;
  const log = await openLog(context, { ...oneSegment, segmentBytes: 65 * MIB });
  for (let i = 0; i < 66; i += 1) {
    await context.syncer.append([{ log, batch: batchOf({ valueBytes: MIB }) }], 'written').settled;
  }
  expect(log.segments.length).toBe(2);
  expect(writes).toBe(2);
  expect(context.warnings).toEqual([]);
  await log.close();
});

test('an index that lies is built again while appends go on, and misses none of them', async () => {
  const root = tempFolder();
  let afterRead = async (): Promise<void> => {};
  const disk = hookedDisk(unsyncedDisk(realDisk(root)), async ({ name }, proceed) => {
    const found = await proceed();
    if (name === 'read') await afterRead();
    return found;
  });
  let context = contextOn(disk);
  let log = await openLog(context, { ...oneSegment, indexIntervalBytes: 0 });
  for (let i = 0; i < 20; i += 1) await append(context, log, { valueBytes: 20 });
  await log.close();
  // Every entry leads to the batch before the one that it names.
  const [file] = filesOf(root, '.index');
  const index = fs.readFileSync(file!);
  for (let at = 0; at < index.length; at += 8) index.writeInt32BE(index.readInt32BE(at) + 1, at);
  fs.writeFileSync(file!, index);

  context = contextOn(disk);
  log = await openLog(context, { ...oneSegment, indexIntervalBytes: 0 });
  const written = logFiles(root);
  await append(context, log, { timestampsMs: [5000] });
  dropCache(context);
  let appended = 0;
  let busy = false;
  afterRead = async () => {
    if (busy || appended === 10) return;
    busy = true;
    appended += 1;
    await append(context, log, { timestampsMs: [5000 + appended], valueBytes: 20 });
    busy = false;
  };
  const read = await log.reader.read(15, { endNext: 20, bytesMax: 1 << 20, atLeastOne: true });
  expect(Buffer.concat(read.buffers).equals(written.subarray([...batchesIn(written)][15]))).toBe(true);
  expect(appended).toBeGreaterThan(1);
  const active = log.segments[0]!;
  expect((await active.index.loaded()).offsets.length).toBe(20 + appended);
  expect((await active.index.loaded()).maxTimestampMs).toBe(5000 + appended);
  expect(await active.index.maxTimestampMs()).toBe(5000 + appended);
  await kill(log);
});
