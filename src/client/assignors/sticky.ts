import { decodeGeneration, decodeStickyData, encodeGeneration, encodeStickyData } from '../assignment-bytes.ts';
import { inOrder, type PartitionOfTopic } from '../group-offsets.ts';
import { type Assignor, type AssignorMember, compare, emptyPlan, type Plan, spread, topicsOf } from './assignor.ts';

/** What a member says it has, and of which generation that is. */
type Claim = { owned: readonly PartitionOfTopic[]; generation: number };

/** As even as can be, and of the even ones the plan that moves the fewest partitions. All give up everything first. */
export const sticky: Assignor = {
  name: 'sticky',
  isCooperative: false,
  userData: (owned, generation) => (generation < 0 ? null : encodeStickyData(owned, generation)),
  assign: (members, counts) =>
    stickyPlan(members, counts, ({ subscribed: { userData } }) => {
      if (userData === null || userData.length === 0) return { owned: [], generation: -1 };
      const { owned, generation } = decodeStickyData(userData);
      return { owned: spread(owned), generation };
    }),
};

/** As sticky; members keep what they have, and what changes hands is given to its new member only once its old one has let go. */
export const cooperativeSticky: Assignor = {
  name: 'cooperative-sticky',
  isCooperative: true,
  userData: (_owned, generation) => encodeGeneration(generation),
  assign(members, counts) {
    const plan = stickyPlan(members, counts, ({ subscribed }) => {
      const { userData, generation } = subscribed;
      const said =
        generation >= 0 || userData === null || userData.length === 0 ? generation : decodeGeneration(userData);
      return { owned: spread(subscribed.owned), generation: said };
    });
    const holders = new Map<string, string[]>();
    for (const { memberId, subscribed } of members) {
      for (const one of spread(subscribed.owned))
        holders.set(keyOf(one), [...(holders.get(keyOf(one)) ?? []), memberId]);
    }
    const isFree = (one: PartitionOfTopic, memberId: string): boolean =>
      (holders.get(keyOf(one)) ?? []).every((holder) => holder === memberId);
    return new Map(
      [...plan].map(([memberId, partitions]) => [memberId, partitions.filter((one) => isFree(one, memberId))]),
    );
  },
};

function stickyPlan(
  members: readonly AssignorMember[],
  counts: ReadonlyMap<string, number>,
  claimOf: (member: AssignorMember) => Claim,
): Plan {
  const table = new Table(members, counts);
  table.keep(validClaims(members, claimOf));
  if (table.isUniform) table.capToQuota();
  table.assignRest();
  table.balance();
  return table.plan();
}

/** The newest claim of each partition; of two of the same generation neither, since one of them must be wrong. */
function validClaims(
  members: readonly AssignorMember[],
  claimOf: (member: AssignorMember) => Claim,
): Map<string, string | null> {
  const newest = new Map<string, { memberId: string | null; generation: number }>();
  for (const member of members) {
    const { owned, generation } = claimOf(member);
    for (const one of owned) {
      const other = newest.get(keyOf(one));
      if (other === undefined || generation > other.generation) {
        newest.set(keyOf(one), { memberId: member.memberId, generation });
      } else if (generation === other.generation) other.memberId = null;
    }
  }
  return new Map([...newest].map(([key, { memberId }]) => [key, memberId]));
}

/** Who has what while the plan is made. */
class Table {
  readonly #topics: string[];
  /** By member id, in order. */
  readonly #takers: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #has: Map<string, PartitionOfTopic[]>;
  readonly #partitions: PartitionOfTopic[];
  readonly #owner = new Map<string, string>();
  /** Whether all members subscribe the same topics. */
  readonly isUniform: boolean;

  constructor(members: readonly AssignorMember[], counts: ReadonlyMap<string, number>) {
    const sorted = [...members].sort((a, b) => compare(a.memberId, b.memberId));
    this.#topics = topicsOf(members, counts);
    this.#takers = new Map(sorted.map(({ memberId, subscribed }) => [memberId, new Set(subscribed.topics)]));
    this.#has = emptyPlan(sorted);
    this.isUniform = sorted.every(({ subscribed }) => this.#topics.every((topic) => subscribed.topics.includes(topic)));
    const all = this.#topics.flatMap((topic) =>
      Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
    );
    const choices = new Map(this.#topics.map((topic) => [topic, this.#takersOf(topic).length]));
    // Those that few can take come first, while there is a choice; the sort is stable.
    this.#partitions = all.sort((a, b) => (choices.get(a.topic) ?? 0) - (choices.get(b.topic) ?? 0));
  }

  plan(): Plan {
    return new Map([...this.#has].map(([memberId, partitions]) => [memberId, inOrder(partitions)]));
  }

  keep(claims: ReadonlyMap<string, string | null>): void {
    for (const one of this.#partitions) {
      const memberId = claims.get(keyOf(one)) ?? null;
      if (memberId !== null && this.#takers.get(memberId)?.has(one.topic)) this.#give(one, memberId);
    }
  }

  /** Takes from each member what is beyond its even share, so that it can be given to those that have less. */
  capToQuota(): void {
    const least = Math.floor(this.#partitions.length / this.#has.size);
    let onesMore = this.#partitions.length % this.#has.size;
    for (const partitions of this.#has.values()) {
      const share = partitions.length > least && onesMore > 0 ? least + 1 : least;
      if (share > least) onesMore--;
      for (const one of partitions.splice(share)) this.#owner.delete(keyOf(one));
    }
  }

  assignRest(): void {
    for (const one of this.#partitions) {
      if (this.#owner.has(keyOf(one))) continue;
      const memberId = this.#leastLoaded(one.topic);
      if (memberId !== null) this.#give(one, memberId);
    }
  }

  /**
   * Moves partitions from a member to one that has at least two fewer, for as long as there are such: each time the sizes become
   * more even, so it ends. Where the two have no topic in common others in between pass on one of theirs each.
   */
  balance(): void {
    const byLoad = (): string[] => [...this.#has.keys()].sort((a, b) => this.#load(b) - this.#load(a));
    for (let moved = true; moved; ) {
      moved = byLoad().some((from) => {
        const way = this.#wayToLighter(from);
        for (let at = 0; at + 1 < way.length; at++) this.#pass(way[at]!, way[at + 1]!);
        return way.length > 0;
      });
    }
  }

  /** The shortest way by which partitions can be passed on to a member that has at least two fewer; empty if there is none. */
  #wayToLighter(from: string): string[] {
    const before = new Map<string, string | null>([[from, null]]);
    for (const member of before.keys()) {
      if (this.#load(member) <= this.#load(from) - 2) {
        const way: string[] = [];
        for (let one: string | null = member; one !== null; one = before.get(one) ?? null) way.unshift(one);
        return way;
      }
      const topics = new Set(this.#has.get(member)!.map(({ topic }) => topic));
      for (const [other, subscribed] of this.#takers) {
        if (!before.has(other) && [...topics].some((topic) => subscribed.has(topic))) before.set(other, member);
      }
    }
    return [];
  }

  #pass(from: string, to: string): void {
    const had = this.#has.get(from)!;
    // The last that it was given: what it owned before it keeps for as long as it can.
    const place = had.findLastIndex(({ topic }) => this.#takers.get(to)!.has(topic));
    const [one] = had.splice(place, 1);
    this.#give(one!, to);
  }

  #give(one: PartitionOfTopic, memberId: string): void {
    this.#has.get(memberId)!.push(one);
    this.#owner.set(keyOf(one), memberId);
  }

  #load(memberId: string): number {
    return this.#has.get(memberId)!.length;
  }

  #takersOf(topic: string): string[] {
    return [...this.#takers].filter(([, topics]) => topics.has(topic)).map(([memberId]) => memberId);
  }

  #leastLoaded(topic: string): string | null {
    let least: string | null = null;
    for (const [memberId, topics] of this.#takers) {
      if (topics.has(topic) && (least === null || this.#load(memberId) < this.#load(least))) least = memberId;
    }
    return least;
  }
}

function keyOf({ topic, partition }: PartitionOfTopic): string {
  return `${topic}:${partition}`;
}
