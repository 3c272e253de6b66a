import type { Uuid } from '../../../base/random.ts';
import type { AssignorMember, PartitionCounts, TopicPartitions } from './assignor.ts';

/**
 * Each topic's partitions in ranges, one after the other to its subscribers in their order: topics with as many partitions
 * and the same subscribers are split alike, so that what has one key in both comes to one member.
 */
export function assignRange(
  members: readonly AssignorMember[],
  partitionCounts: PartitionCounts,
): Map<string, TopicPartitions> {
  const ordered = [...members].sort(compareMembers);
  const assigned = new Map<string, Map<Uuid, number[]>>(ordered.map(({ memberId }) => [memberId, new Map()]));
  for (const [topic, subscribers] of subscribersByTopic(ordered)) {
    const partitions = partitionCounts.get(topic)!;
    const each = Math.floor(partitions / subscribers.length);
    const extra = partitions % subscribers.length;
    let next = 0;
    for (const [position, { memberId }] of subscribers.entries()) {
      const count = each + (position < extra ? 1 : 0);
      if (count === 0) break;
      const first = next;
      next += count;
      assigned.get(memberId)!.set(
        topic,
        Array.from({ length: count }, (_, i) => first + i),
      );
    }
  }
  return assigned;
}

function subscribersByTopic(members: readonly AssignorMember[]): Map<Uuid, AssignorMember[]> {
  const subscribers = new Map<Uuid, AssignorMember[]>();
  for (const member of members) {
    for (const topic of member.topics) {
      const known = subscribers.get(topic);
      if (known === undefined) subscribers.set(topic, [member]);
      else known.push(member);
    }
  }
  return subscribers;
}

/** Static members first, by their instance's name, which outlives a restart; then the others by their id. */
function compareMembers(a: AssignorMember, b: AssignorMember): number {
  if (a.instanceId !== null && b.instanceId !== null) return compareText(a.instanceId, b.instanceId);
  if (a.instanceId !== null || b.instanceId !== null) return a.instanceId !== null ? -1 : 1;
  return compareText(a.memberId, b.memberId);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
