import { expect, test } from 'vitest';
import { readCompacted } from '../../src/log/compacted-segments.ts';
import { recordsOf } from '../../src/record/records.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { CompactedLog, plain } from '../log/compacted-log.ts';
import { SeededRandom } from '../seeded-random.ts';
import { Damages } from './damages.ts';
import { type Call, HistoryRecorder } from './history.ts';
import type { Machine } from './machine.ts';
import { Rot } from './rot.ts';
import type { TopicPlans } from './topic-plans.ts';

/* What the simulation says that a flipped bit takes from readers is just what they are refused. */

const FLIPS = 25;
const FIRST = 'p/00000000000000000000';
const SETTINGS = { segmentBytes: 60_000 };

type Files = ReadonlyMap<string, Buffer>;

/** A compacted segment of four blocks, with one that is not compacted behind it, as a pass leaves them that the power ends. */
async function filesAfterPass(calls = Number.POSITIVE_INFINITY): Promise<Files> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const log = new CompactedLog(SETTINGS);
  await log.open(disk);
  for (let i = 0; i < 40; i += 1)
    await log.append({ ...plain(0), records: [{ key: i % 20, value: 3000, timestampMs: 1000 }] });
  disk.cutPowerAfter(calls);
  const compacting = log.compact({ settings: { segmentBytes: 1 << 20 } }).then(() => log.log.close());
  await Promise.race([compacting, disk.died]);
  return disk.afterPowerCut('nothing').files();
}

/** The same in the folder of a topic, or back. */
function moved(files: Files, from: string, to: string): Files {
  return new Map(Array.from(files, ([path, bytes]) => [path.replace(from, to), bytes]));
}

/** Flips a bit of a stored batch; what the history has of it, and the files. */
async function flipped(files: Files, seed: number): Promise<{ said: Call<'flip'>; files: Files } | null> {
  const disk = SimulatedDisk.holding(moved(files, 'p/', 'topics/id/0/'), new SeededRandom(1));
  let step = 0;
  const history = new HistoryRecorder(() => ({ step: step++, timeMs: 0 }));
  const rot = new Rot({
    random: new SeededRandom(seed),
    machine: { disk } as Machine,
    history,
    topics: { all: [{ id: 'id', name: 't' }] } as unknown as TopicPlans,
    damages: new Damages(),
    process: 1,
  });
  if ((await rot.flip()) !== 'segment') return null;
  const [flip] = history.history().operations;
  return { said: flip!.call as Call<'flip'>, files: moved(disk.files(), 'topics/id/0/', 'p/') };
}

/** The offsets of the records that a reader finds, and of those that it is refused. */
async function readAll(files: Files): Promise<{ found: Set<number>; refused: Set<number> }> {
  const log = new CompactedLog(SETTINGS);
  await log.open(SimulatedDisk.holding(files, new SeededRandom(1)));
  log.dropCache();
  const { writtenNext: endNext } = log.log.marks;
  const [found, refused] = [new Set<number>(), new Set<number>()];
  for (let at = 0; at < endNext; at += 1) {
    try {
      const { buffers } = await log.log.reader.read(at, { endNext, bytesMax: 1, atLeastOne: true });
      for (const buffer of buffers) for (const { offset } of recordsOf(buffer)) found.add(offset);
    } catch (error) {
      expect(error).toMatchObject({ fault: 'corruptBatch' });
      refused.add(at);
    }
  }
  await log.log.close();
  return { found, refused };
}

async function expectTold(files: Files): Promise<number[]> {
  const widths: number[] = [];
  for (let seed = 1; widths.length < FLIPS; seed += 1) {
    const flip = await flipped(files, seed);
    if (flip === null) continue;
    const { found, refused } = await readAll(flip.files);
    const { from, to } = flip.said;
    const said = Array.from({ length: to - from }, (_, i) => from + i);
    expect([...refused], `seed ${seed}`).toEqual(said);
    expect(found.size, `seed ${seed}`).toBeGreaterThan(0);
    widths.push(said.length);
  }
  return widths;
}

test('a block of a compacted segment, or a batch of another', async () => {
  const widths = await expectTold(await filesAfterPass());
  expect(new Set(widths)).toContain(1);
  expect(new Set(widths)).toContain(5);
});

test('the whole of a compacted segment whose checksums are lost too', async () => {
  const files = new Map(await filesAfterPass());
  expect(files.delete(`${FIRST}.sums`)).toBe(true);
  expect(new Set(await expectTold(files))).toContain(38);
});

test('a block of a segment that takes its place with the next start', async () => {
  for (let calls = 1; ; calls += 1) {
    const files = await filesAfterPass(calls);
    const { segments } = await readCompacted(SimulatedDisk.holding(files, new SeededRandom(1)), 'p');
    if (segments.length === 0) continue;
    expect(files.has(`${FIRST}.log.cleaned-1`)).toBe(true);
    expect(new Set(await expectTold(files))).toContain(5);
    return;
  }
});
