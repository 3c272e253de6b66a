import type { Uuid } from '../../../base/random.ts';
import type { MemberSubscription } from './consumer-member.ts';

/** The topics of the broker, as groups see them. */
export interface TopicsView {
  /** Another number after every topic that was made, deleted or got partitions. */
  readonly version: number;
  find(name: string): { readonly id: Uuid; readonly partitions: number } | null;
  nameOf(id: Uuid): string | null;
  /** The names that a pattern matches whole. The pattern was found good when its member sent it. */
  matching(regex: string): Iterable<string>;
}

/** The topics that each member of a group subscribes to and that exist. Members who subscribe alike get the same array. */
export class SubscribedTopics {
  readonly #topics: TopicsView;
  /** By what a member subscribes to, and, which is faster, by the array of its names. */
  readonly #known = new Map<string, readonly Uuid[]>();
  readonly #byNames = new Map<readonly string[], readonly Uuid[]>();
  readonly partitionCounts = new Map<Uuid, number>();

  constructor(topics: TopicsView) {
    this.#topics = topics;
  }

  of({ topicNames, topicRegex }: MemberSubscription): readonly Uuid[] {
    const seen = topicRegex === '' ? this.#byNames.get(topicNames) : undefined;
    if (seen !== undefined) return seen;
    const key = JSON.stringify([topicRegex, ...topicNames]);
    let ids = this.#known.get(key);
    if (ids === undefined) {
      const names = new Set(topicRegex === '' ? topicNames : [...topicNames, ...this.#topics.matching(topicRegex)]);
      const found = new Set<Uuid>();
      for (const name of names) {
        const topic = this.#topics.find(name);
        if (topic === null) continue;
        found.add(topic.id);
        this.partitionCounts.set(topic.id, topic.partitions);
      }
      this.#known.set(key, (ids = this.#sameAs([...found].sort())));
    }
    if (topicRegex === '') this.#byNames.set(topicNames, ids);
    return ids;
  }

  /** Unlike words may mean the same topics. */
  #sameAs(ids: readonly Uuid[]): readonly Uuid[] {
    for (const known of this.#known.values()) {
      if (known.length === ids.length && known.every((id, i) => id === ids[i])) return known;
    }
    return ids;
  }
}
