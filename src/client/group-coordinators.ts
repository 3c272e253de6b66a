import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Cluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import { saidOf } from './said-of.ts';

/** The first version that looks for several groups at once. */
const SEVERAL_KEYS_VERSION = 4;
/** Of the key: a group, not a transaction. */
const GROUP_KEY = 0;
const LANE = 'admin';

/** What a request to one coordinator says of each of the groups it was asked for. */
export type GroupAsk<T> = (
  connection: Connection,
  groups: readonly string[],
) => Promise<ReadonlyMap<string, T | Fault>>;

/** Finds the broker that has the say over a group, and asks it; again after it has changed or while it is still loading. */
export class GroupCoordinators {
  readonly #cluster: Cluster;
  readonly #timeoutMs: number;

  constructor(cluster: Cluster, timeoutMs: number) {
    this.#cluster = cluster;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Asks about every group, those of one coordinator together. What is retriable is repeated until the time is over; what then
   * is left, or is not retriable, becomes the fault of its group alone.
   * @throws Fault connectionFailed, notSupportedByBroker and others that concern all.
   */
  async ask<T>(what: string, groups: readonly string[], ask: GroupAsk<T>): Promise<Map<string, T | Fault>> {
    const answers = new Map<string, T | Fault>();
    if (groups.length === 0) return answers;
    const open = new Set(groups);
    const attempt = async (): Promise<void> => {
      const found = await this.find([...open]);
      const asks = [...byCoordinator(found)].map(async ([coordinator, ofIt]) => {
        return ask(await this.#cluster.connection(coordinator, LANE), ofIt);
      });
      const outcomes = await Promise.allSettled(asks);
      const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
      const said = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [...outcome.value] : []));
      for (const [group, coordinator] of found) if (coordinator instanceof Fault) said.push([group, coordinator]);
      for (const [group, answer] of said) {
        answers.set(group, answer);
        if (!(answer instanceof Fault && answer.retriable)) open.delete(group);
      }
      if (rejected !== undefined) throw rejected.reason;
      const [unfinished] = open;
      const last = unfinished === undefined ? undefined : answers.get(unfinished);
      if (last instanceof Fault) throw last;
    };
    try {
      await this.#cluster.retrying(what, this.#timeoutMs, attempt);
    } catch (error) {
      if ([...open].some((group) => !answers.has(group))) throw error;
    }
    return new Map(groups.flatMap((group) => (answers.has(group) ? [[group, answers.get(group)!] as const] : [])));
  }

  /** As `ask`, for one group. @throws Fault what the coordinator says against it, and those of `ask`. */
  async askOne<T>(what: string, group: string, ask: (connection: Connection) => Promise<T>): Promise<T> {
    const answers = await this.ask(what, [group], async (connection) => {
      try {
        return new Map([[group, await ask(connection)]]);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return new Map([[group, error]]);
      }
    });
    const answer = answers.get(group);
    if (answer instanceof Fault) throw answer;
    return answer as T;
  }

  /** One attempt: the broker of each group, or what is said against the group. @throws Fault connectionFailed and others. */
  async find(groups: readonly string[]): Promise<Map<string, number | Fault>> {
    if (this.#cluster.brokers.size === 0) await this.#cluster.askMetadata([]);
    const connection = await this.#cluster.connection(this.#cluster.controllerId, LANE);
    const found = new Map<string, number | Fault>();
    if (connection.versionOf('FindCoordinator') < SEVERAL_KEYS_VERSION) {
      for (const key of groups) {
        const answer = await connection.request('FindCoordinator', { key, keyType: GROUP_KEY });
        found.set(key, groupFault(answer.errorCode, key, answer.errorMessage) ?? answer.nodeId);
      }
      return found;
    }
    const asked = { coordinatorKeys: groups, keyType: GROUP_KEY };
    const { coordinators } = await connection.request('FindCoordinator', asked);
    for (const { key, errorCode, errorMessage, nodeId } of coordinators) {
      found.set(key, groupFault(errorCode, key, errorMessage) ?? nodeId);
    }
    return found;
  }
}

/** What a fault about a group says beyond its kind. */
export function groupDetail(group: string, said?: string | null): string {
  return saidOf(`group ${group}`, said);
}

/** What a broker answered of a group, in its own words too where they say more than the fault does. */
export function groupFault(code: number, group: string, said?: string | null): Fault | null {
  const general = faultFromKafka(code);
  if (general === null || !said) return faultFromKafka(code, groupDetail(group));
  const more = said.startsWith(general.message) ? said.slice(general.message.length).replace(/^: /, '') : said;
  const namesIt = [JSON.stringify(group), `group ${group} `].some((name) =>
    more.toLowerCase().includes(name.toLowerCase()),
  );
  // Only the name once more.
  if (more === JSON.stringify(group)) return faultFromKafka(code, groupDetail(group));
  return faultFromKafka(code, namesIt ? more : groupDetail(group, more));
}

function byCoordinator(found: ReadonlyMap<string, number | Fault>): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const [group, coordinator] of found) {
    if (coordinator instanceof Fault) continue;
    groups.set(coordinator, [...(groups.get(coordinator) ?? []), group]);
  }
  return groups;
}
