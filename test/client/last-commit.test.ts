import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { encodeAssignment } from '../../src/client/assignment-bytes.ts';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { FakeBroker, fetched, type Script, shortPauses, TOPIC, TOPIC_ID } from './fake-broker.ts';

/*
 * A group goes on to its next generation when all its members have joined, and a member learns of it a little later. One that stops
 * in between still owns what it had, and what it handled must not be handled again.
 */

const MEMBER = 'the member';
const PATIENCE = { timeout: 20_000, interval: 5 };
const { ILLEGAL_GENERATION, STALE_MEMBER_EPOCH, REBALANCE_IN_PROGRESS } = kafkaErrors;

/** A coordinator of one group with one member, which holds back what it has to say of the next generation. */
class Coordinator {
  generation = 0;
  isSynced = true;
  rebalances = false;
  readonly commits: { generation: number; offset: number; errorCode: number }[] = [];
  readonly #held = Promise.withResolvers<void>();

  /** Resolves at once for the first generation. */
  async #told(): Promise<void> {
    if (this.generation > 1) await this.#held.promise;
  }

  release(): void {
    this.#held.resolve();
  }

  /** Code 0 when the commit is made. */
  commit(generation: number, offset: number, outdated: number): number {
    let errorCode = 0;
    if (generation !== this.generation) errorCode = outdated;
    else if (!this.isSynced) errorCode = REBALANCE_IN_PROGRESS.code;
    this.commits.push({ generation, offset, errorCode });
    if (errorCode !== 0) this.release();
    return errorCode;
  }

  readonly classic: Script = {
    JoinGroup: async ({ protocols }) => {
      this.generation++;
      this.isSynced = false;
      const { generation } = this;
      await this.#told();
      const [{ name, metadata }] = protocols as [{ name: string; metadata: Buffer }];
      const members = [{ memberId: MEMBER, metadata }];
      return { generationId: generation, protocolName: name, leader: MEMBER, memberId: MEMBER, members };
    },
    SyncGroup: () => {
      this.isSynced = true;
      return { assignment: encodeAssignment([{ topic: TOPIC, partitions: [0] }]) };
    },
    Heartbeat: () => ({ errorCode: this.rebalances ? REBALANCE_IN_PROGRESS.code : 0 }),
    LeaveGroup: () => ({}),
  };

  readonly consumer: Script = {
    ConsumerGroupHeartbeat: async ({ memberId, memberEpoch }) => {
      if (memberEpoch < 0) return { memberId, memberEpoch };
      const joins = memberEpoch === 0;
      if (joins || (this.rebalances && this.generation === 1)) this.generation++;
      const { generation } = this;
      await this.#told();
      const assignment = joins ? { topicPartitions: [{ topicId: TOPIC_ID, partitions: [0] }] } : null;
      return { memberId, memberEpoch: generation, heartbeatIntervalMs: 20, assignment };
    },
  };
}

test.each([
  ['classic', ILLEGAL_GENERATION.code],
  ['consumer', STALE_MEMBER_EPOCH.code],
] as const)(
  'what a member has handled is committed also when it stops while its group goes on, by the protocol %s',
  async (protocol, outdated) => {
    const coordinator = new Coordinator();
    const ofPartition = (facts: object) => [{ name: TOPIC, partitions: [{ partitionIndex: 0, ...facts }] }] as never;
    let fetches = 0;
    await using broker = await FakeBroker.start({
      ...coordinator[protocol],
      FindCoordinator: ({ coordinatorKeys }) => ({
        coordinators: [{ key: coordinatorKeys[0]!, nodeId: 0, host: '127.0.0.1', port: 1 }],
      }),
      OffsetFetch: () => ({ groups: [{ groupId: 'group', topics: ofPartition({ committedOffset: 5 }) }] }),
      OffsetCommit: ({ generationIdOrMemberEpoch: generation, topics }) => {
        const offset = topics[0]!.partitions[0]!.committedOffset;
        return { topics: ofPartition({ errorCode: coordinator.commit(generation, offset, outdated) }) };
      },
      Fetch: () => {
        fetches++;
        const records = [{ timestampMs: 1, value: Buffer.from('five') }];
        return fetches === 1 ? fetched({ records: [buildBatch(records, { baseOffset: 5 })] }) : 'silence';
      },
    });
    await using client = await Millrace.connect(broker.address, shortPauses);
    const member = client.consumer({
      ...{ group: 'group', topics: TOPIC, protocol, value: text, heartbeatIntervalMs: 20 },
      autoCommitIntervalMs: 60_000,
    });
    for await (const { value } of member) {
      expect(value).toBe('five');
      coordinator.rebalances = true;
      await expect.poll(() => coordinator.generation, PATIENCE).toBe(2);
      member.stop();
      // Heartbeats and commits go by one connection, where nothing is answered before what was asked before it.
      if (protocol === 'consumer') setTimeout(() => coordinator.release(), 50);
    }
    expect(coordinator.commits.at(-1)).toEqual({ generation: 2, offset: 6, errorCode: 0 });
  },
);
