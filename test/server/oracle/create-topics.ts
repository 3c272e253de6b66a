import type { Draft } from '../../../src/wire/codec.ts';
import type { Messages } from '../../../src/wire/messages.generated.ts';
import { CLOSED, type Side } from './scenario.ts';

export type NewTopic = Draft<Messages['CreateTopics']['request']['topics'][number]>;

export async function create(
  side: Side,
  version: number,
  topics: readonly NewTopic[],
  validateOnly = false,
): Promise<unknown> {
  const answer = await side.ask('CreateTopics', version, { topics, validateOnly, timeoutMs: 5000 });
  if (answer === null) return CLOSED;
  const results = answer.topics.map(({ name, errorCode, numPartitions, replicationFactor }) =>
    [name, errorCode, numPartitions, replicationFactor].join(),
  );
  // One that is named twice is answered twice here, and once by Kafka.
  return [...new Set(results)].sort();
}
