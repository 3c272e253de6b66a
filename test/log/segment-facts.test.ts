import { expect, test } from 'vitest';
import { placeOfOffset, segmentFacts } from '../../src/log/segment-facts.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { CompactedLog } from './compacted-log.ts';
import { Gate, hookedDisk } from './hooked-disk.ts';
import { until } from './support.ts';

/** A log of several segments whose indexes are not in memory, on a disk that holds back who reads them from their files. */
async function resting() {
  const gate = new Gate();
  const gated = hookedDisk(new SimulatedDisk(new SeededRandom(1)), async ({ name, path }, proceed) => {
    if (name === 'read' && path.endsWith('.index')) await gate.pass();
    return proceed();
  });
  const compacted = new CompactedLog({ segmentBytes: 400 });
  await compacted.open(gated);
  for (let i = 0; i < 30; i += 1) {
    const records = [{ key: i % 3, value: 20, timestampMs: 1000 + i }];
    await compacted.append({ records, compression: 'none', producer: 0 });
  }
  await compacted.log.rest(0);
  gate.close();
  return { gate, compacted, log: compacted.log };
}

const changes = {
  compacted: async ({ compacted }: Awaited<ReturnType<typeof resting>>) =>
    expect((await compacted.compact())!.segmentsAfter).toBeGreaterThan(0),
  deleted: async ({ log }: Awaited<ReturnType<typeof resting>>) => log.trim(log.segments[3]!.baseOffset),
};

test.each(['compacted', 'deleted'] as const)(
  'segments that are %s while they are described are described as they are then',
  async (how) => {
    const opened = await resting();
    const { gate, log } = opened;
    const before = log.segments.length;
    const describing = segmentFacts(log);
    await until(() => gate.arrived > 0);
    await changes[how](opened);
    gate.open();
    const described = await describing;
    expect(described).toEqual(await segmentFacts(log));
    expect(described.map(({ baseOffset }) => baseOffset)).toEqual(log.segments.map(({ baseOffset }) => baseOffset));
    expect(described.length).toBeLessThan(before);
    expect(described.at(-1)!.endNext).toBe(30);
    await log.close();
  },
);

test('the place of an offset is that in the segment that compaction has made, if it makes it meanwhile', async () => {
  const opened = await resting();
  const { gate, log } = opened;
  const looking = placeOfOffset(log, 5);
  await until(() => gate.arrived > 0);
  await changes.compacted(opened);
  gate.open();
  const place = await looking;
  expect(place).toEqual(await placeOfOffset(log, 5));
  expect(place!.segment).toBe(0);
  await log.close();
});

test('of a log that is closed nothing is described', async () => {
  const { gate, log } = await resting();
  gate.open();
  await log.close();
  await expect(segmentFacts(log)).rejects.toMatchObject({ fault: 'brokerStopped' });
});
