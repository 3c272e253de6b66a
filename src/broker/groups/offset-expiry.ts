import type { Uuid } from '../../base/random.ts';
import type { TopicOffsets } from './committed-offsets.ts';
import type { Group } from './group.ts';
import type { CommittedOffset, GroupEvent } from './group-events.ts';

/**
 * What of a group's offsets is to be removed (KIP-211): those of topics that are gone, and those of topics that the group no
 * longer reads, when it has not used them for as long as offsets are kept, or as its client wished when it committed them.
 */
export function expiredOffsets(
  group: Group,
  offsets: ReadonlyMap<string, TopicOffsets>,
  nowMs: number,
  retentionMs: number,
  topicExists: (id: Uuid) => boolean,
): GroupEvent[] {
  const events: GroupEvent[] = [];
  for (const [topic, { topicId, partitions }] of offsets) {
    const removal = { type: 'offsetsRemoved', group: group.id, topic, topicId, committedUntilMs: nowMs } as const;
    if (!topicExists(topicId)) {
      events.push({ ...removal, partitions: null });
      continue;
    }
    if (group.isSubscribedTo(topic)) continue;
    const expired = Array.from(partitions).filter(([, committed]) => isExpired(group, committed, nowMs, retentionMs));
    // Those that are committed again while this is on its way to the disk stay.
    const committedUntilMs = Math.max(...expired.map(([, { committedAtMs }]) => committedAtMs));
    if (expired.length > 0) events.push({ ...removal, partitions: expired.map(([index]) => index), committedUntilMs });
  }
  return events;
}

function isExpired(group: Group, { committedAtMs, expiresAtMs }: CommittedOffset, nowMs: number, retentionMs: number) {
  const unusedSinceMs = group.unusedSinceMs(committedAtMs);
  if (unusedSinceMs === null) return false;
  return nowMs >= (expiresAtMs ?? unusedSinceMs + retentionMs);
}
