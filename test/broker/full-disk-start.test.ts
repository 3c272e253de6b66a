import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { everythingIn, type OpenedBroker, openOn, SMALL_SEGMENTS, sendBatch } from '../damage/stored.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { until } from '../server/support.ts';
import { commit, committed } from './groups/member.ts';

/**
 * A disk that is full: it takes no more bytes than are cut off or removed from now on, unless others take them at once
 * (`isShared`). What lies there can be written over.
 */
function fullDisk(disk: Disk, isShared = false): { disk: Disk; free(): void } {
  let freeBytes = 0;
  let isFull = true;
  const take = (bytes: number): void => {
    if (isFull && (isShared || freeBytes < bytes) && bytes > 0) throw new Fault('diskFull');
    freeBytes -= bytes;
  };
  const grown = (file: DiskFile): DiskFile => ({
    read: (buffer, position) => file.read(buffer, position),
    sync: () => file.sync(),
    truncate: async (sizeBytes) => {
      freeBytes += Math.max(0, (await file.size()) - sizeBytes);
      await file.truncate(sizeBytes);
    },
    size: () => file.size(),
    close: () => file.close(),
    async write(buffers, position) {
      const end = position + buffers.reduce((sum, { length }) => sum + length, 0);
      take(Math.max(0, end - (await file.size())));
      await file.write(buffers, position);
    },
  });
  const removed = async (path: string): Promise<void> => {
    freeBytes += (await disk.size(path)) ?? 0;
  };
  const over: Disk = {
    open: async (file, mode) => {
      if (mode === 'create') take(1);
      return grown(await disk.open(file, mode));
    },
    makeFolder: async (folder) => {
      if ((await disk.size(folder)) === null) take(1);
      await disk.makeFolder(folder);
    },
    list: (folder) => disk.list(folder),
    size: (file) => disk.size(file),
    rename: async (from, to) => {
      await removed(to);
      await disk.rename(from, to);
    },
    remove: async (file) => {
      await removed(file);
      await disk.remove(file);
    },
    removeFolder: (folder) => disk.removeFolder(folder),
    syncFolder: (folder) => disk.syncFolder(folder),
    lock: (file) => disk.lock(file),
    space: () => disk.space(),
  };
  return {
    disk: over,
    free: () => {
      isFull = false;
    },
  };
}

async function valuesOf(opened: OpenedBroker, topic: string): Promise<string[]> {
  const found = { lost: 0, missing: 0, broken: [] };
  const { values } = await everythingIn(opened.broker.topics.get(topic).partition(0), found);
  expect(found.broken).toEqual([]);
  return [...values.values()];
}

/**
 * What a killed process left, with a torn tail in a topic's log if asked for. Unless all is `filed`, the journal alone has what
 * came last.
 */
async function killedDisk(torn: string | null, filed = false): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await openOn(disk);
  for (const name of ['a', 'b']) {
    await opened.broker.topics.create({ name, partitions: 1, replicationFactor: -1, settings: SMALL_SEGMENTS });
    for (let i = 0; i < 12; i += 1) {
      await sendBatch(opened, name, 0, [`${name}${i}`]);
      opened.clock.advance(200);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await commit(opened.broker, 'g', 'a', 7);
  for (let turn = 0; filed && turn < 200; turn += 1) {
    opened.clock.advance(20);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { segments } = opened.broker.topics.get('a').partition(0);
  const next = disk.afterKill();
  if (torn !== null) {
    const { logPath } = segments.at(-1)!;
    const file = await next.open(logPath, 'write');
    await file.write([Buffer.from(torn)], await file.size());
    await file.close();
  }
  return next;
}

/** Takes the youngest batch, which the journal has, off its file. */
function loseLastBatch(files: Map<string, Buffer>): void {
  const [name, bytes] = [...files].find(([path, found]) => path.startsWith('topics/') && found.includes('b11'))!;
  files.set(name, bytes.subarray(0, [...batchesIn(bytes)].at(-1)!));
}

const all = (name: string): string[] => Array.from({ length: 12 }, (_, i) => `${name}${i}`);

describe('a start on a full disk after an unclean end', () => {
  test.each([null, 'a torn write'])(
    'serves what is stored, and takes more when there is room (torn: %s)',
    async (torn) => {
      const killed = await killedDisk(torn);
      const { disk, free } = fullDisk(killed);
      const opened = await openOn(disk);
      const { broker, clock } = opened;
      // Records may be gone that clients have seen: they are told of a new epoch at once.
      expect(broker.epoch).toBe(1);
      for (const name of ['a', 'b']) expect(await valuesOf(opened, name)).toEqual(all(name));
      expect(committed(broker, 'g', 'a')).toBe(7);
      await expect(sendBatch(opened, 'a', 0, ['refused'])).rejects.toMatchObject({
        fault: 'diskFull',
        retriable: true,
      });

      free();
      await until(async () => {
        clock.advance(1000);
        return sendBatch(opened, 'a', 0, ['later']).then(
          () => true,
          () => false,
        );
      });
      await commit(broker, 'g', 'a', 8);
      await broker.close();
      const again = await openOn(killed);
      expect(await valuesOf(again, 'a')).toEqual([...all('a'), 'later']);
      expect(committed(again.broker, 'g', 'a')).toBe(8);
      expect(again.broker.epoch).toBe(1);
      expect(again.broker.topics.get('a').partition(0).epochs.latest).toBe(1);
      await again.broker.close();
    },
  );

  test('that is ended again, before there is room, has lost nothing', async () => {
    const killed = await killedDisk('a torn write');
    const first = await openOn(fullDisk(killed).disk);
    await first.broker.close().catch((error: unknown) => expect(error).toMatchObject({ fault: 'diskFull' }));
    const second = await openOn(fullDisk(killed.afterKill()).disk);
    expect(await valuesOf(second, 'a')).toEqual(all('a'));
    const third = await openOn(killed.afterPowerCut('nothing'));
    for (const name of ['a', 'b']) expect(await valuesOf(third, name)).toEqual(all(name));
  });

  test('a topic that needs room which is not there is served when there is some; the others at once', async () => {
    const files = (await killedDisk(null, true)).files();
    // One file has lost what the journal has of it, and nothing is there that makes room for that.
    loseLastBatch(files);
    const { disk, free } = fullDisk(SimulatedDisk.holding(files, new SeededRandom(1)), true);
    const opened = await openOn(disk);
    const [served, ...others] = Array.from(opened.broker.topics, ({ name }) => name);
    expect(others).toEqual([]);
    expect(await valuesOf(opened, served!)).toEqual(all(served!));
    await expect(sendBatch(opened, served!, 0, ['refused'])).rejects.toMatchObject({ fault: 'diskFull' });
    free();
    await until(async () => {
      opened.clock.advance(1000);
      return opened.broker.topics.find('a') !== null && opened.broker.topics.find('b') !== null;
    });
    for (const name of ['a', 'b']) expect(await valuesOf(opened, name)).toEqual(all(name));
    await opened.broker.close();
  });

  test('ended before such a topic was served: what the journal has of it stays there', async () => {
    const files = (await killedDisk(null, true)).files();
    loseLastBatch(files);
    const damaged = SimulatedDisk.holding(files, new SeededRandom(1));
    const opened = await openOn(fullDisk(damaged, true).disk);
    expect(opened.broker.topics.size).toBe(1);
    await opened.broker.close().catch((error: unknown) => expect(error).toMatchObject({ fault: 'diskFull' }));
    const again = await openOn(damaged);
    for (const name of ['a', 'b']) expect(await valuesOf(again, name)).toEqual(all(name));
    await again.broker.close();
  });
});
