import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/faults.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { NewOffset, PartitionOutcome } from '../../../src/client/group-offsets.ts';
import { AssignedPartition } from '../../../src/client/worker/assigned-partition.ts';
import { Commits } from '../../../src/client/worker/commits.ts';

/** Partition 0 as it was assigned, with records finished up to an offset. */
function finishedUpTo(endNext: number): AssignedPartition<unknown, unknown> {
  const partition = new AssignedPartition<unknown, unknown>({ topic: 't', partition: 0 }, { offset: 0, metadata: '' });
  finish(partition, endNext);
  return partition;
}

function finish(partition: AssignedPartition<unknown, unknown>, endNext: number): void {
  for (let offset = partition.tracker.positionNext; offset < endNext; offset++) {
    partition.tracker.finish(partition.tracker.add(offset, 1)!);
    partition.finished++;
  }
}

/** Commits of which the first is answered when the test says how. */
function holding(partition: AssignedPartition<unknown, unknown>) {
  const sent: number[] = [];
  const answer = Promise.withResolvers<Fault | null>();
  const commits = new Commits({
    clock: systemClock,
    logger: silentLogger,
    intervalMs: 1_000_000,
    metadataBytesMax: 100,
    partitions: () => [],
    commit: async (offsets: readonly NewOffset[]): Promise<PartitionOutcome[]> => {
      sent.push(...offsets.map(({ offset }) => offset));
      const fault = await answer.promise;
      return offsets.map(({ topic, partition: number }) => ({ topic, partition: number, fault }));
    },
    onCommit: () => {},
  });
  return { sent, answer, commits, first: commits.flush([partition]) };
}

// The group may have given the partition to another member and back: what was finished before then is below what is committed.
test('what was finished of a partition that was taken away while a commit before it was on its way is not committed', async () => {
  const partition = finishedUpTo(3);
  const { sent, answer, commits, first } = holding(partition);
  finish(partition, 5);
  const second = commits.flush([partition]);
  partition.end(new Error('taken away'));
  answer.resolve(null);
  await Promise.all([first, second]);
  expect(sent).toEqual([3]);
});

test('nor is it told of again with less metadata', async () => {
  const partition = finishedUpTo(3);
  const { sent, answer, first } = holding(partition);
  partition.end(new Error('taken away'));
  answer.resolve(new Fault('offsetMetadataTooLarge'));
  await first;
  expect(sent).toEqual([3]);
});
