import type { Ledger } from '../ledger/ledger.ts';
import type { ClusterEvent, ClusterState } from './cluster-state.ts';

/** Ids taken from the ledger at once. Those left over at a stop are never used. */
const BLOCK_IDS = 1000;

/** Gives out producer ids, each once for ever: a block is noted durably before its first is given. */
export class ProducerIds {
  readonly #state: ClusterState;
  readonly #ledger: Ledger<ClusterEvent>;
  #next = 0;
  #endNext = 0;

  constructor(state: ClusterState, ledger: Ledger<ClusterEvent>) {
    this.#state = state;
    this.#ledger = ledger;
  }

  async next(): Promise<number> {
    while (this.#next === this.#endNext) {
      await this.#ledger.change(() => {
        // Another caller may have fetched a block while this one waited for its turn.
        if (this.#next < this.#endNext) return { events: [], result: undefined };
        const next = this.#state.producerIdNext + BLOCK_IDS;
        return { events: [{ type: 'producerIds', next }], result: undefined };
      });
      if (this.#next === this.#endNext) {
        this.#endNext = this.#state.producerIdNext;
        this.#next = this.#endNext - BLOCK_IDS;
      }
    }
    return this.#next++;
  }
}
