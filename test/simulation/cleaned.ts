import { readCompacted } from '../../src/log/compacted-segments.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { HistoryRecorder } from './history.ts';
import type { TopicPlans } from './topic-plans.ts';

/** Notes how far the broker holds each compacted topic for compacted, as its files say, with nothing that could not be read. */
export async function noteCleaned(
  files: ReadonlyMap<string, Buffer>,
  topics: TopicPlans,
  history: HistoryRecorder,
  process: number,
): Promise<void> {
  const disk = SimulatedDisk.holding(files, new SeededRandom(1));
  for (const plan of topics.all.filter(({ isCompacted }) => isCompacted)) {
    for (let partition = 0; partition < plan.partitions; partition += 1) {
      const { cleanNext, passed = [] } = await readCompacted(disk, `topics/${plan.id}/${partition}`);
      history.note(process, 'cleaned', {
        place: { topic: plan.name, partition },
        before: Math.min(cleanNext, ...passed),
      });
    }
  }
}
