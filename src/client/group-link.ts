import { sleep } from '../base/clock.ts';
import { Fault, faultFromKafka } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import type { Draft } from '../wire/codec.ts';
import type { ApiName, Messages } from '../wire/messages.generated.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { Cluster, Lane } from './cluster.ts';
import type { Connection, RequestOptions } from './connection.ts';
import { GroupCoordinators, groupDetail } from './group-coordinators.ts';

export interface GroupLinkParts {
  cluster: Cluster;
  lane: Lane;
  callTimeoutMs: number;
  requestTimeoutMs: number;
  retryBackoff: Backoff;
}

const movedCoordinator: ReadonlySet<KafkaErrorName> = new Set(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE']);

/**
 * One group's coordinator, as its member asks it: found once, and again when it has moved or cannot be reached. What may wait for
 * long (joining) has a lane of its own, so that heartbeats and commits go on meanwhile.
 */
export class GroupLink {
  readonly group: string;
  readonly cluster: Cluster;
  readonly #parts: GroupLinkParts;
  readonly #coordinators: GroupCoordinators;
  #coordinator: number | null = null;
  #closed = false;

  constructor(group: string, parts: GroupLinkParts) {
    this.group = group;
    this.cluster = parts.cluster;
    this.#parts = parts;
    this.#coordinators = new GroupCoordinators(parts.cluster, parts.callTimeoutMs);
  }

  get requestTimeoutMs(): number {
    return this.#parts.requestTimeoutMs;
  }

  get callTimeoutMs(): number {
    return this.#parts.callTimeoutMs;
  }

  /** @throws Fault, after which the coordinator is looked for anew. */
  async connection(slow = false): Promise<Connection> {
    if (this.#closed) throw new Fault('clientClosed', { detail: 'the consumer' });
    try {
      if (this.#coordinator === null) {
        const found = (await this.#coordinators.find([this.group])).get(this.group);
        if (found instanceof Fault) throw found;
        this.#coordinator = found ?? null;
      }
      if (this.#closed) throw new Fault('clientClosed', { detail: 'the consumer' });
      const { lane } = this.#parts;
      return await this.cluster.connection(this.#coordinator ?? -1, slow ? `${lane} joining` : lane);
    } catch (error) {
      this.#coordinator = null;
      throw error;
    }
  }

  /** One attempt. @throws Fault, after which the coordinator is looked for anew. */
  async request<A extends ApiName>(
    api: A,
    message: Draft<Messages[A]['request']>,
    options: RequestOptions & { slow?: boolean } = {},
  ): Promise<Messages[A]['response']> {
    const connection = await this.connection(options.slow);
    try {
      return await connection.request(api, message, options);
    } catch (error) {
      this.#coordinator = null;
      throw error;
    }
  }

  /** What the coordinator answered, as a fault; null for code 0. */
  faultOf(code: number, detail?: string | null): Fault | null {
    const fault = faultFromKafka(code, detail ?? groupDetail(this.group));
    if (fault !== null && movedCoordinator.has(fault.kafka)) this.#coordinator = null;
    return fault;
  }

  /** Waits before a further attempt, and asks who is there meanwhile. */
  async pause(failures: number): Promise<void> {
    const { cluster, retryBackoff } = this.#parts;
    await sleep(cluster.clock, backoffMs(retryBackoff, failures, cluster.random));
    if (!this.#closed) await cluster.refresh();
  }

  close(): void {
    this.#closed = true;
    const { cluster, lane } = this.#parts;
    cluster.closeLane(lane);
    cluster.closeLane(`${lane} joining`);
  }
}
