import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import { faultFromKafka } from '../src/base/faults.ts';
import { randomUuid, systemRandom } from '../src/base/random.ts';
import { encodeAssignment, encodeSubscription } from '../src/client/assignment-bytes.ts';
import { Connection } from '../src/client/connection.ts';
import { tcpConnector } from '../src/client/tcp-transport.ts';
import { packageVersion } from '../src/client/version.ts';

const HOST = '127.0.0.1';
const SESSION_TIMEOUT_MS = 45_000;
const REBALANCE_TIMEOUT_MS = 60_000;
const REQUEST_TIMEOUT_MS = 120_000;

export interface MemberOptions {
  port: number;
  group: string;
  topic: string;
  partitions: number;
  /** Of the classic protocol; the other's broker says. */
  heartbeatIntervalMs: number;
}

/** A member of a group that reads nothing: it only joins, keeps up, and leaves. */
export interface Member {
  /** Or the member's epoch; -1 while it has none. */
  readonly generation: number;
  /** How many partitions it has. */
  readonly owned: number;
  readonly heartbeats: number;
  /** Resolves when it has left. @throws what ends its membership */
  run(): Promise<void>;
  leave(): void;
}

async function connect(port: number): Promise<Connection> {
  const connector = tcpConnector({ clientId: 'bench', clock: systemClock, connectTimeoutMs: REQUEST_TIMEOUT_MS });
  return Connection.open(await connector.connect({ host: HOST, port }), {
    peer: `${HOST}:${port}`,
    clock: systemClock,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    software: { name: 'millrace', version: packageVersion },
  });
}

function check(code: number): void {
  const fault = faultFromKafka(code);
  if (fault !== null) throw fault;
}

/** The coordinator is still to come about: load in progress, not available, not coordinator. */
const notYet: ReadonlySet<number> = new Set([14, 15, 16]);
const NOT_YET_MS = 200;
const MEMBER_ID_REQUIRED = 79;
const REBALANCE_IN_PROGRESS = 27;

/** In the classic protocol, eager; the leader deals partitions out in turns. */
export class ClassicMember implements Member {
  readonly #options: MemberOptions;
  #left = new AbortController();
  #memberId = '';
  generation = -1;
  owned = 0;
  heartbeats = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  leave(): void {
    this.#left.abort();
  }

  async run(): Promise<void> {
    const connection = await connect(this.#options.port);
    try {
      while (!this.#left.signal.aborted) {
        await this.#join(connection);
        await this.#beat(connection);
      }
      await connection.request('LeaveGroup', {
        groupId: this.#options.group,
        members: [{ memberId: this.#memberId, groupInstanceId: null, reason: null }],
      });
    } finally {
      connection.close();
    }
  }

  async #join(connection: Connection): Promise<void> {
    const { group: groupId, topic } = this.#options;
    const metadata = encodeSubscription({ topics: [topic], userData: null, owned: [], generation: -1 });
    for (;;) {
      const joined = await connection.request('JoinGroup', {
        groupId,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        memberId: this.#memberId,
        groupInstanceId: null,
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata }],
      });
      if (notYet.has(joined.errorCode)) {
        await sleep(NOT_YET_MS);
        continue;
      }
      this.#memberId = joined.memberId;
      if (joined.errorCode === MEMBER_ID_REQUIRED) continue;
      check(joined.errorCode);
      const assignments = joined.leader === joined.memberId ? this.#deal(joined.members) : [];
      const { generationId, memberId } = joined;
      const synced = await connection.request('SyncGroup', {
        groupId,
        generationId,
        memberId,
        groupInstanceId: null,
        protocolType: 'consumer',
        protocolName: 'range',
        assignments,
      });
      if (synced.errorCode === REBALANCE_IN_PROGRESS) continue;
      check(synced.errorCode);
      this.owned = 1;
      this.generation = generationId;
      return;
    }
  }

  #deal(members: readonly { memberId: string }[]): { memberId: string; assignment: Buffer }[] {
    const { topic, partitions: count } = this.#options;
    return members.map(({ memberId }, index) => {
      const partitions: number[] = [];
      for (let partition = index; partition < count; partition += members.length) partitions.push(partition);
      return { memberId, assignment: encodeAssignment([{ topic, partitions }]) };
    });
  }

  /** Until the group rebalances or this member leaves. */
  async #beat(connection: Connection): Promise<void> {
    const { group: groupId, heartbeatIntervalMs } = this.#options;
    while (await pause(heartbeatIntervalMs, this.#left.signal)) {
      const answer = await connection.request('Heartbeat', {
        groupId,
        generationId: this.generation,
        memberId: this.#memberId,
        groupInstanceId: null,
      });
      this.heartbeats++;
      if (answer.errorCode === REBALANCE_IN_PROGRESS) return;
      check(answer.errorCode);
    }
  }
}

/** In the protocol in which the broker assigns (KIP-848). What is to be given up is given up at once. */
export class NewMember implements Member {
  readonly #options: MemberOptions;
  readonly #left = new AbortController();
  readonly #memberId = randomUuid(systemRandom);
  generation = -1;
  owned = 0;
  heartbeats = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  leave(): void {
    this.#left.abort();
  }

  async run(): Promise<void> {
    const { port, group: groupId, topic } = this.#options;
    const connection = await connect(port);
    const memberId = this.#memberId;
    try {
      let told: object = {
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        subscribedTopicNames: [topic],
        topicPartitions: [],
      };
      for (let intervalMs = 0; await pause(intervalMs, this.#left.signal); ) {
        const memberEpoch = Math.max(0, this.generation);
        const answer = await connection.request('ConsumerGroupHeartbeat', { groupId, memberId, memberEpoch, ...told });
        if (notYet.has(answer.errorCode)) {
          intervalMs = NOT_YET_MS;
          continue;
        }
        check(answer.errorCode);
        this.heartbeats++;
        const { assignment, heartbeatIntervalMs } = answer;
        if (assignment !== null) {
          this.owned = assignment.topicPartitions.reduce((sum, { partitions }) => sum + partitions.length, 0);
        }
        this.generation = answer.memberEpoch;
        // What it has now is told at once, as clients do.
        told = assignment === null ? {} : { topicPartitions: assignment.topicPartitions };
        intervalMs = assignment === null ? heartbeatIntervalMs : 0;
      }
      await connection.request('ConsumerGroupHeartbeat', { groupId, memberId, memberEpoch: -1 });
    } finally {
      connection.close();
    }
  }
}

/** False when it was to end. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  if (ms === 0) return true;
  return sleep(ms, true, { signal }).catch(() => false);
}
