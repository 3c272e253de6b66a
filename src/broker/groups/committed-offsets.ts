import type { Uuid } from '../../base/random.ts';
import type { Topic } from '../topic.ts';
import type { CommittedOffset, GroupEvent, StoredOffset } from './group-events.ts';

/** Offsets told again in one event. */
const EVENT_OFFSETS_MAX = 1000;

/** One partition of a commit. `metadata` null is none. */
export interface OffsetCommit {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

/** What a group has committed of one topic. */
export interface TopicOffsets {
  readonly topicId: Uuid;
  readonly partitions: Map<number, CommittedOffset>;
}

/**
 * The committed offsets of all groups, as far as they are durable. Maps are emptied before they are dropped: whoever is in
 * the middle of reading one (the ledger, which writes live state slice by slice) then finds no more in it.
 */
export class CommittedOffsets {
  readonly #groups = new Map<string, Map<string, TopicOffsets>>();

  groupIds(): IterableIterator<string> {
    return this.#groups.keys();
  }

  /** Groups that have committed something. */
  get size(): number {
    return this.#groups.size;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  /** By topic name; null when the group has committed nothing. */
  ofGroup(group: string): ReadonlyMap<string, TopicOffsets> | null {
    return this.#groups.get(group) ?? null;
  }

  commit({ group, topic, topicId, partitions }: Extract<GroupEvent, { type: 'offsets' }>): void {
    let topics = this.#groups.get(group);
    if (topics === undefined) this.#groups.set(group, (topics = new Map()));
    let offsets = topics.get(topic);
    if (offsets?.topicId !== topicId) {
      // What is left is of an older topic of this name.
      offsets?.partitions.clear();
      topics.set(topic, (offsets = { topicId, partitions: new Map() }));
    }
    for (const [partition, offset, leaderEpoch, metadata, committedAtMs, expiresAtMs] of partitions) {
      offsets.partitions.set(partition, { offset, leaderEpoch, metadata, committedAtMs, expiresAtMs });
    }
  }

  remove({
    group,
    topic,
    topicId,
    partitions,
    committedUntilMs,
  }: Extract<GroupEvent, { type: 'offsetsRemoved' }>): void {
    const topics = this.#groups.get(group);
    const offsets = topics?.get(topic);
    if (topics === undefined || offsets === undefined || offsets.topicId !== topicId) return;
    for (const partition of partitions ?? [...offsets.partitions.keys()]) {
      const committed = offsets.partitions.get(partition);
      if (committed === undefined || committed.committedAtMs > (committedUntilMs ?? Infinity)) continue;
      offsets.partitions.delete(partition);
    }
    if (offsets.partitions.size === 0) topics.delete(topic);
    if (topics.size === 0) this.#groups.delete(group);
  }

  removeAll(group: string): void {
    const topics = this.#groups.get(group);
    if (topics === undefined) return;
    for (const { partitions } of topics.values()) partitions.clear();
    topics.clear();
    this.#groups.delete(group);
  }

  *live(): Generator<GroupEvent> {
    for (const [group, topics] of this.#groups) {
      for (const [topic, { topicId, partitions }] of topics) {
        let stored: StoredOffset[] = [];
        for (const [partition, committed] of partitions) {
          const { offset, leaderEpoch, metadata, committedAtMs, expiresAtMs } = committed;
          stored.push([partition, offset, leaderEpoch, metadata, committedAtMs, expiresAtMs]);
          if (stored.length < EVENT_OFFSETS_MAX) continue;
          yield { type: 'offsets', group, topic, topicId, partitions: stored };
          stored = [];
        }
        if (stored.length > 0) yield { type: 'offsets', group, topic, topicId, partitions: stored };
      }
    }
  }
}

/** What makes commits of a group durable. */
export function offsetEvents(
  group: string,
  commits: readonly OffsetCommit[],
  committedAtMs: number,
  expiresAtMs: number | null,
): GroupEvent[] {
  const byTopic = Map.groupBy(commits, ({ topic }) => topic);
  return Array.from(byTopic, ([{ id: topicId, name: topic }, ofTopic]) => {
    const partitions = ofTopic.map(({ partition, offset, leaderEpoch, metadata }): StoredOffset => {
      return [partition, offset, leaderEpoch, metadata ?? '', committedAtMs, expiresAtMs];
    });
    return { type: 'offsets', group, topic, topicId, partitions };
  });
}
