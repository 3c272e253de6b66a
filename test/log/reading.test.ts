import fs from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchBytes, batchesIn, nextOffset } from '../../src/record/batch.ts';
import { hookedDisk, isLogFile, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  contextIn,
  contextOn,
  dropCache,
  failureOf,
  filesOf,
  kill,
  logFiles,
  openLog,
  readAll,
  type TestContext,
  tempFolder,
} from './support.ts';

/** A log of several segments; the place and the offsets of each of its batches. */
async function sampleLog(root = tempFolder()): Promise<{ context: TestContext; log: PartitionLog; bytes: Buffer }> {
  const context = contextIn(root);
  const log = await openLog(context);
  for (let i = 0; i < 40; i += 1)
    await append(context, log, { count: 1 + (i % 4), valueBytes: (i * 37) % 200, tag: i });
  return { context, log, bytes: logFiles(root) };
}

describe('what a read returns', () => {
  test('from every offset, with every limit: the batches of the file, from memory and from disk', async () => {
    const { context, log, bytes } = await sampleLog();
    expect(log.segments.length).toBeGreaterThan(3);
    const starts = [...batchesIn(bytes)];
    const end = log.marks.highWatermark;
    // The rule, over the bytes of all files: whole batches, the first of which holds the offset.
    const expected = (
      offset: number,
      endNext: number,
      bytesMax: number,
      atLeastOne: boolean,
      segmentEnd: number,
    ): Buffer => {
      const first = starts.find((at) => nextOffset(bytes, at) > offset)!;
      let to = first;
      while (to < segmentEnd && nextOffset(bytes, to) <= endNext) {
        const size = batchBytes(bytes, to);
        if (to + size - first > bytesMax && !(to === first && atLeastOne)) break;
        to += size;
      }
      return bytes.subarray(first, to);
    };
    for (const place of ['memory', 'disk']) {
      if (place === 'disk') dropCache(context);
      for (let offset = 0; offset < end; offset += 1) {
        // Below 0 when others have come to hold more than there is, while this one was waiting.
        for (const bytesMax of [-100_000, 0, 1, 100, 300, 1000, 1 << 20]) {
          for (const [endNext, atLeastOne] of [
            [end, true],
            [end, false],
            [end - 7, true],
            [offset, true],
          ] as const) {
            const read = await log.reader.read(offset, { endNext, bytesMax, atLeastOne });
            const found = Buffer.concat(read.buffers);
            expect(found.length).toBe(read.bytes);
            // A read ends with its segment when it comes from a file.
            const next = log.segments.find(({ baseOffset }) => place === 'disk' && baseOffset > offset);
            const segmentEnd =
              next === undefined ? bytes.length : starts.find((at) => nextOffset(bytes, at) > next.baseOffset)!;
            const wanted =
              offset >= endNext ? Buffer.alloc(0) : expected(offset, endNext, bytesMax, atLeastOne, segmentEnd);
            if (!found.equals(wanted)) {
              throw new Error(
                `offset ${offset} to ${endNext}, ${bytesMax} bytes, at least one: ${atLeastOne}, ${place}`,
              );
            }
            if (found.length === 0) expect(read.nextOffset).toBe(offset);
          }
        }
      }
    }
    await kill(log);
  });

  test('outside of the log: out of range, whatever was trimmed', async () => {
    const { context, log } = await sampleLog();
    const end = log.marks.highWatermark;
    const read = (offset: number): Promise<unknown> =>
      failureOf((async () => log.reader.read(offset, { endNext: end, bytesMax: 1, atLeastOne: true }))());
    expect(await read(-1)).toMatchObject({ fault: 'offsetOutOfRange' });
    expect(await read(end + 1)).toMatchObject({ fault: 'offsetOutOfRange' });
    await log.trim(50);
    expect(await read(49)).toMatchObject({ fault: 'offsetOutOfRange' });
    dropCache(context);
    expect((await readAll(log)).length).toBeGreaterThan(0);
    await kill(log);
  });

  test('a batch larger than all that a read takes at once', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context);
    for (const valueBytes of [10, 300_000, 20, 40_000, 2_000_000, 30]) await append(context, log, { valueBytes });
    dropCache(context);
    for (let offset = 0; offset < 6; offset += 1) {
      const read = await log.reader.read(offset, { endNext: 6, bytesMax: 100, atLeastOne: true });
      expect([read.nextOffset, read.buffers.length]).toEqual([offset + 1, 1]);
    }
    await kill(log);
  });

  test('buffers that were not released stay as they were, through as many appends as there may be', async () => {
    const root = tempFolder();
    const context = contextIn(root, 1);
    const log = await openLog(context, { segmentBytes: 1 << 20 });
    const held: { buffers: readonly Buffer[]; was: string }[] = [];
    for (let i = 0; i < 60; i += 1) {
      await append(context, log, { valueBytes: 5000, tag: i });
      const read = await log.reader.read(i, { endNext: i + 1, bytesMax: 1 << 20, atLeastOne: true });
      held.push({ buffers: read.buffers, was: Buffer.concat(read.buffers).toString('latin1') });
      if (i > 40) {
        read.release();
        read.release();
        held.pop();
      }
    }
    for (const { buffers, was } of held) expect(Buffer.concat(buffers).toString('latin1') === was).toBe(true);
    await kill(log);
  });

  test('buffers that were not released stay as they were, through as many reads of files as there may be', async () => {
    const context = contextIn(tempFolder());
    const log = await openLog(context, { segmentBytes: 8 << 20 });
    for (let i = 0; i < 40; i += 1) await append(context, log, { valueBytes: 150_000, tag: i });
    dropCache(context);
    const memory = new Set<ArrayBufferLike>();
    const held: { buffers: readonly Buffer[]; was: string }[] = [];
    for (let i = 0; i < 30; i += 1) {
      // From one buffer, or from two.
      const bytesMax = i % 3 === 0 ? 2_500_000 : 900_000;
      const read = await log.reader.read(i, { endNext: 40, bytesMax, atLeastOne: true });
      expect(read.bytes).toBeGreaterThan(i < 20 ? bytesMax - 500_000 : 0);
      for (const { buffer } of read.buffers) memory.add(buffer);
      held.push({ buffers: read.buffers, was: Buffer.concat(read.buffers).toString('latin1') });
      if (i % 2 === 0) continue;
      // One after the other, or all at once; again makes no difference.
      const { buffers } = held.pop()!;
      if (i % 4 === 1) for (const buffer of buffers) read.release(buffer);
      read.release();
      read.release(buffers[0]);
    }
    for (const { buffers, was } of held) expect(Buffer.concat(buffers).toString('latin1') === was).toBe(true);
    // What was released was used again.
    expect(memory.size).toBeLessThan(45);
    await kill(log);
  });
});

describe('reads while the log moves', () => {
  test('appends grow the file between a read and the look at its size: nothing is taken for damage', async () => {
    let whileReading = async (): Promise<void> => {};
    const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name, path }, proceed) => {
      const found = await proceed();
      if (name === 'read' && isLogFile(path)) await whileReading();
      return found;
    });
    const context = contextOn(disk);
    const log = await openLog(context, { segmentBytes: 1 << 20 });
    for (let i = 0; i < 5; i += 1) await append(context, log, { valueBytes: 100 });
    dropCache(context);
    whileReading = async () => {
      whileReading = async () => {};
      await append(context, log, { valueBytes: 30_000 });
      dropCache(context);
    };
    const { sizeBytes } = log;
    expect((await readAll(log)).length).toBe(sizeBytes);
    await kill(log);
  });

  test('the start moves past what is being read: the read ends, or is told so, and is never wrong', async () => {
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.nat(6), fc.nat(90), async (offset, readsBefore, trimTo) => {
        let left = -1;
        let trimmed: Promise<void> = Promise.resolve();
        const disk = hookedDisk(unsyncedDisk(realDisk(tempFolder())), async ({ name }, proceed) => {
          if ((name === 'read' || name === 'open') && left-- === 0) await (trimmed = log.trim(trimTo));
          return proceed();
        });
        const context = contextOn(disk);
        const log = await openLog(context);
        await Promise.all(
          Array.from({ length: 40 }, (_, i) => append(context, log, { count: 1 + (i % 4), valueBytes: 100 })),
        );
        await log.rest(0);
        dropCache(context);
        left = readsBefore;
        const limits = { endNext: log.marks.highWatermark, bytesMax: 500, atLeastOne: true };
        try {
          const read = await log.reader.read(offset, limits);
          expect(nextOffset(read.buffers[0]!, 0)).toBeGreaterThan(offset);
          expect(read.nextOffset).toBeLessThanOrEqual(offset + 20);
          outcomes.add('read');
        } catch (error) {
          expect(error).toMatchObject({ fault: 'offsetOutOfRange' });
          expect(offset).toBeLessThan(log.marks.logStart);
          outcomes.add('told');
        }
        await trimmed;
        await kill(log);
      }),
      { numRuns: 30 },
    );
    expect([...outcomes].sort()).toEqual(['read', 'told']);
  });

  test('a closed log’s files are all given back, also those of a read under way', async () => {
    const open = new Set<object>();
    const disk = realDisk(tempFolder());
    const counting = hookedDisk(disk, async ({ name, path }, proceed) => {
      const result = await proceed();
      if (name === 'open') open.add(result as object);
      if (name === 'close') closed.push(path);
      return result;
    });
    const closed: string[] = [];
    const context = contextOn(counting);
    const log = await openLog(context);
    for (let i = 0; i < 40; i += 1) await append(context, log, { valueBytes: 100 });
    dropCache(context);
    const reads = Array.from({ length: 20 }, (_, i) =>
      (async () => log.reader.read(i, { endNext: 40, bytesMax: 1, atLeastOne: true }))().catch((error) => error),
    );
    await log.close();
    await Promise.all(reads);
    expect(closed.length).toBe(open.size);
  });
});

test('a file that is cut while the log is open is told of, not read past', async () => {
  const root = tempFolder();
  const { context, log } = await sampleLog(root);
  dropCache(context);
  const file = filesOf(root, '.log')[1]!;
  fs.truncateSync(file, fs.statSync(file).size - 1);
  expect(await failureOf(readAll(log))).toMatchObject({ fault: 'corruptBatch' });
  await kill(log);
});
