import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { limits } from '../../src/base/limits.ts';
import { readCompacted } from '../../src/log/compacted-segments.ts';
import type { CompactionReport } from '../../src/log/compaction.ts';
import { walkBatches } from '../../src/log/segment-walk.ts';
import {
  attribute,
  baseSequence,
  deleteHorizonMs,
  field,
  isControl,
  lastOffset,
  maxTimestamp,
  producerId,
  recordCount,
  stampCrc,
  stampLogAppendTime,
} from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { recordsOf } from '../../src/record/records.ts';
import { type FailingCall, SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { CompactedLog, compactLog, openCompacted, plain, RETENTION_MS } from './compacted-log.ts';
import { hookedDisk } from './hooked-disk.ts';
import { closeAll, file, openJournaled, warm } from './journaled.ts';
import { append, bytesOf, failureOf, readAll } from './support.ts';

const FIRST_LOG = 'p/00000000000000000000.log';

/** The batches of the segments that are finished. */
async function batchesOf({ log }: CompactedLog): Promise<Buffer[]> {
  const batches: Buffer[] = [];
  for (const segment of log.segments.slice(0, -1)) {
    await walkBatches(segment, 0, (batch) => batches.push(Buffer.from(batch)) > 0);
  }
  return batches;
}

test('a batch that holds too much to be looked into stays as it is, is told of, and no tombstone after it goes', async () => {
  const { log } = await openCompacted();
  const value = Buffer.alloc(limits.compactedBatchBytesMax + 1);
  const bomb = buildBatch([{ timestampMs: 1000, key: Buffer.from('k1'), value }], { compression: 'zstd' });
  expect(value.length / bomb.length).toBeGreaterThan(1000);
  await append(log.context, log.log, bomb);
  await log.append({ ...plain(1, null) });
  for (let i = 0; i < 20; i += 1) await log.append(plain(2));
  const first = await log.compact();
  expect(first).toMatchObject({ batchesUnread: 1, damaged: [] });
  log.context.clock.advance(2 * RETENTION_MS);
  for (let i = 0; i < 20; i += 1) await log.append(plain(2));
  await log.compact();
  const batches = await batchesOf(log);
  expect(batches[0]!.subarray(field.crc).equals(bomb.subarray(field.crc))).toBe(true);
  expect([...recordsOf(batches[1]!)].map(({ key, value: none }) => [String(key), none])).toEqual([['k1', null]]);
  await log.log.close();
});

test('a segment in which something is damaged stays as it is and is told of; those around it are compacted', async () => {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 30; i += 1) await log.append(plain(i % 2));
  const damaged = log.log.segments[2]!;
  await log.log.rest(0);
  disk.flip(damaged.logPath, 80, 1);
  const before = await bytesOf(disk, damaged.logPath);
  const report = await log.compact({ settings: { segmentBytes: 1 << 20 } });
  expect(report!.damaged).toHaveLength(1);
  expect(report!.damaged[0]).toContain(damaged.logPath);
  expect((await bytesOf(disk, damaged.logPath)).equals(before)).toBe(true);
  expect(log.log.segments.map(({ hasGaps }) => hasGaps)).toEqual([true, false, true, false]);
  disk.flip(damaged.logPath, 80, 1);
  await log.open(disk.afterKill());
  const counts = new Map<string, number>();
  for (const { key } of await log.read()) counts.set(key, (counts.get(key) ?? 0) + 1);
  expect(Math.max(...counts.values())).toBeLessThan(8);
  await log.log.close();
});

test('whichever byte of a compacted segment is flipped, no wrong record is served, and what lies in other blocks is', async () => {
  const { disk, log } = await openCompacted(60_000);
  for (let i = 0; i < 40; i += 1)
    await log.append({ ...plain(i % 20), records: [{ key: i % 20, value: 3000, timestampMs: 1000 }] });
  await log.compact();
  expect(log.log.segments[0]!.hasGaps).toBe(true);
  const { sizeBytes } = log.log.segments[0]!;
  const all = (await log.read()).length;
  for (let at = 0; at < sizeBytes; at += at % 3082 < 61 ? 1 : 401) {
    await log.log.rest(0);
    disk.flip(FIRST_LOG, at, 0x40);
    log.dropCache();
    let served = 0;
    let refused = 0;
    for (let offset = 0; offset < log.log.marks.highWatermark; offset += 1) {
      try {
        const read = await log.log.reader.read(offset, { endNext: 1000, bytesMax: 1, atLeastOne: true });
        const batch = read.buffers[0]!;
        if (lastOffset(batch, 0) !== offset) continue;
        for (const record of recordsOf(batch)) {
          expect(log.written[record.offset]).toMatchObject({ key: String(record.key), value: String(record.value) });
        }
        served += 1;
      } catch (error) {
        expect(error).toMatchObject({ fault: 'corruptBatch' });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(served).toBeGreaterThan(all - 8);
    disk.flip(FIRST_LOG, at, 0x40);
  }
  await log.log.close();
});

test('wherever the power goes in a pass, a byte that is flipped then takes no more than its own block from readers', async () => {
  const lost: number[] = [];
  for (let calls = 0, done = false; !done; calls += 1) {
    const { disk, log } = await openCompacted(60_000);
    for (let i = 0; i < 40; i += 1)
      await log.append({ ...plain(i % 20), records: [{ key: i % 20, value: 3000, timestampMs: 1000 }] });
    disk.cutPowerAfter(calls);
    done = await Promise.race([
      log.compact({ settings: { segmentBytes: 1 << 20 } }).then(() => true),
      disk.died.then(() => false),
    ]);
    const after = disk.afterPowerCut('nothing');
    const { segments } = await readCompacted(after, 'p');
    const interim = `${FIRST_LOG}.cleaned-1`;
    const isInterim = segments.length > 0 && (await after.size(interim)) !== null;
    after.flip(isInterim ? interim : FIRST_LOG, 100, 1);
    await log.open(after);
    log.dropCache();
    // The newest of each key: 18 to 37.
    const refused: number[] = [];
    for (let offset = 18; offset < 38; offset += 1) {
      const reading = async () => log.log.reader.read(offset, { endNext: 38, bytesMax: 1, atLeastOne: true });
      await reading().catch(() => refused.push(offset));
    }
    lost.push(refused.length);
    await log.log.close();
  }
  expect(Math.max(...lost)).toBe(5);
});

test('where the checksums are lost too, whichever byte of a compacted segment is flipped is told of as damage', async () => {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 30; i += 1) await log.append(plain(i % 2));
  await log.compact();
  const { baseOffset, sizeBytes, compacted } = log.log.segments[0]!;
  await log.log.rest(0);
  await disk.remove(FIRST_LOG.replace('.log', '.sums'));
  for (let at = 0; at < sizeBytes; at += 1) {
    await log.log.rest(0);
    disk.flip(FIRST_LOG, at, 0x42);
    log.dropCache();
    for (const offset of [baseOffset, compacted!.endNext - 1]) {
      const reading = log.log.reader.read(offset, { endNext: 1000, bytesMax: 1, atLeastOne: true });
      expect(await failureOf(Promise.resolve(reading))).toMatchObject({ fault: 'corruptBatch' });
    }
    disk.flip(FIRST_LOG, at, 0x42);
  }
  await log.log.close();
});

test('lost or damaged checksums are made again from the log; a damaged list of compacted segments, or none, is refused', async () => {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 30; i += 1) await log.append(plain(i % 2));
  await log.compact();
  const sums = FIRST_LOG.replace('.log', '.sums');
  const { length } = await bytesOf(disk, sums);
  for (let at = 0; at < length; at += 1) {
    await log.log.rest(0);
    disk.flip(sums, at, 0x10);
    await log.check();
    // It was written again.
    await log.log.rest(0);
    expect((await bytesOf(disk, sums)).length).toBe(length);
  }
  await log.log.rest(0);
  await disk.remove(sums);
  await log.check();
  await log.log.close();
  const list = await bytesOf(disk, 'p/compacted');
  for (let at = 0; at < list.length; at += 1) {
    disk.flip('p/compacted', at, 0x10);
    expect(await failureOf(log.open(disk))).toMatchObject({ fault: 'damagedMetadata' });
    disk.flip('p/compacted', at, 0x10);
  }
  await disk.remove('p/compacted');
  expect(await failureOf(log.open(disk))).toMatchObject({ fault: 'damagedMetadata' });
  const file = await disk.open('p/compacted', 'create');
  await file.write([list], 0);
  await log.open(disk);
  await log.check();
  await log.log.close();
});

test('a batch of which all stays is copied byte for byte; one of which some goes keeps its header, its codec and its offsets', async () => {
  const { log } = await openCompacted();
  const key = Buffer.from('a');
  const records = [
    { timestampMs: 5000, key: Buffer.from('b'), value: Buffer.alloc(50) },
    { timestampMs: 9000, key, value: Buffer.from('older') },
    { timestampMs: 7000, key: Buffer.from('c'), value: null },
  ];
  const mixed = buildBatch(records, { compression: 'lz4', producerId: 7, producerEpoch: 2, baseSequence: 4 });
  const stamped = buildBatch([records[0]!, { ...records[0]!, key }], {});
  stampLogAppendTime(stamped, 0, 12_345);
  const whole = buildBatch([{ timestampMs: 1, key: Buffer.from('d'), value: Buffer.from('whole') }], {
    compression: 'gzip',
  });
  // Bits that a producer set say nothing.
  whole.writeInt16BE(whole.readInt16BE(field.attributes) | attribute.deleteHorizon, field.attributes);
  stampCrc(whole, 0);
  const marker = buildBatch([{ timestampMs: 1, key: Buffer.from('a'), value: null }], { isControl: true });
  const last = buildBatch([{ timestampMs: 1, key, value: Buffer.from('newest') }]);
  for (const batch of [mixed, stamped, whole, marker, last]) await append(log.context, log.log, batch);
  for (let i = 0; i < 8; i += 1) await log.append(plain(9));
  await log.compact({ settings: { segmentBytes: 1 << 20 } });
  const [newMixed, newStamped, newWhole, newMarker] = (await batchesOf(log)) as [Buffer, Buffer, Buffer, Buffer];
  expect([...recordsOf(newMixed)].map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([[2, 7000]]);
  expect([lastOffset(newMixed, 0), maxTimestamp(newMixed, 0), recordCount(newMixed, 0)]).toEqual([2, 7000, 1]);
  expect([producerId(newMixed, 0), baseSequence(newMixed, 0)]).toEqual([7, 4]);
  expect(newMixed.readInt16BE(field.attributes) & attribute.compression).toBe(3);
  expect(deleteHorizonMs(newMixed, 0)).toBe(log.context.clock.wallMs() + RETENTION_MS);
  expect([...recordsOf(newStamped)].map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([[3, 12_345]]);
  expect(maxTimestamp(newStamped, 0)).toBe(12_345);
  expect(newWhole.subarray(field.crc).equals(whole.subarray(field.crc))).toBe(true);
  expect(isControl(newMarker, 0)).toBe(true);
  expect(newMarker.subarray(field.crc).equals(marker.subarray(field.crc))).toBe(true);
  await log.log.close();
});

test('whichever call of the disk fails during a pass, nothing is lost, and a later pass ends what was begun', async () => {
  for (const fault of ['EIO', 'ENOSPC'] as const) {
    for (let from = 0, failed = true; failed; from += 1) {
      const { disk, log } = await openCompacted();
      for (let i = 0; i < 16; i += 1) await log.append(plain(i % 3));
      let hit = false;
      disk.fail({
        fault,
        from,
        forEver: from % 2 === 0,
        of: (call) => {
          const concerned = fault === 'EIO' || call === 'write' || call === 'open' || call === 'folder';
          hit ||= concerned;
          return concerned;
        },
      });
      const outcome = await log.compact({ settings: { segmentBytes: 800 } }).catch((error: unknown) => error);
      const isPassed = !(outcome instanceof Fault) && (outcome as CompactionReport).damaged.length > 0;
      failed = outcome instanceof Fault || isPassed;
      disk.heal();
      await log.check();
      // The same process goes on, or the next one does.
      if (from % 3 === 0) await log.open(disk.afterPowerCut('nothing'));
      await log.check();
      // Else nothing is to be done: the log is compacted but for what could not be read.
      if (isPassed) for (let i = 0; i < 4; i += 1) await log.append(plain(i % 3));
      await log.compact();
      await log.check();
      const activeBase = log.log.segments.at(-1)!.baseOffset;
      expect((await log.read()).filter(({ offset }) => offset < activeBase).length).toBe(3);
      expect(hit).toBe(true);
      await log.log.close();
    }
  }
});

test.each(['nothing', 'all'] as const)(
  'after a start without room for a checkpoint, compaction and a power cut that keeps %s, all is there',
  async (kept) => {
    const { disk, log } = await openCompacted();
    const noRoom = {
      fault: 'ENOSPC',
      of: (call: FailingCall, path: string) => call === 'write' && path.includes('checkpoint'),
      from: 0,
      forEver: true,
    } as const;
    for (let i = 0; i < 30; i += 1) await log.append(plain(i % 3));
    disk.fail(noRoom);
    // The last of them ends a segment.
    const refused = async (): Promise<void> => {
      for (;;) await log.append(plain(1));
    };
    expect(await failureOf(refused())).toMatchObject({ fault: 'diskFull' });
    const next = disk.afterKill();
    next.fail(noRoom);
    await log.open(next);
    expect(log.context.warnings.map(({ message }) => message).join()).toContain('a checkpoint could not be written');
    next.heal();
    await log.compact();
    expect(log.log.segments.some(({ hasGaps }) => hasGaps)).toBe(true);
    await log.open(next.afterPowerCut(kept));
    expect(log.context.warnings).toEqual([]);
    await log.check();
    await log.log.close();
  },
);

test('without its checkpoint a compacted log is refused, and nothing of it is cut', async () => {
  const { disk, log } = await openCompacted();
  for (let i = 0; i < 30; i += 1) await log.append(plain(i % 3));
  await log.compact();
  await log.log.close();
  const checkpoint = await bytesOf(disk, 'p/checkpoint');
  await disk.remove('p/checkpoint');
  expect(await failureOf(log.open(disk))).toMatchObject({ fault: 'damagedMetadata' });
  const file = await disk.open('p/checkpoint', 'create');
  await file.write([checkpoint], 0);
  await log.open(disk);
  await log.check();
  await log.log.close();
});

test.each(['gone', 'older than compaction'] as const)(
  'a compacted log whose checkpoint is %s is refused before the journal’s old rounds are written over it',
  async (which) => {
    let disk = new SimulatedDisk(new SeededRandom(1));
    let opened = await openJournaled(disk, ['p', 'q'], { segmentBytes: 400 });
    await warm(opened);
    let older: Buffer = Buffer.alloc(0);
    const { context, logs } = opened;
    const log = logs[0]!;
    // So few that the journal keeps them all.
    for (let i = 0; i < 6; i += 1) {
      if (i === 4) older = await bytesOf(disk, 'p/checkpoint');
      const record = { timestampMs: 1000, key: Buffer.from(`k${i % 2}`), value: Buffer.alloc(150, `${i}`) };
      await context.syncer.append(
        logs.map((one) => ({ log: one, batch: buildBatch([record]) })),
        'visible',
      ).settled;
      await file(opened);
    }
    expect((await compactLog(context, log))!.recordsDropped).toBeGreaterThan(1);
    const left = await readAll(log);
    const files = disk.afterKill().files();
    const whole = files.get('p/checkpoint')!;
    if (which === 'gone') files.delete('p/checkpoint');
    else files.set('p/checkpoint', older);
    disk = SimulatedDisk.holding(files, new SeededRandom(1));
    expect(await failureOf(openJournaled(disk, ['p', 'q'], { segmentBytes: 400 }))).toMatchObject({
      fault: 'damagedMetadata',
      detail: expect.stringContaining('p/checkpoint'),
    });
    expect(disk.files()).toEqual(files);
    files.set('p/checkpoint', whole);
    opened = await openJournaled(SimulatedDisk.holding(files, new SeededRandom(1)), ['p', 'q'], { segmentBytes: 400 });
    expect((await readAll(opened.logs[0]!)).equals(left)).toBe(true);
    await closeAll(opened);
  },
);

test('records that are deleted during a pass stay deleted', async () => {
  for (let turns = 0; turns < 120; turns += 3) {
    const { disk, log } = await openCompacted();
    for (let i = 0; i < 30; i += 1) await log.append(plain(i % 5));
    const compacting = log.compact({ settings: { segmentBytes: 800 } }).catch((error: unknown) => error);
    for (let i = 0; i < turns; i += 1) await null;
    await log.log.trim(14);
    await compacting;
    await log.open(disk.afterPowerCut('nothing'));
    const offsets = (await log.read()).map(({ offset }) => offset);
    expect(log.log.marks.logStart).toBe(14);
    for (const offset of [25, 26, 27, 28, 29]) expect(offsets).toContain(offset);
    await log.compact();
    for (const offset of [25, 26, 27, 28, 29]) expect(offsets).toContain(offset);
    await log.log.close();
  }
});

test('a value whose tombstone comes after it does not come back when records before it are deleted during a pass', async () => {
  let trims = true;
  const log = new CompactedLog({ segmentBytes: 400 });
  const disk = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
    if (trims && name === 'sync' && path.includes('.log.cleaned-')) {
      trims = false;
      await log.log.trim(log.log.segments[1]!.baseOffset);
    }
    return proceed();
  });
  await log.open(disk);
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 12; i += 1) await log.append(plain(i % 2));
  };
  await fill();
  await log.append(plain(7));
  await log.append(plain(7, null));
  await fill();
  await log.compact({ settings: { segmentBytes: 10_000 } });
  expect(trims).toBe(false);
  await log.check();
  for (let pass = 0; pass < 3; pass += 1) {
    log.context.clock.advance(RETENTION_MS + 1);
    await fill();
    await log.compact();
    await log.check();
  }
  expect((await log.read()).map(({ key }) => key)).not.toContain('k7');
  await log.log.close();
});

/** A log of three segments with values of one key, whose disk becomes full before or after what `isLast` picks in a pass. */
async function fullDuringPass(isLast: (name: string, path: string) => boolean, when: 'before' | 'after') {
  let isFull = false;
  const inner = new SimulatedDisk(new SeededRandom(1));
  const disk = hookedDisk(inner, async ({ name, path }, proceed) => {
    const grows = name === 'write' || name === 'rename';
    isFull ||= when === 'before' && isLast(name, path);
    if (isFull && grows && path.startsWith('p/')) throw new Fault('diskFull', { detail: path });
    const result = await proceed();
    isFull ||= isLast(name, path);
    return result;
  });
  const log = new CompactedLog({ segmentBytes: 100_000 });
  await log.open(disk);
  for (let i = 0; i < 3; i += 1) {
    await log.append(plain(1));
    await log.append(plain(2 + i));
    await log.log.roll(log.log.activeSegment);
  }
  await log.append(plain(1));
  const names = async (): Promise<string[]> => (await inner.list('p')).filter((name) => name.endsWith('.log')).sort();
  const ended: unknown = await log.compact({ settings: { segmentBytes: 100_000 } }).catch((error: unknown) => error);
  return { inner, log, names, ended, isFull: () => isFull };
}

test('a pass on a disk that is full when only the index is left to write removes what it replaced', async () => {
  const { log, names, isFull } = await fullDuringPass(
    (name, path) => name === 'rename' && path.endsWith('.sums'),
    'after',
  );
  expect(isFull()).toBe(true);
  expect(await names()).toEqual(['00000000000000000000.log', '00000000000000000006.log']);
  await log.check();
});

test.each(['.sums', '00000000000000000000.log'])(
  'records that are deleted on a full disk stay so, also where a pass could not give %s its name',
  async (ending) => {
    const { inner, log, ended } = await fullDuringPass(
      (name, path) => name === 'rename' && path.endsWith(ending),
      'before',
    );
    expect(ended).toMatchObject({ fault: 'diskFull' });
    expect(log.log.compacted.swaps).toBe(1);
    expect(await failureOf(log.log.trim(6))).toMatchObject({ fault: 'diskFull' });
    expect(log.log.marks.logStart).toBe(6);
    await log.open(inner.afterKill());
    expect(log.log.marks.logStart).toBe(6);
  },
);

test('no file stays open that a pass wrote for segments that were deleted before it was done', async () => {
  let open = 0;
  let opened = 0;
  const log = new CompactedLog({ segmentBytes: 400 });
  const disk = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
    // To be written, and then to be read.
    if (name === 'open' && path.includes('.log.cleaned-') && (opened += 1) === 2) await log.log.trim(14);
    const result = await proceed();
    if (name === 'open') open += 1;
    if (name === 'close') open -= 1;
    return result;
  });
  await log.open(disk);
  for (let i = 0; i < 30; i += 1) await log.append(plain(i % 5));
  await log.compact().catch(() => {});
  expect(opened).toBeGreaterThan(1);
  await log.log.close();
  expect(open).toBe(0);
});
