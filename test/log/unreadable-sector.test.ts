import { describe, expect, test } from 'vitest';
import { isFault } from '../../src/base/faults.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { problem } from '../disk/failure.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { hookedDisk, isLogFile } from './hooked-disk.ts';
import { append, batchOf, contextOn, dropCache, openLog } from './support.ts';

const SECTOR_BYTES = 4096;
const BAD_SECTOR = 16 * SECTOR_BYTES;
const FILE_BYTES = 2 * BAD_SECTOR;
const settings = { segmentBytes: 1 << 20, indexIntervalBytes: 4096 };

/** A log that is read from its one file, in which the disk cannot read from `badFrom` to before `badTo`. */
async function logOnBadDisk(valueBytes: number, badFrom = BAD_SECTOR, badTo = BAD_SECTOR + SECTOR_BYTES) {
  const simulated = new SimulatedDisk(new SeededRandom(1));
  const state = { isBad: false, failedReads: 0 };
  const disk = hookedDisk(simulated, async ({ name, path, position, bytes }, proceed) => {
    if (state.isBad && name === 'read' && isLogFile(path) && position < badTo && badFrom < position + bytes) {
      state.failedReads += 1;
      throw problem('EIO', path, 'read');
    }
    return proceed();
  });
  const context = contextOn(disk);
  const log = await openLog(context, settings);
  const count = Math.ceil(FILE_BYTES / batchOf({ valueBytes }).length);
  for (let i = 0; i < count; i += 1) await append(context, log, { valueBytes, tag: i });
  const bytes = simulated.files().get(log.activeSegment.logPath)!;
  dropCache(context);
  state.isBad = true;
  return { log, state, bytes, starts: [...batchesIn(bytes)] };
}

/** What a reader gets at an offset; null when it is told that the disk cannot read that. */
async function readAt(log: PartitionLog, offset: number, bytesMax: number): Promise<Buffer | null> {
  try {
    const read = await log.reader.read(offset, { endNext: log.marks.highWatermark, bytesMax, atLeastOne: true });
    return Buffer.concat(read.buffers);
  } catch (error) {
    if (isFault(error, 'diskError')) return null;
    throw error;
  }
}

describe('a sector that the disk cannot read', () => {
  test.each([1, 100, 1_000, 3_000, 10_000])(
    'is the end of what is served before it, not of a byte more, and is tried few times: values of %i bytes',
    async (valueBytes) => {
      const { log, state, bytes, starts } = await logOnBadDisk(valueBytes);
      const before = starts.filter((_, i) => starts[i + 1]! <= BAD_SECTOR).length;
      for (const bytesMax of [1, 1 << 20]) {
        for (let offset = 0; offset <= before; offset += 1) {
          state.failedReads = 0;
          const got = await readAt(log, offset, bytesMax);
          expect([offset, got === null]).toEqual([offset, offset === before]);
          if (got !== null) expect(bytes.subarray(starts[offset]).indexOf(got)).toBe(0);
          expect(state.failedReads, `at offset ${offset}`).toBeLessThan(8);
        }
      }
      // The index leads to a place before what is looked for: so much behind it cannot be reached.
      const behind = starts.findIndex((at) => at >= BAD_SECTOR + SECTOR_BYTES + settings.indexIntervalBytes * 2);
      for (let offset = behind; offset < starts.length; offset += 1) {
        expect([offset, await readAt(log, offset, 1)]).toEqual([offset, expect.any(Buffer)]);
      }
      await log.close();
    },
  );

  test('a disk that reads nothing is asked a few times for what a reader wants', async () => {
    const { log, state } = await logOnBadDisk(100, 0, FILE_BYTES * 2);
    for (const bytesMax of [1, 1 << 20]) {
      state.failedReads = 0;
      expect(await readAt(log, 0, bytesMax)).toBe(null);
      expect(state.failedReads).toBeLessThan(8);
    }
    await log.close();
  });
});
