import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { recoverLog } from '../../src/log/recovery.ts';
import { problem } from '../disk/failure.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Gate, hookedDisk, isLogFile } from './hooked-disk.ts';
import {
  append,
  batchOf,
  bytesOf,
  contextOn,
  dropCache,
  FOLDER,
  failureOf,
  openLog,
  settle,
  until,
} from './support.ts';

test('what recovery cuts off is kept aside for good: no power cut takes it, from the moment that the log is open', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const random = new SeededRandom(seed);
    let disk = new SimulatedDisk(random);
    const context = contextOn(disk);
    const log = await openLog(context);
    await append(context, log, { tag: 'stored' });
    const end = log.segments[0]!.sizeBytes;
    const torn = batchOf({ tag: 'torn', valueBytes: 100 }).subarray(0, 20 + random.below(100));
    const file = await disk.open(log.segments[0]!.logPath, 'write');
    await file.write([torn], end);
    disk = disk.afterKill();
    await openLog(contextOn(disk));
    disk = disk.afterPowerCut('nothing');
    const kept = await disk.list(`${FOLDER}/quarantine`);
    expect(kept.length, `seed ${seed}`).toBe(1);
    expect(await bytesOf(disk, `${FOLDER}/quarantine/${kept[0]}`)).toEqual(torn);
    const again = await openLog(contextOn(disk));
    expect(again.marks.writtenNext).toBe(1);
  }
});

test('a start to which a full disk refuses the cut itself says so, and leaves what it has kept aside', async () => {
  const simulated = new SimulatedDisk(new SeededRandom(1));
  let refuses = true;
  const disk = hookedDisk(simulated, async ({ name, path }, proceed) => {
    if (name !== 'truncate' || !isLogFile(path) || !refuses) return proceed();
    refuses = false;
    throw new Fault('diskFull', { detail: path });
  });
  const context = contextOn(disk);
  const log = await openLog(context);
  await append(context, log, { tag: 'stored' });
  const file = await simulated.open(log.segments[0]!.logPath, 'write');
  await file.write([Buffer.from('torn')], log.segments[0]!.sizeBytes);
  expect(await failureOf(openLog(contextOn(disk)))).toMatchObject({ fault: 'diskFull' });
  expect((await openLog(contextOn(disk))).marks.writtenNext).toBe(1);
  const kept = await simulated.list(`${FOLDER}/quarantine`);
  expect(kept).toHaveLength(2);
  for (const name of kept) expect(String(await bytesOf(simulated, `${FOLDER}/quarantine/${name}`))).toBe('torn');
});

test('who must keep what is cut off cuts nothing that a full disk has no room to keep, until it has', async () => {
  const simulated = new SimulatedDisk(new SeededRandom(1));
  let isFull = true;
  const disk = hookedDisk(simulated, async ({ name, path }, proceed) => {
    if (name !== 'write' || !isFull || !path.endsWith('.bytes')) return proceed();
    throw new Fault('diskFull', { detail: path });
  });
  const context = contextOn(disk);
  const log = await openLog(context);
  await append(context, log, { tag: 'stored' });
  const { logPath, sizeBytes } = log.segments[0]!;
  const file = await simulated.open(logPath, 'write');
  await file.write([Buffer.from('torn')], sizeBytes);
  const recovered = () => {
    const { clock, logger } = context;
    const recovery = { disk, clock, logger, replay: null, mustKeepTorn: true };
    return recoverLog(recovery, FOLDER, { indexIntervalBytes: 300 });
  };
  const refusal = await failureOf(recovered());
  expect(refusal).toMatchObject({ fault: 'diskFull' });
  expect(String(refusal)).toContain(`${logPath} ends in 4 torn bytes, which are to be kept aside`);
  expect(await simulated.size(logPath)).toBe(sizeBytes + 4);
  isFull = false;
  expect((await recovered()).cutBytes).toBe(4);
  const [kept] = await simulated.list(`${FOLDER}/quarantine`);
  expect(String(await bytesOf(simulated, `${FOLDER}/quarantine/${kept}`))).toBe('torn');
});

/** A log with damaged records that nobody has come upon, on a disk whose calls wait at a gate when `isHeld` says so. */
async function rottenLog(isHeld: (name: string, path: string) => boolean) {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const gate = new Gate();
  const gated = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (isHeld(name, path)) await gate.pass();
    return proceed();
  });
  const context = contextOn(gated, 1);
  const log = await openLog(context);
  for (let i = 0; i < 3; i += 1) await append(context, log, { tag: i });
  dropCache(context);
  disk.flip(log.segments[0]!.logPath, 75, 0x10);
  return { disk, gate, log, context };
}

const readAt = async (log: PartitionLog, offset: number) =>
  log.reader.read(offset, { endNext: log.marks.writtenNext, bytesMax: 1, atLeastOne: true });
const readFirst = (log: PartitionLog): Promise<unknown> => readAt(log, 0);

test('a log is closed only when no write of its damaged places is under way any more', async () => {
  const { disk, gate, log } = await rottenLog((name, path) => name === 'write' && path.includes('places'));
  gate.close();
  const read = failureOf(readFirst(log));
  await until(() => gate.arrived > 0);
  let isClosed = false;
  const closed = log.close().then(() => {
    isClosed = true;
  });
  await settle();
  expect(isClosed).toBe(false);
  gate.open();
  await closed;
  expect(await disk.list(`${FOLDER}/quarantine`)).toEqual(['places']);
  expect(await read).toMatchObject({ fault: 'corruptBatch' });
});

test('whenever a read comes upon damage while its log is closed and removed, it leaves nothing behind', async () => {
  const faults: string[] = [];
  for (let isOver = false; !isOver; ) {
    let reads: number | null = null;
    const { disk, gate, log } = await rottenLog((name, path) => {
      if (name !== 'read' || !isLogFile(path) || reads === null) return false;
      return reads++ === faults.length;
    });
    reads = 0;
    gate.close();
    const read = failureOf(readFirst(log)).finally(() => {
      isOver = gate.arrived === 0;
    }) as Promise<{ fault: string }>;
    await until(() => gate.arrived > 0 || isOver);
    await log.close();
    await disk.removeFolder(FOLDER);
    gate.open();
    const { fault } = await read;
    await settle();
    expect(await disk.list(''), `held at read ${faults.length}`).toEqual([]);
    faults.push(fault);
  }
  // Held at the first it does not come upon it, and at the last it does.
  expect(faults.length).toBeGreaterThan(2);
  expect([faults[0], faults.at(-2)]).toEqual(['brokerStopped', 'corruptBatch']);
});

test('what is appended while the extent of damage is looked for is no part of it', async () => {
  for (let held = 0, isOver = false; !isOver; held += 1) {
    let reads = 0;
    const { disk, gate, log, context } = await rottenLog((name, path) => {
      return name === 'read' && isLogFile(path) && reads++ === held;
    });
    // The last one too: what comes meanwhile lies right behind it.
    disk.flip(log.segments[0]!.logPath, log.segments[0]!.sizeBytes - 1, 0x10);
    gate.close();
    const found = Promise.all([failureOf(readAt(log, 0)), failureOf(readAt(log, 2))]).finally(() => {
      isOver = gate.arrived === 0;
    });
    await until(() => gate.arrived > 0 || isOver);
    const { sizeBytes } = log.segments[0]!;
    await append(context, log, { tag: 'meanwhile' });
    gate.open();
    expect(await found).toMatchObject([{ fault: 'corruptBatch' }, { fault: 'corruptBatch' }]);
    const places = log.reader.quarantine.places.map(({ firstOffset, nextOffset, position, bytes }) => {
      return [firstOffset, nextOffset, position + bytes];
    });
    expect(places, `held at read ${held}`).toEqual([
      [0, 1, expect.any(Number)],
      [2, 3, sizeBytes],
    ]);
    dropCache(context);
    const read = await readAt(log, 3);
    expect(read.nextOffset, `held at read ${held}`).toBe(4);
    await log.close();
  }
});

test('a damaged place that the disk cannot read by now stays one, and the start goes on without it', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  let isBad = true;
  const context = contextOn(disk, 1);
  const log = await openLog(context, { segmentBytes: 200 });
  for (let i = 0; i < 6; i += 1) await append(context, log, { tag: i });
  dropCache(context);
  const { logPath, baseOffset } = log.segments[1]!;
  disk.flip(logPath, 75, 0x10);
  expect(await failureOf(readAt(log, baseOffset))).toMatchObject({ fault: 'corruptBatch' });
  const { places } = log.reader.quarantine;
  expect(places).toHaveLength(1);
  await log.close();
  const failing = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (isBad && name === 'read' && path === logPath) throw problem('EIO', path, 'read');
    return proceed();
  });
  const reopened = await openLog(contextOn(failing), { segmentBytes: 200 });
  expect(reopened.reader.quarantine.places).toEqual(places);
  expect((await readAt(reopened, 0)).nextOffset).toBeGreaterThan(0);
  expect(await failureOf(readAt(reopened, baseOffset))).toMatchObject({ fault: 'diskError' });
  isBad = false;
  expect(await failureOf(readAt(reopened, baseOffset))).toMatchObject({ fault: 'corruptBatch' });
  await reopened.close();
});
