import type { History, TopicFacts } from './history.ts';
import { ofKind, okOfKind } from './partition-story.ts';
import type { Violation } from './violation.ts';

/** As many partitions as anybody was ever told that a topic has. */
export function partitionsOf({ operations }: History, { topic, partitions }: TopicFacts): number {
  const told = okOfKind(operations, 'metadata').filter(({ call }) => call.topic === topic);
  return Math.max(partitions, ...told.map(({ result }) => result.partitions));
}

/** A topic has the partitions with which it was made, and those that somebody asked for; none ever goes away again. */
export function* checkPartitions(history: History): Generator<Violation> {
  const { operations } = history;
  const tellings = Map.groupBy(okOfKind(operations, 'metadata'), ({ call }) => call.topic);
  const growths = Map.groupBy(ofKind(operations, 'addPartitions'), ({ call }) => call.topic);
  for (const { topic, partitions } of history.topics) {
    const ofTopic = { place: { topic, partition: 0 }, group: null, offsets: [] };
    const asked = growths.get(topic) ?? [];
    const told = tellings.get(topic) ?? [];
    const known = [
      ...asked.filter((op) => op.outcome === 'ok').map((by) => ({ by, count: by.call.count })),
      ...told.map((by) => ({ by, count: by.result.partitions })),
    ];
    for (const telling of told) {
      const count = telling.result.partitions;
      const isAsked = asked.some(
        ({ call, outcome, invoked }) =>
          call.count === count && outcome !== 'fail' && invoked.step < telling.completed.step,
      );
      if (count !== partitions && !isAsked) {
        const says = `it has ${count} partitions, and was made with ${partitions}`;
        yield { ...ofTopic, anomaly: 'partitions never asked for', operations: [telling], says };
      }
      const before = known.find((one) => one.count > count && one.by.completed!.step < telling.invoked.step);
      if (before === undefined && count >= partitions) continue;
      const says = `it has ${count} partitions, and had ${before?.count ?? partitions}`;
      yield {
        ...ofTopic,
        anomaly: 'partitions went away',
        operations: before === undefined ? [telling] : [before.by, telling],
        says,
      };
    }
  }
}
