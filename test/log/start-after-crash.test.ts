import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { unsyncedDisk } from './hooked-disk.ts';
import { openJournaled, SMALL_JOURNAL, warm } from './journaled.ts';
import { append, batchOf, filesOf, kill, NEVER_MS, readAll, tempFolder } from './support.ts';

const KIB = 1024;
/** More than what lies between two states that are left for a start. */
const ROUND_BYTES = 272 * KIB;
const oneFile = { segmentBytes: 1 << 30, segmentMs: NEVER_MS, indexIntervalBytes: 4096 };

/** A disk that counts the bytes that are read from the segments of logs. */
function counting(disk: Disk, count: (bytes: number) => void): Disk {
  return new Proxy(disk, {
    get(target, name: keyof Disk) {
      if (name !== 'open') return target[name].bind(target);
      const open: Disk['open'] = async (path, mode) => {
        const file = await target.open(path, mode);
        if (!path.endsWith('.log')) return file;
        return {
          ...{ write: file.write.bind(file), sync: file.sync.bind(file), truncate: file.truncate.bind(file) },
          ...{ size: file.size.bind(file), close: file.close.bind(file) },
          async read(buffer, position) {
            const bytes = await file.read(buffer, position);
            count(bytes);
            return bytes;
          },
        };
      };
      return open;
    },
  });
}

/** Logs of so many bytes each, with a journal, killed; what the next start reads of them, and what reading then finds. */
async function startAfterCrash(logs: number, bytesEach: number): Promise<{ read: number; readLater: number }> {
  const root = tempFolder();
  const folders = Array.from({ length: logs }, (_, i) => `p${i}`);
  const disk = unsyncedDisk(realDisk(root));
  const opened = await openJournaled(disk, folders, oneFile);
  await warm(opened);
  const batch = (i: number): Buffer =>
    batchOf({ producerId: 5, producerEpoch: 0, baseSequence: i, valueBytes: 16 * KIB, tag: i });
  let count = 0;
  const appendMore = async (bytesMore: number): Promise<void> => {
    for (let bytes = 0; bytes < bytesMore; bytes += 16 * KIB) {
      await Promise.all(opened.logs.map((log) => append(opened.context, log, batch(count))));
      count += 1;
    }
  };
  await appendMore(bytesEach);
  // One state is left at a time: on a busy machine the first is still on its way when the next is due. One of four is not.
  for (let round = 0; round < 4; round += 1) {
    await appendMore(ROUND_BYTES);
    await Promise.all(opened.logs.map((log) => log.sync()));
    await setTimeout(50);
  }
  // What is the same for all: the end that no proof tells of.
  await Promise.all(opened.logs.map((log) => log.sync()));
  for (const log of opened.logs) opened.journal.note(log);
  opened.journal.prove();
  await opened.journal.settled();
  await appendMore(64 * KIB);
  opened.journal.abort();
  for (const log of opened.logs) await kill(log);
  await opened.journal.close(false);

  let read = 0;
  const again = await openJournaled(
    counting(disk, (bytes) => (read += bytes)),
    folders,
    oneFile,
  );
  const atStart = read;
  for (const [i, log] of again.logs.entries()) {
    // The last five batches of the producer are known, and the first of the log is found.
    for (let k = count - 5; k < count; k += 1) {
      expect(await append(again.context, log, batch(k))).toMatchObject({ duplicate: true });
    }
    expect(await append(again.context, log, batch(count))).toMatchObject({ duplicate: false, baseOffset: count + 1 });
    expect([...batchesIn((await readAll(log)).subarray(0))].length).toBe(count + 2);
    expect(filesOf(root, '.log', folders[i])).toHaveLength(1);
  }
  again.journal.abort();
  for (const log of again.logs) log.abort(new Fault('brokerStopped'));
  await Promise.all(again.logs.map((log) => log.close()));
  await again.journal.close(false);
  return { read: atStart, readLater: read - atStart };
}

test('a start after a crash reads what was not proven of a log, however long the log is', async () => {
  const short = await startAfterCrash(1, 1024 * KIB);
  const long = await startAfterCrash(1, 16 * 1024 * KIB);
  expect(short.read).toBeGreaterThan(0);
  expect(long.read).toBeLessThanOrEqual(short.read + 4 * ROUND_BYTES);
});

test('and of many partitions', async () => {
  const short = await startAfterCrash(12, 256 * KIB);
  const long = await startAfterCrash(12, 16 * 256 * KIB);
  expect(long.read).toBeLessThanOrEqual(short.read + 12 * 4 * ROUND_BYTES);
});

test('a journal file that a killed process left in the page cache alone is durable before it is built on', async () => {
  const firstFile = (disk: SimulatedDisk): Buffer | undefined => disk.files().get('journal/1');
  let leftInCache = 0;
  for (let calls = 0, isMade = false; !isMade; calls += 1) {
    const disk = new SimulatedDisk(new SeededRandom(calls));
    const opened = await openJournaled(disk, ['a', 'b']);
    disk.cutPowerAfter(calls);
    isMade = (await Promise.race([disk.died, warm(opened).then(() => 'made')])) === 'made';
    const next = disk.afterKill();
    const whole = SMALL_JOURNAL.firstFileBytes;
    // It looks finished, and a power cut would take it.
    if (firstFile(next)?.length !== whole || firstFile(disk.afterPowerCut('nothing'))?.length === whole) continue;
    leftInCache += 1;
    const after = await openJournaled(next, ['a', 'b']);
    expect(after.journal.canWrite(1)).toBe(true);
    expect(firstFile(next.afterPowerCut('nothing'))?.length).toBe(whole);
  }
  expect(leftInCache).toBeGreaterThan(0);
});
