import type { PartitionOfTopic } from '../group-offsets.ts';

/** A key for maps: no topic's name has a colon. */
export function partitionKey({ topic, partition }: PartitionOfTopic): string {
  return `${topic}:${partition}`;
}

/** As faults and logs name it. */
export function partitionText({ topic, partition }: PartitionOfTopic): string {
  return `topic ${topic}, partition ${partition}`;
}
