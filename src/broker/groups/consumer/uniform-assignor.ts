import type { Uuid } from '../../../base/random.ts';
import type { AssignorMember, PartitionCounts, TopicPartitions } from './assignor.ts';
import { compareText } from './range-assignor.ts';

/** Rounds over the topics in search of moves that make members of unlike subscriptions more even; Kafka's number. */
const BALANCING_ROUNDS_MAX = 16;

/** A member while partitions are being given: `count` is what it has of all topics. */
interface Share {
  readonly member: AssignorMember;
  readonly index: number;
  readonly topics: ReadonlySet<Uuid>;
  readonly partitions: Map<Uuid, number[]>;
  count: number;
}

/**
 * As many partitions to each member as to any other, and as few moved as that allows. Where members subscribe to different
 * topics, as even as their subscriptions let it be.
 */
export function assignUniform(
  members: readonly AssignorMember[],
  partitionCounts: PartitionCounts,
): Map<string, TopicPartitions> {
  if (members.length === 0) return new Map();
  const ordered = [...members].sort((a, b) => compareText(a.memberId, b.memberId));
  const topicSets = new Map<readonly Uuid[], ReadonlySet<Uuid>>();
  for (const { topics } of ordered) if (!topicSets.has(topics)) topicSets.set(topics, new Set(topics));
  const shares = ordered.map((member, index): Share => {
    const topics = topicSets.get(member.topics)!;
    const partitions = keptOf(member.target, topics, partitionCounts);
    return { member, index, topics, partitions, count: countOf(partitions) };
  });
  if (topicSets.size === 1) fillEvenly(shares, ordered[0]!.topics, partitionCounts);
  else balanceUnlike(shares, partitionCounts);
  return new Map(shares.map(({ member, partitions }) => [member.memberId, sorted(partitions)]));
}

/** What a member may keep: partitions that exist, of topics that it still subscribes to. */
function keptOf(
  target: TopicPartitions,
  topics: ReadonlySet<Uuid>,
  partitionCounts: PartitionCounts,
): Map<Uuid, number[]> {
  const kept = new Map<Uuid, number[]>();
  for (const [topic, partitions] of target) {
    if (!topics.has(topic)) continue;
    const existing = partitions.filter((partition) => partition < partitionCounts.get(topic)!);
    if (existing.length > 0) kept.set(topic, existing);
  }
  return kept;
}

/** All subscribe alike: each member has its quota; who has more gives up the rest, who has less takes what is free. */
function fillEvenly(shares: readonly Share[], topics: readonly Uuid[], partitionCounts: PartitionCounts): void {
  const total = topics.reduce((sum, topic) => sum + partitionCounts.get(topic)!, 0);
  const least = Math.floor(total / shares.length);
  let extras = total % shares.length;
  const quotas = new Map<Share, number>();
  // Who has more than the least already keeps one of the extra ones, so that it need not move.
  for (const share of shares) quotas.set(share, share.count > least && extras-- > 0 ? least + 1 : least);
  for (const share of shares)
    if (extras > 0 && quotas.get(share) === least && extras-- > 0) quotas.set(share, least + 1);
  for (const share of shares) while (share.count > quotas.get(share)!) giveUpLast(share);
  const free = unassigned(shares, topics, partitionCounts);
  for (const share of shares) {
    while (share.count < quotas.get(share)!) {
      const [topic, partition] = free.next().value!;
      take(share, topic, partition);
    }
  }
}

function* unassigned(
  shares: readonly Share[],
  topics: Iterable<Uuid>,
  partitionCounts: PartitionCounts,
): Generator<[Uuid, number], undefined> {
  const owned = new Map<Uuid, Set<number>>();
  for (const { partitions } of shares) {
    for (const [topic, owns] of partitions) {
      const known = owned.get(topic);
      if (known === undefined) owned.set(topic, new Set(owns));
      else for (const partition of owns) known.add(partition);
    }
  }
  for (const topic of topics) {
    const taken = owned.get(topic);
    for (let partition = 0; partition < partitionCounts.get(topic)!; partition++) {
      if (taken?.has(partition) !== true) yield [topic, partition];
    }
  }
  return undefined;
}

/**
 * Members subscribe to different topics. What is free goes to the subscriber that has least, topics with most partitions per
 * subscriber first; then, topic by topic, partitions move from who has most to who has least, until no topic allows it.
 */
function balanceUnlike(shares: readonly Share[], partitionCounts: PartitionCounts): void {
  const subscribers = new Map<Uuid, Share[]>();
  for (const share of shares) {
    for (const topic of share.topics) {
      const known = subscribers.get(topic);
      if (known === undefined) subscribers.set(topic, [share]);
      else known.push(share);
    }
  }
  const topics = [...subscribers.keys()].sort((a, b) => {
    const [some, others] = [subscribers.get(a)!.length, subscribers.get(b)!.length];
    const perSubscriber = partitionCounts.get(b)! / others - partitionCounts.get(a)! / some;
    return perSubscriber || some - others || compareText(a, b);
  });
  for (const [topic, partition] of unassigned(shares, topics, partitionCounts)) {
    take(leastOf(subscribers.get(topic)!), topic, partition);
  }
  for (let round = 0; round < BALANCING_ROUNDS_MAX; round++) {
    let moved = false;
    for (const topic of topics) if (evenOut(topic, subscribers.get(topic)!)) moved = true;
    if (!moved) return;
  }
}

/** Moves one topic's partitions among its subscribers while that makes them more even. Returns whether any moved. */
function evenOut(topic: Uuid, subscribers: readonly Share[]): boolean {
  for (let moved = false; ; moved = true) {
    const least = leastOf(subscribers);
    let most: Share | null = null;
    for (const share of subscribers) {
      if (share.partitions.has(topic) && (most === null || share.count >= most.count)) most = share;
    }
    if (most === null || most.count - least.count <= 1) return moved;
    const partitions = most.partitions.get(topic)!;
    const partition = partitions.pop()!;
    if (partitions.length === 0) most.partitions.delete(topic);
    most.count--;
    take(least, topic, partition);
  }
}

function leastOf(shares: readonly Share[]): Share {
  let least = shares[0]!;
  for (const share of shares) if (share.count < least.count) least = share;
  return least;
}

function take(share: Share, topic: Uuid, partition: number): void {
  const known = share.partitions.get(topic);
  if (known === undefined) share.partitions.set(topic, [partition]);
  else known.push(partition);
  share.count++;
}

function giveUpLast(share: Share): void {
  const [topic, partitions] = [...share.partitions].at(-1)!;
  partitions.pop();
  if (partitions.length === 0) share.partitions.delete(topic);
  share.count--;
}

function countOf(partitions: ReadonlyMap<Uuid, readonly number[]>): number {
  let count = 0;
  for (const each of partitions.values()) count += each.length;
  return count;
}

function sorted(partitions: ReadonlyMap<Uuid, number[]>): TopicPartitions {
  return new Map(Array.from(partitions, ([topic, each]) => [topic, each.sort((a, b) => a - b)]));
}
