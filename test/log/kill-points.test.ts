import fs from 'node:fs';
import { expect, test } from 'vitest';
import type { DiskFile } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn, nextOffset } from '../../src/record/batch.ts';
import { hookedDisk, unsyncedDisk } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextIn,
  contextOn,
  copyOf,
  logFiles,
  openLog,
  readAll,
  type TestContext,
  tempFolder,
  withLogOf,
} from './support.ts';

const APPENDS = 12;
const settings = { segmentBytes: 700 };
const numbered = (i: number): Buffer =>
  batchOf({ producerId: 1, producerEpoch: 0, baseSequence: i, valueBytes: 40, tag: i });

/** What was promised to those outside when the process ended. */
interface Promised {
  /** Appends that were acknowledged. */
  stored: number;
  trimmedTo: number;
}

/** Two openings of a log: a clean stop between them, segments, a trim. */
async function life(openContext: () => TestContext, promised: Promised): Promise<void> {
  for (const [from, to] of [
    [0, APPENDS / 2],
    [APPENDS / 2, APPENDS],
  ] as const) {
    const context = openContext();
    const log: PartitionLog = await openLog(context, settings);
    for (let i = from; i < to; i += 1) {
      await append(context, log, numbered(i), i % 2 === 0 ? 'written' : 'visible');
      promised.stored = i + 1;
      context.clock.advance(20);
    }
    await log.trim(to / 3);
    promised.trimmedTo = to / 3;
    await log.close();
  }
}

/** Lets `calls` calls of the disk through; none after that returns. Half of the last one is done if it is a write. */
function dyingDisk(
  root: string,
  calls: number,
  died: () => void,
): { context: () => TestContext; end: () => Promise<void> } {
  const open = new Set<DiskFile>();
  let left = calls;
  let ending = false;
  const disk = hookedDisk(unsyncedDisk(realDisk(root)), async ({ name, writePart }, proceed) => {
    if (name === 'read' || name === 'size' || name === 'list') return proceed();
    if (!ending && left-- <= 0) {
      if (left === -1 && name === 'write') await writePart(30);
      died();
      return new Promise(() => {});
    }
    const result = await proceed();
    if (name === 'open') open.add(keepTrack(result as DiskFile, open));
    return result;
  });
  // A call that was under way at the death may come to its end: what follows it must still not be let through, least of all the
  // close of a file that is closed here.
  const end = async (): Promise<void> => {
    for (const file of open) {
      ending = true;
      const closed = file.close();
      ending = false;
      await closed;
    }
  };
  return { context: () => contextOn(disk), end };
}

function keepTrack(file: DiskFile, open: Set<DiskFile>): DiskFile {
  const { close } = file;
  file.close = () => {
    open.delete(file);
    return close();
  };
  return file;
}

test('killed at every single call of the disk, a log keeps what it promised and goes on where it was', async () => {
  for (let calls = 0, lived = false; !lived; calls += 1) {
    const root = tempFolder();
    const death = Promise.withResolvers<'died'>();
    const { context, end } = dyingDisk(root, calls, () => death.resolve('died'));
    const promised = { stored: 0, trimmedTo: 0 };
    const outcome = await Promise.race([death.promise, life(context, promised)]);
    lived = outcome !== 'died';
    const atDeath = { ...promised };
    const copy = copyOf(root);
    await end();
    // A file may come about while this runs, by such a call.
    fs.rmSync(root, { recursive: true, maxRetries: 5 });
    await expectKept(copy, atDeath);
    fs.rmSync(copy, { recursive: true });
  }
});

async function expectKept(root: string, promised: Promised): Promise<void> {
  await withLogOf(root, async (log, context) => {
    const { logStart, acceptedNext } = log.marks;
    expect(acceptedNext).toBeGreaterThanOrEqual(promised.stored);
    expect(acceptedNext).toBeLessThanOrEqual(promised.stored + 1);
    expect(logStart).toBeGreaterThanOrEqual(promised.trimmedTo);
    const bytes = await readAll(log);
    expect(
      logFiles(root)
        .subarray(-bytes.length || Number.POSITIVE_INFINITY)
        .equals(bytes),
    ).toBe(true);
    expect([...batchesIn(bytes)].map((at) => nextOffset(bytes, at) - 1)).toEqual(
      Array.from({ length: acceptedNext - logStart }, (_, i) => logStart + i),
    );
    // The producer sends its last batch again, since it does not know what became of it, and then goes on.
    if (promised.stored > 0) {
      expect(await append(context, log, numbered(promised.stored - 1))).toMatchObject({ duplicate: true });
    }
    for (let i = promised.stored; i < promised.stored + 3; i += 1) {
      expect(await append(context, log, numbered(i))).toMatchObject({ baseOffset: i, duplicate: i < acceptedNext });
    }
  });
}

test('an untouched life keeps all', async () => {
  const root = tempFolder();
  const promised = { stored: 0, trimmedTo: 0 };
  await life(() => contextIn(root), promised);
  expect(promised).toEqual({ stored: APPENDS, trimmedTo: 4 });
  await expectKept(root, promised);
});
