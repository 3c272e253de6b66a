import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compressions } from '../../src/record/compression.ts';
import { POWER_CUTS, type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { type Append, CompactedLog, newestOf, openCompacted, plain, RETENTION_MS } from './compacted-log.ts';
import { Gate, hookedDisk, isLogFile } from './hooked-disk.ts';
import { dropCache, failureOf, NEVER_MS, settle, until } from './support.ts';

/** MILLRACE_COMPACTIONS makes it more; all kinds of power cuts are then tried at each call, not one or two. */
const RUNS = Number(process.env['MILLRACE_COMPACTIONS'] ?? 30);

const anyAppend: fc.Arbitrary<Append> = fc.record({
  records: fc.array(
    fc.record({
      key: fc.nat(24),
      value: fc.option(fc.integer({ min: 5, max: 300 }), { freq: 4 }),
      timestampMs: fc.constantFrom(-1, 0, 1000, 1_700_000_000_000),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  compression: fc.constantFrom(...compressions),
  producer: fc.nat(2),
});

type Step =
  | { append: Append[] }
  | { compact: { keyMapBytes: number; segmentBytes: number } }
  | { waitMs: number }
  | { crash: { cut: PowerCut; calls: number; retries: boolean } }
  | { restart: boolean }
  | { trim: { share: number; calls: number } };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: fc.array(anyAppend, { minLength: 1, maxLength: 8 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      compact: fc.record({
        // The least has room for 14 keys.
        keyMapBytes: fc.constantFrom(0, 0, 1 << 16),
        segmentBytes: fc.constantFrom(700, 2000, 1 << 20),
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ waitMs: fc.constantFrom(1, RETENTION_MS, 5 * RETENTION_MS) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      crash: fc.record({ cut: fc.constantFrom(...POWER_CUTS), calls: fc.nat(60), retries: fc.boolean() }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ restart: fc.boolean() }) },
  {
    weight: 1,
    // At the call of the disk after so many more in a pass.
    arbitrary: fc.record({ trim: fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), calls: fc.nat(60) }) }),
  },
);

/** Runs what is interrupted at the call of the disk after so many more, or not at all; returns what the next start finds. */
async function interrupted(
  disk: SimulatedDisk,
  calls: number,
  cut: PowerCut,
  work: () => Promise<unknown>,
): Promise<SimulatedDisk> {
  disk.cutPowerAfter(calls);
  await Promise.race([work(), disk.died]);
  return disk.afterPowerCut(cut);
}

test('whatever is done to it, a compacted log keeps the newest value of each key, at its offset, and nothing that was not sent', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(400, 2000),
      fc.array(anyStep, { minLength: 6, maxLength: 30 }),
      fc.nat(),
      async (segmentBytes, steps, seed) => {
        let disk = new SimulatedDisk(new SeededRandom(seed));
        const log = new CompactedLog({ segmentBytes });
        let trim: { atCall: number; share: number } | null = null;
        let deletedNext = 0;
        const trimNow = async (share: number): Promise<void> => {
          const { logStart, highWatermark } = log.log.marks;
          const next = logStart + Math.floor((highWatermark - logStart) * share);
          await log.log.trim(next);
          deletedNext = next;
        };
        let trimming = Promise.resolve();
        const open = (): Promise<void> =>
          log.open(
            hookedDisk(disk, async (_, proceed) => {
              if (trim !== null && --trim.atCall < 0) {
                const { share } = trim;
                trim = null;
                // The pass may have to go on before this can.
                trimming = trimNow(share);
                await Promise.race([trimming, settle()]);
                seen.add('deleted during a pass');
              }
              return proceed();
            }),
          );
        await open();
        for (const step of steps) {
          if ('append' in step) for (const append of step.append) await log.append(append);
          if ('waitMs' in step) log.context.clock.advance(step.waitMs);
          if ('compact' in step) {
            const { compact } = step;
            const report = await log.compact({
              keyMapBytes: compact.keyMapBytes,
              settings: { segmentBytes: compact.segmentBytes },
            });
            expect(report?.damaged ?? []).toEqual([]);
            if (report !== null && report.recordsDropped > 0) seen.add('dropped');
            if (report?.mapWasFull) seen.add('map full');
            if (report !== null && report.segmentsAfter < report.segmentsBefore) seen.add('merged');
          }
          const wallMs = log.context.clock.wallMs();
          if ('crash' in step) {
            const { cut, calls, retries } = step.crash;
            const before = log.log.compacted.swaps;
            disk = await interrupted(disk, calls, cut, () => log.compact());
            if (log.log.compacted.swaps > before) seen.add('crash after a swap');
            // A crash within recovery, too.
            disk = await interrupted(disk, calls >> 2, cut, open);
            await open();
            if (retries) await log.checkRetries();
          }
          if ('restart' in step) {
            await log.log.close();
            await open();
            if (step.restart) await log.checkRetries();
          }
          if ('trim' in step) {
            trim = { atCall: step.trim.calls, share: step.trim.share };
            const ended: unknown = await log.compact().catch((error: unknown) => error);
            // What is deleted while a pass reads it ends the pass.
            if (ended instanceof Error) expect(ended).toMatchObject({ fault: 'offsetOutOfRange' });
            await (trim === null ? trimming : trimNow(step.trim.share));
            trim = null;
          }
          log.context.clock.advance(Math.max(0, wallMs - log.context.clock.wallMs()));
          expect(log.log.marks.logStart).toBeGreaterThanOrEqual(deletedNext);
          await log.check();
        }
        await log.log.close();
      },
    ),
    { numRuns: RUNS, endOnFailure: true },
  );
  expect([...seen].sort()).toEqual(['crash after a swap', 'deleted during a pass', 'dropped', 'map full', 'merged']);
});

test('a crash at each call of the disk leaves the old segments or the new one, and the next pass ends what was begun', async () => {
  let swapped = 0;
  for (let calls = 0, done = false; !done; calls += 1) {
    for (const cut of RUNS > 30 ? POWER_CUTS : [POWER_CUTS[calls % 5]!]) {
      const { disk, log } = await openCompacted();
      for (let i = 0; i < 16; i += 1) await log.append(plain(i % 3));
      disk.cutPowerAfter(calls);
      done = await Promise.race([
        log.compact({ settings: { segmentBytes: 800 } }).then(() => true),
        disk.died.then(() => false),
      ]);
      const after = disk.afterPowerCut(cut);
      await log.open(after);
      await log.check();
      expect((await after.list('p')).filter((name) => name.includes('cleaned'))).toEqual([]);
      if ((await log.read()).length < 16) swapped += 1;
      await log.compact();
      await log.check();
      const activeBase = log.log.segments.at(-1)!.baseOffset;
      expect((await log.read()).filter(({ offset }) => offset < activeBase).length).toBe(3);
      await log.log.close();
    }
  }
  expect(swapped).toBeGreaterThan(8);
});

test('a tombstone stays for delete.retention.ms after it was first compacted, then goes, and its key with it', async () => {
  const { log } = await openCompacted();
  for (const append of [plain(1), plain(2), plain(1, null)]) await log.append(append);
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  const keys = async (): Promise<string[]> => [...newestOf(await log.read()).keys()];
  await log.compact();
  expect(await keys()).toContain('k1');
  log.context.clock.advance(RETENTION_MS - 1);
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  await log.compact();
  expect(await keys()).toContain('k1');
  log.context.clock.advance(1);
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  await log.compact();
  expect(await keys()).toEqual(['k2', 'k3']);
  await log.check();
  await log.log.close();
});

test('a time between two milliseconds is one like any other: a clock that leapt ahead is not believed, and the time goes on as another does', async () => {
  const { log } = await openCompacted();
  for (const append of [plain(1), plain(1, null), plain(2)]) await log.append(append);
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  const first = await log.compact({ nowMs: 5000.25 });
  expect(first).toMatchObject({ batchesUnread: 0 });
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  await log.compact({ nowMs: 5000.25 + RETENTION_MS - 0.5 });
  expect([...newestOf(await log.read()).keys()]).toEqual(['k1', 'k2', 'k3']);
  for (let i = 0; i < 10; i += 1) await log.append(plain(3));
  await log.compact({ nowMs: 5000.25 + RETENTION_MS + 1 });
  expect([...newestOf(await log.read()).keys()]).toEqual(['k2', 'k3']);
  await log.log.close();
});

test.each([
  ['while the broker is stopped', true],
  ['while it runs', false],
])('a deleted key does not come back with a damaged file that is put back, %s', async (_, isStopped) => {
  const { disk, log } = await openCompacted();
  await log.append(plain(1));
  for (let i = 0; i < 6; i += 1) await log.append(plain(2));
  const flip = async (): Promise<void> => {
    await log.log.rest(0);
    disk.flip('p/00000000000000000000.log', 80, 1);
  };
  /** Passes enough for a tombstone to go. */
  const passes = async (): Promise<void> => {
    for (let pass = 0; pass < 4; pass += 1) {
      for (let i = 0; i < 10; i += 1) await log.append(plain(2));
      log.context.clock.advance(2 * RETENTION_MS);
      await log.compact();
    }
  };
  await flip();
  await log.append(plain(1, null));
  await passes();
  await flip();
  if (isStopped) {
    await log.log.close();
    await log.open(disk);
  }
  expect(newestOf(await log.read()).get('k1')).toMatchObject({ value: null });
  await passes();
  expect(newestOf(await log.read()).get('k1')).toBeUndefined();
  await log.check();
  await log.log.close();
});

test('the active segment is never touched, nor what is younger than min.compaction.lag.ms', async () => {
  const { log } = await openCompacted();
  for (let i = 0; i < 5; i += 1) await log.append(plain(1));
  expect(log.log.segments.length).toBe(2);
  const active = log.log.segments.at(-1)!;
  const sizeBytes = active.sizeBytes;
  expect(await log.compact({ settings: { lagMinMs: 2000 }, nowMs: 2999 })).toBeNull();
  expect(await log.compact({ settings: { lagMinMs: 2000 }, nowMs: 3000 })).not.toBeNull();
  expect(log.log.segments.at(-1)).toBe(active);
  expect(active.sizeBytes).toBe(sizeBytes);
  await log.log.close();
});

test('with a map that has no room for all keys a pass stops there, and the next one goes on', async () => {
  const { log } = await openCompacted();
  for (let round = 0; round < 3; round += 1) for (let key = 0; key < 40; key += 1) await log.append(plain(key));
  const passes: boolean[] = [];
  for (let report = await log.compact({ keyMapBytes: 0 }); report !== null; ) {
    passes.push(report.mapWasFull);
    await log.check();
    report = await log.compact({ keyMapBytes: 0 });
  }
  expect(passes.length).toBeGreaterThan(3);
  expect(passes.at(-1)).toBe(false);
  const clean = (await log.read()).filter(({ offset }) => offset < log.log.segments.at(-1)!.baseOffset);
  expect(clean.length).toBe(40);
  await log.log.close();
});

test('a producer’s last batch is known when it is sent again, also when its records are gone and the log alone tells of it', async () => {
  const { disk, log } = await openCompacted();
  const from = (producer: number, key: number): Append => ({ ...plain(key), producer });
  for (const producer of [1, 2, 3]) for (let i = 0; i < 3; i += 1) await log.append(from(producer, producer));
  // Younger values of the same keys.
  for (let i = 0; i < 30; i += 1) await log.append(plain(1 + (i % 3)));
  expect((await log.compact())!.recordsDropped).toBeGreaterThan(30);
  expect((await log.read())[0]!.offset).toBeGreaterThan(9);
  await log.log.close();
  const files = disk.files();
  const snapshots = [...files.keys()].filter((path) => path.endsWith('.producers'));
  expect(snapshots).not.toEqual([]);
  for (const path of snapshots) files.delete(path);
  await log.open(SimulatedDisk.holding(files, new SeededRandom(1)));
  await log.checkRetries();
  await log.check();
  await log.log.close();
});

test('a snapshot of the producers that says where in a file it stands is not believed of the file that compaction put in its place', async () => {
  const { disk, log } = await openCompacted(4000);
  for (let i = 0; i < 20; i += 1) await log.append(plain(1, 100));
  // A clean stop leaves one in the middle of the segment.
  await log.log.close();
  await log.open(disk);
  await log.append({ ...plain(2), producer: 1 });
  const position = log.log.segments[0]!.sizeBytes;
  for (let key = 3; key < 33; key += 1) await log.append(plain(key, 150));
  await log.compact({ settings: { segmentBytes: 10_000 } });
  expect(log.log.segments).toHaveLength(2);
  expect(log.log.segments[0]!.sizeBytes).toBeGreaterThan(position);
  await log.log.close();
  // The younger one is lost, as a cache may be.
  const snapshots = (await disk.list('p')).filter((name) => name.endsWith('.producers')).sort();
  expect(snapshots).toHaveLength(2);
  await disk.remove(`p/${snapshots[1]}`);
  await log.open(disk);
  await log.checkRetries();
  await log.log.close();
});

test('small segments become one, up to segment.bytes', async () => {
  const { log } = await openCompacted();
  for (let i = 0; i < 60; i += 1) await log.append(plain(i));
  const before = log.log.segments.length;
  await log.compact({ settings: { segmentBytes: 1200 } });
  const sizes = log.log.segments.map(({ sizeBytes }) => sizeBytes);
  expect(log.log.segments.length).toBeLessThan(before / 2);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1200);
  await log.check();
  await log.log.close();
});

test('a read that is under way in a segment that is replaced goes on as if nothing had happened, and the next finds the new one', async () => {
  const { log } = await openCompacted();
  for (let i = 0; i < 60; i += 1) await log.append(plain(i % 3));
  const reads: Promise<unknown>[] = [];
  let done = false;
  const compacting = log.compact().finally(() => {
    done = true;
  });
  log.dropCache();
  while (!done) {
    for (let at = 0; at < 55; at += 7) {
      reads.push(Promise.resolve(log.log.reader.read(at, { endNext: NEVER_MS, bytesMax: 300, atLeastOne: true })));
    }
    await log.log.rest(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await compacting;
  await Promise.all(reads);
  expect(reads.length).toBeGreaterThan(5);
  await log.check();
  await log.log.close();
});

test('a reader at the tail is not served from memory what compaction has dropped', async () => {
  const log = new CompactedLog({ segmentBytes: 400 });
  await log.open(new SimulatedDisk(new SeededRandom(1)), 1 << 20);
  for (let i = 0; i < 60; i += 1) await log.append(plain(i % 3));
  // All of it is in memory: this is no test of the files.
  expect((await log.readAtTail()).length).toBe(60);
  expect(log.log.reader.read(0, { endNext: NEVER_MS, bytesMax: 1, atLeastOne: true })).not.toBeInstanceOf(Promise);
  expect((await log.compact())?.recordsDropped).toBeGreaterThan(30);
  const found = await log.readAtTail();
  expect(found.length).toBeLessThan(30);
  dropCache(log.context);
  expect(await log.readAtTail()).toEqual(found);
  await log.log.close();
});

test('compaction reads files only when it is its turn among the readers of them', async () => {
  const reads = { inTurn: 0, outOfTurn: 0 };
  let turns = 0;
  const counting = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
    if (name === 'read' && /\.(log|sums|timeindex)$/.test(path)) reads[turns > 0 ? 'inTurn' : 'outOfTurn'] += 1;
    return proceed();
  });
  const log = new CompactedLog({ segmentBytes: 400 });
  await log.open(counting);
  // The second pass reads what the first has left, too.
  for (const pass of [1, 2]) {
    for (let i = 0; i < 40; i += 1) await log.append(plain(i % 3));
    // So that nothing is in memory.
    await log.log.close();
    await log.open(counting);
    const permits = log.context.reads;
    const run = permits.run.bind(permits);
    permits.run = (operation) =>
      run(async () => {
        turns += 1;
        return operation().finally(() => {
          turns -= 1;
        });
      });
    Object.assign(reads, { inTurn: 0, outOfTurn: 0 });
    expect((await log.compact({ settings: { lagMinMs: 1, lagMaxMs: 1 } }))?.recordsDropped).toBeGreaterThan(20);
    expect(reads.inTurn, `pass ${pass}`).toBeGreaterThan(20);
    expect(reads.outOfTurn, `pass ${pass}`).toBe(0);
  }
  await log.log.close();
});

test('a reader of a segment that is being put in its place does not write what proves it: compaction does, once', async () => {
  const log = new CompactedLog({ segmentBytes: 400 });
  const reads: Promise<unknown>[] = [];
  let written = 0;
  const read = async (): Promise<unknown> =>
    log.log.reader.read(0, { endNext: NEVER_MS, bytesMax: 300, atLeastOne: true });
  const hooked = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
    if (name === 'rename' && path.endsWith('.sums')) written += 1;
    // Readers find the segment by now, though its file has not its name yet.
    if (name === 'rename' && path.endsWith('.log')) reads.push(read());
    return proceed();
  });
  await log.open(hooked);
  for (let i = 0; i < 60; i += 1) await log.append(plain(i % 3));
  const { segmentsAfter } = (await log.compact())!;
  expect(reads.length).toBe(segmentsAfter);
  await Promise.all(reads);
  expect(written).toBe(segmentsAfter);
  await log.check();
  await log.log.close();
});

test('checksums that a reader has to make again are not written when the log has ended meanwhile', async () => {
  const log = new CompactedLog({ segmentBytes: 400 });
  const disk = new SimulatedDisk(new SeededRandom(1));
  const gate = new Gate();
  let holds = false;
  const gated = hookedDisk(disk, async ({ name, path }, proceed) => {
    if (holds && name === 'read' && isLogFile(path)) await gate.pass();
    return proceed();
  });
  await log.open(gated);
  for (let i = 0; i < 60; i += 1) await log.append(plain(i % 3));
  await log.compact();
  await log.log.rest(0);
  const sumsFiles = async (): Promise<string[]> => (await disk.list('p')).filter((name) => name.includes('.sums'));
  for (const name of await sumsFiles()) await disk.remove(`p/${name}`);
  log.dropCache();
  holds = true;
  gate.close();
  const reading = failureOf(
    (async () => log.log.reader.read(0, { endNext: NEVER_MS, bytesMax: 300, atLeastOne: true }))(),
  );
  await until(() => gate.arrived > 0);
  await log.log.close();
  gate.open();
  expect(await reading).toMatchObject({ fault: 'brokerStopped' });
  await settle();
  expect(await sumsFiles()).toEqual([]);
});
