import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { baseOffset, batchesIn, leaderEpoch } from '../../src/record/batch.ts';
import { Gate, hookedDisk, isLogFile } from './hooked-disk.ts';
import {
  append,
  batchOf,
  contextOn,
  dropCache,
  failureOf,
  kill,
  logFiles,
  NEVER_MS,
  oneSegment,
  openLog,
  readAll,
  settle,
  type TestContext,
  tempFolder,
  until,
} from './support.ts';

/** A context whose syncs wait at a gate. */
function gated(): { context: TestContext; gate: Gate } {
  const gate = new Gate();
  const disk = hookedDisk(realDisk(tempFolder()), async ({ name, path }, proceed) => {
    if (name === 'sync' && isLogFile(path)) await gate.pass();
    return proceed();
  });
  return { context: contextOn(disk), gate };
}

/** Which of the promises have settled by now. */
async function settledOf(promises: readonly Promise<unknown>[]): Promise<boolean[]> {
  const settled = promises.map(() => false);
  for (const [i, promise] of promises.entries()) {
    const note = (): void => {
      settled[i] = true;
    };
    promise.then(note, note);
  }
  await settle();
  return settled;
}

describe('stages of an append', () => {
  test('written before the sync, visible after it', async () => {
    const { context, gate } = gated();
    const log = await openLog(context);
    gate.close();
    const stages = (['written', 'visible'] as const).map(
      (until) => context.syncer.append([{ log, batch: batchOf() }], until).settled,
    );
    expect(await settledOf(stages)).toEqual([true, false]);
    expect(log.marks.facts()).toMatchObject({ acceptedNext: 2, writtenNext: 2, durableNext: 0, highWatermark: 0 });
    gate.open();
    await Promise.all(stages);
    expect(log.marks.facts()).toMatchObject({ durableNext: 2, highWatermark: 2 });
    await kill(log);
  });

  test('what arrives during a sync shares the next one', async () => {
    const { context, gate } = gated();
    const log = await openLog(context, oneSegment);
    gate.close();
    const waits = [append(context, log)];
    await until(() => gate.arrived === 1);
    for (let i = 0; i < 50; i += 1) waits.push(append(context, log));
    await until(() => log.marks.writtenNext === 51);
    expect(gate.arrived).toBe(1);
    gate.open();
    gate.close();
    await waits[0];
    await until(() => gate.arrived === 1);
    gate.open();
    gate.close();
    await Promise.all(waits);
    expect(gate.arrived).toBe(0);
    gate.open();
    await kill(log);
  });

  describe('a sync that nobody waits for', () => {
    test('comes a little later, so that more can share it', async () => {
      const { context, gate } = gated();
      const log = await openLog(context);
      gate.close();
      for (let i = 0; i < 5; i += 1) await append(context, log, {}, 'written');
      await settle();
      expect(gate.arrived).toBe(0);
      context.clock.advance(10);
      await until(() => gate.arrived === 1);
      gate.open();
      await until(() => log.marks.highWatermark === 5);
      await kill(log);
    });

    test.each([
      ['an appender', (log: PartitionLog) => void log.visible(1)],
      ['a reader', (log: PartitionLog) => void log.watch(() => {})],
    ])('comes at once when %s begins to wait', async (_, wait) => {
      const context = contextOn(realDisk(tempFolder()));
      const log = await openLog(context);
      await append(context, log, {}, 'written');
      wait(log);
      await until(() => log.marks.highWatermark === 1);
      await kill(log);
    });

    test('comes also after one that had nothing to do', async () => {
      const { context, gate } = gated();
      const log = await openLog(context);
      gate.close();
      await append(context, log, {}, 'written');
      context.clock.advance(10);
      await until(() => gate.arrived === 1);
      // Counts what the sync under way covers once more.
      log.changeSettings(oneSegment);
      gate.open();
      await until(() => log.marks.durableNext === 1);
      context.clock.advance(10);
      await settle();
      await append(context, log, {}, 'written');
      context.clock.advance(10);
      await until(() => log.marks.durableNext === 2);
      await kill(log);
    });
  });

  test('with flush.messages above 1: visible when written, synced when so many records wait', async () => {
    const { context, gate } = gated();
    const log = await openLog(context, { flushMessages: 5 });
    gate.close();
    await append(context, log, { count: 4 });
    expect(log.marks.facts()).toMatchObject({ durableNext: 0, highWatermark: 4 });
    await settle();
    expect(gate.arrived).toBe(0);
    await append(context, log);
    await until(() => gate.arrived === 1);
    gate.open();
    await until(() => log.marks.durableNext === 5);
    await kill(log);
  });

  test('with flush.ms: synced that long after the first record that was not', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context, { flushMessages: 1000, flushMs: 50 });
    for (let round = 1; round <= 3; round += 1) {
      await append(context, log);
      context.clock.advance(30);
      await append(context, log);
      await settle();
      expect(log.marks.durableNext).toBe(2 * round - 2);
      context.clock.advance(20);
      await until(() => log.marks.durableNext === 2 * round);
    }
    await kill(log);
    expect(context.clock.timers).toBe(0);
  });

  test('neither number nor time asked for: never synced while it runs', async () => {
    const { context, gate } = gated();
    const log = await openLog(context, { flushMessages: NEVER_MS });
    gate.close();
    for (let i = 0; i < 20; i += 1) await append(context, log);
    context.clock.advance(1e12);
    await settle();
    expect(gate.arrived).toBe(0);
    gate.open();
    await kill(log);
  });

  test('a reader is woken at each move of the high watermark, until it no longer watches', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context);
    const seen: number[] = [];
    const stop = log.watch(() => seen.push(log.marks.highWatermark));
    await append(context, log);
    await append(context, log, { count: 2 });
    stop();
    await append(context, log);
    expect(seen).toEqual([1, 3]);
    await kill(log);
  });
});

describe('changed settings are felt by what is written already', () => {
  test('flush.messages from 1 to more: what is written becomes visible', async () => {
    const { context, gate } = gated();
    const log = await openLog(context);
    gate.close();
    const wait = append(context, log);
    await settle();
    expect(log.marks.highWatermark).toBe(0);
    log.changeSettings({ ...oneSegment, flushMessages: 1000 });
    await wait;
    gate.open();
    await kill(log);
  });

  test('flush.messages to 1: what is written is synced, and nothing visible becomes invisible', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context, { flushMessages: 1000 });
    await append(context, log, { count: 3 });
    expect(log.marks.facts()).toMatchObject({ durableNext: 0, highWatermark: 3 });
    log.changeSettings(oneSegment);
    expect(log.marks.highWatermark).toBe(3);
    context.clock.advance(10);
    await until(() => log.marks.durableNext === 3);
    await kill(log);
  });

  test('a shorter flush.ms: what waits need not wait for the longer one', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context, { flushMessages: 1000, flushMs: 1e9 });
    await append(context, log);
    log.changeSettings({ ...oneSegment, flushMessages: 1000, flushMs: 50 });
    context.clock.advance(50);
    await until(() => log.marks.durableNext === 1);
    await kill(log);
  });
});

describe('one retry among many appends', () => {
  const idempotent = (baseSequence: number): Buffer => batchOf({ producerId: 1, producerEpoch: 0, baseSequence });

  test('is answered with the first offset, when the original is visible and no later', async () => {
    const { context, gate } = gated();
    const log = await openLog(context);
    gate.close();
    const first = context.syncer.append([{ log, batch: idempotent(0) }], 'visible');
    await until(() => gate.arrived === 1);
    const others = context.syncer.append([{ log, batch: batchOf() }], 'visible');
    const retry = context.syncer.append([{ log, batch: idempotent(0) }], 'visible');
    expect(retry.parts).toEqual([{ baseOffset: 0, nextOffset: 1, duplicate: true }]);
    expect(await settledOf([first.settled, retry.settled])).toEqual([false, false]);
    gate.open();
    gate.close();
    // The second sync is held back: what it would make visible is not, but what the first did is.
    await first.settled;
    expect(await settledOf([retry.settled, others.settled])).toEqual([true, false]);
    gate.open();
    await others.settled;
    await append(context, log, idempotent(0));
    expect(log.marks.acceptedNext).toBe(2);
    await kill(log);
  });
});

describe('a group', () => {
  test('over several logs settles when all are visible', async () => {
    const { context, gate } = gated();
    const logs = [await openLog(context, {}, 1, 'a'), await openLog(context, {}, 1, 'b')];
    gate.close();
    const { parts, settled } = context.syncer.append(
      logs.map((log) => ({ log, batch: batchOf({ count: 2 }) })),
      'visible',
    );
    expect(parts.map(({ nextOffset }) => nextOffset)).toEqual([2, 2]);
    expect(await settledOf([settled])).toEqual([false]);
    gate.open();
    await settled;
    expect(logs.map((log) => log.marks.highWatermark)).toEqual([2, 2]);
    for (const log of logs) await kill(log);
  });

  test('with a part that is refused leaves no trace in any log', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const logs = [await openLog(context, {}, 1, 'a'), await openLog(context, {}, 1, 'b')];
    await append(context, logs[1]!, batchOf({ producerId: 1, producerEpoch: 0, baseSequence: 0 }));
    const group = logs.map((log) => ({ log, batch: batchOf({ producerId: 1, producerEpoch: 0, baseSequence: 7 }) }));
    expect(() => context.syncer.append(group, 'visible')).toThrow(Fault);
    expect(logs.map((log) => log.marks.acceptedNext)).toEqual([0, 1]);
    for (const log of logs) await kill(log);
  });
});

describe('the end of a log', () => {
  test('close writes and syncs what was accepted, and refuses what comes while it does', async () => {
    const root = tempFolder();
    const gate = new Gate();
    const disk = hookedDisk(realDisk(root), async ({ name, path }, proceed) => {
      if (name === 'sync' && isLogFile(path)) await gate.pass();
      return proceed();
    });
    const context = contextOn(disk);
    const log = await openLog(context);
    gate.close();
    const wait = append(context, log, { count: 3 });
    const closed = log.close();
    await until(() => gate.arrived === 1);
    expect(await failureOf(append(context, log, {}, 'written'))).toMatchObject({ fault: 'brokerStopped' });
    gate.open();
    await Promise.all([wait, closed]);
    const again = await openLog(contextOn(realDisk(root)));
    expect(again.marks.acceptedNext).toBe(3);
    await kill(again);
  });

  test('a closed log refuses appends, readers and those who wait, and closing again does nothing', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context);
    await append(context, log);
    const woken = Promise.withResolvers<void>();
    log.watch(woken.resolve);
    await log.close();
    await woken.promise;
    dropCache(context);
    await log.close();
    expect(await failureOf(append(context, log))).toMatchObject({ fault: 'brokerStopped' });
    expect(await failureOf(log.visible(5))).toMatchObject({ fault: 'brokerStopped' });
    expect(await failureOf(readAll(log))).toMatchObject({ fault: 'brokerStopped' });
  });

  test('two who close it at once both wait for the one end', async () => {
    const context = contextOn(realDisk(tempFolder()));
    const log = await openLog(context);
    await append(context, log);
    await Promise.all([log.close(), log.close()]);
  });

  test('abort refuses everyone who waits, with its reason, and writes no more', async () => {
    const { context, gate } = gated();
    const log = await openLog(context);
    gate.close();
    const waits = [append(context, log), append(context, log), log.visible(9)].map(failureOf);
    await settle();
    const reason = new Fault('unknownPartition');
    log.abort(reason);
    gate.open();
    expect(await Promise.all(waits)).toEqual([reason, reason, reason]);
    await log.close();
    expect(context.fatal).toEqual([]);
  });

  test('a sync under way when the log is closed does not lose its file', async () => {
    // Both would otherwise run at once, and the one that is left would find the file closed.
    const { context, gate } = gated();
    const log = await openLog(context);
    gate.close();
    const wait = append(context, log);
    await settle();
    const closed = log.close();
    await settle();
    expect(gate.arrived).toBe(1);
    gate.open();
    await Promise.all([wait, closed]);
    expect(context.fatal).toEqual([]);
  });
});

test('batches are stamped with offsets and the epoch of the opening; epochs never go down', async () => {
  const root = tempFolder();
  for (const epoch of [3, 3, 7, 5]) {
    const context = contextOn(realDisk(root));
    const log = await openLog(context, {}, epoch);
    await append(context, log, { count: 2 });
    await log.close();
  }
  const bytes = logFiles(root);
  const stamps = [...batchesIn(bytes)].map((at) => [baseOffset(bytes, at), leaderEpoch(bytes, at)]);
  expect(stamps).toEqual([
    [0, 3],
    [2, 3],
    [4, 7],
    [6, 7],
  ]);
  const log = await openLog(contextOn(realDisk(root)), {}, 5);
  expect(log.leaderEpoch).toBe(7);
  expect(log.epochs.starts).toEqual([
    { epoch: 3, startOffset: 0 },
    { epoch: 7, startOffset: 4 },
  ]);
  await kill(log);
});

test('the caller may use its buffer again as soon as append returns', async () => {
  const context = contextOn(realDisk(tempFolder()));
  const log: PartitionLog = await openLog(context);
  const batch = batchOf({ tag: 'mine' });
  const { settled } = context.syncer.append([{ log, batch }], 'visible');
  batch.fill(0);
  await settled;
  expect((await readAll(log)).includes('mine.mine.')).toBe(true);
  await kill(log);
});
