import path from 'node:path';
import type { Uuid } from './base/random.ts';
import type { ClusterEvent, ClusterState } from './broker/cluster-state.ts';

export const CLUSTER_LEDGER = path.join('ledger', 'cluster');
const GROUPS_LEDGER = path.join('ledger', 'groups');

/** What was there at some time, by the cluster ledger: how many partitions of each topic, and the groups' ledger. */
interface Known {
  readonly partitions: ReadonlyMap<Uuid, number>;
  readonly hasGroups: boolean;
}

const NOTHING: Known = { partitions: new Map(), hasGroups: false };

/**
 * Which folders of logs must be there, by the events of the cluster ledger. A topic's event comes before its folders: a crash in
 * between leaves none, and nothing is lost. They are there for sure when a broker has stopped since, or has started twice.
 */
export class ExpectedFolders {
  readonly #state: ClusterState;
  #made = NOTHING;
  #atLastMark = NOTHING;

  constructor(state: ClusterState) {
    this.#state = state;
  }

  /** To be called when the state has taken in the event. */
  note({ type }: ClusterEvent): void {
    if (type !== 'started' && type !== 'stopped') return;
    const { topics } = this.#state;
    const now = { partitions: new Map(Array.from(topics, ([id, one]) => [id, one.partitions])), hasGroups: true };
    this.#made = type === 'stopped' ? now : this.#atLastMark;
    this.#atLastMark = now;
  }

  /** Folders that the ledger knows, and whether they must be there also when nothing else knows them. */
  *[Symbol.iterator](): Generator<{ folder: string; isMade: boolean }> {
    for (const { id, partitions } of this.#state.topics.values()) {
      for (let i = 0; i < partitions; i += 1) {
        yield { folder: path.join('topics', id, String(i)), isMade: i < (this.#made.partitions.get(id) ?? 0) };
      }
    }
    yield { folder: GROUPS_LEDGER, isMade: this.#made.hasGroups };
  }
}
