import { expect, test } from 'vitest';
import { batchesIn } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { openJournaled } from './journaled.ts';
import { batchOf, readAll } from './support.ts';

const IN_FLIGHT = 5;
const BATCHES = 20;
/** A segment for every few of the batches, so that they roll with some still on their way. */
const settings = { segmentBytes: 400 };

const sent = Array.from({ length: BATCHES }, (_, i) =>
  batchOf({ tag: i, valueBytes: 20, producerId: 7, producerEpoch: 0, baseSequence: i }),
);

/** Sends what is not acknowledged, five at once, as a client does; it goes on from the first that it has no answer for. */
async function send(disk: SimulatedDisk, from: number, acknowledged: (next: number) => void): Promise<Buffer> {
  const { context, logs } = await openJournaled(disk, ['p'], settings);
  for (let at = from; at < BATCHES; at += IN_FLIGHT) {
    const flight = sent.slice(at, at + IN_FLIGHT);
    const settled = flight.map(async (batch, i) => {
      await context.syncer.append([{ log: logs[0]!, batch }], 'visible').settled;
      acknowledged(at + i + 1);
    });
    await Promise.all(settled);
  }
  return readAll(logs[0]!);
}

test('a producer that sends again what a crash left unanswered has each record once, wherever it was', async () => {
  for (let calls = 0, isDone = false; !isDone; calls += 1) {
    for (const end of ['kill', 'nothing', 'prefix'] as const) {
      let next = 0;
      const note = (acknowledged: number): void => {
        next = Math.max(next, acknowledged);
      };
      const disk = new SimulatedDisk(new SeededRandom(calls));
      disk.cutPowerAfter(calls);
      isDone = (await Promise.race([disk.died, send(disk, 0, note).then(() => 'done')])) === 'done';
      const after = end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end);
      const bytes = await send(after, next, note).catch((error) => {
        throw new Error(`call ${calls}, ${end}: ${(error as Error).message}`, { cause: error });
      });
      const tags = [...batchesIn(bytes)].flatMap((at) =>
        Array.from(recordsOf(bytes, at), ({ value }) => Number(String(value).split('.')[0])),
      );
      expect(tags, `call ${calls}, ${end}`).toEqual(sent.map((_, i) => i));
    }
  }
});
