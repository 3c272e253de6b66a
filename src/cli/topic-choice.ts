import type { Admin } from '../client/admin.ts';
import type { TopicPartitions } from '../client/assignment-bytes.ts';
import { UsageError } from './usage-error.ts';

export const topicFlag = {
  topic: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Only this topic, TOPIC, or these partitions of it, TOPIC:0,2; repeatable',
  },
} as const;

interface Choice {
  readonly topic: string;
  /** Null: all. */
  readonly partitions: readonly number[] | null;
}

/** @throws UsageError */
export function parseTopicChoice(text: string): Choice {
  const [, topic, list] = /^([^:]+)(?::(\d+(?:,\d+)*))?$/.exec(text) ?? [];
  if (topic === undefined) throw new UsageError(`--topic: "${text}" is not TOPIC or TOPIC:0,2`);
  return { topic, partitions: list === undefined ? null : [...new Set(list.split(',').map(Number))] };
}

/** The partitions that --topic names, all of a topic that is named alone; null where nothing is chosen. @throws UsageError, Fault unknownTopic */
export async function choosePartitions(
  admin: Admin,
  texts: readonly string[] | undefined,
): Promise<TopicPartitions[] | null> {
  if (texts === undefined) return null;
  const chosen = new Map<string, Set<number>>();
  for (const { topic, partitions } of texts.map(parseTopicChoice)) {
    const all = partitions ?? (await admin.describeTopic(topic)).partitions.map((one) => one.partition);
    chosen.set(topic, new Set([...(chosen.get(topic) ?? []), ...all]));
  }
  return [...chosen].map(([topic, partitions]) => ({ topic, partitions: [...partitions].sort((a, b) => a - b) }));
}
