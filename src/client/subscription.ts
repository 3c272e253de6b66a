import { Fault } from '../base/faults.ts';
import type { Cluster } from './cluster.ts';

/** What a member wants to read: topics by name, or all whose name matches. */
export type Subscription = { readonly topics: readonly string[] } | { readonly pattern: string };

/** @throws Fault invalidArgument. */
export function subscriptionOf(
  topics: string | readonly string[] | undefined,
  pattern: RegExp | string | undefined,
): Subscription {
  if ((topics === undefined) === (pattern === undefined)) refuse('name either topics or a pattern');
  if (pattern === undefined) {
    const names = typeof topics === 'string' ? [topics] : [...new Set(topics)];
    if (names.length === 0) refuse('name at least one topic');
    return { topics: names.sort() };
  }
  if (typeof pattern === 'string') return { pattern: compiled(pattern) && pattern };
  const others = pattern.flags.replace('i', '');
  if (others !== '') refuse(`of a pattern's flags only i can be used, not ${others}`);
  return { pattern: pattern.ignoreCase ? `(?i)${pattern.source}` : pattern.source };
}

/** A pattern as this side matches it: on the whole name, as the broker does. @throws Fault invalidArgument. */
function compiled(pattern: string): RegExp {
  const ignoresCase = pattern.startsWith('(?i)');
  try {
    return new RegExp(`^(?:${ignoresCase ? pattern.slice(4) : pattern})$`, ignoresCase ? 'i' : '');
  } catch (cause) {
    const detail =
      `the pattern ${pattern} must be one that JavaScript reads too, not only RE2: write named groups as (?<name>…) and ` +
      `flags as (?i) in front. ${(cause as Error).message}`;
    throw new Fault('invalidArgument', { detail, cause });
  }
}

function refuse(detail: string): never {
  throw new Fault('invalidArgument', { detail });
}

/** How many partitions each of the topics has; those that do not exist are left out. @throws Fault connectionFailed and others. */
export async function partitionCounts(cluster: Cluster, topics: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  if (topics.length === 0) return counts;
  for (const [name, topic] of (await cluster.askMetadata(topics)).topics) {
    if (!(topic instanceof Fault)) counts.set(name, topic.partitions.length);
    else if (topic.kafka !== 'UNKNOWN_TOPIC_OR_PARTITION') throw topic;
  }
  return counts;
}

/** The names that a subscription comes to now. @throws Fault connectionFailed and others. */
export async function subscribedTopics(cluster: Cluster, subscription: Subscription): Promise<readonly string[]> {
  if ('topics' in subscription) return subscription.topics;
  const matches = compiled(subscription.pattern);
  const { topics } = await cluster.askMetadata(null);
  return [...topics]
    .filter(([name, topic]) => matches.test(name) && !(topic instanceof Fault) && !topic.internal)
    .map(([name]) => name)
    .sort();
}
