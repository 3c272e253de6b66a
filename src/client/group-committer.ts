import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import { detailOf } from './fault-detail.ts';
import type { GroupLink } from './group-link.ts';
import type { MemberIdentity } from './group-member.ts';
import { byTopic, type NewOffset, type PartitionOfTopic } from './group-offsets.ts';

export interface CommitterParts {
  link: GroupLink;
  instanceId: string | null;
  /** Who commits, now. */
  identity: () => MemberIdentity;
  /** Whether the partition is still this member's to commit. */
  owns: (partition: PartitionOfTopic) => boolean;
}

/** They say that the member, as it called itself, is no longer one. */
const fencing: ReadonlySet<KafkaErrorName> = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'FENCED_INSTANCE_ID',
  'FENCED_MEMBER_EPOCH',
  'STALE_MEMBER_EPOCH',
]);
/** The group is between two generations: the same commit succeeds with the next one. */
const betweenGenerations: ReadonlySet<KafkaErrorName> = new Set(['REBALANCE_IN_PROGRESS']);
/** A broker that has just started may not know its topics yet; after so many tries the topic was deleted. */
const UNKNOWN_TOPIC_TRIES = 3;
/** Those after it name topics by id. */
const NAMES_VERSION_LAST = 9;
const STATIC_MEMBERS_VERSION = 7;

/** Commits offsets as a member of a group, one request after another, so that an older offset never follows a newer one. */
export class GroupCommitter {
  readonly #parts: CommitterParts;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  /** @throws Fault notAssigned, commitFenced, unknownTopic and what the broker refuses with. */
  commit(offsets: readonly NewOffset[], timeoutMs = this.#parts.link.callTimeoutMs): Promise<void> {
    const done = this.#turn.then(() => this.#commit(offsets, timeoutMs));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #commit(offsets: readonly NewOffset[], timeoutMs: number): Promise<void> {
    const { link } = this.#parts;
    const { clock } = link.cluster;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    let open = [...offsets];
    for (let failures = 1; open.length > 0; failures++) {
      for (const offset of open) this.#checkOwned(offset);
      const { fault, left } = await this.#attempt(open);
      if (fault === null) return;
      open = left;
      const isGone = fault.kafka === 'UNKNOWN_TOPIC_OR_PARTITION' && failures >= UNKNOWN_TOPIC_TRIES;
      if (isGone) throw new Fault('unknownTopic', { detail: detailOf(fault), cause: fault });
      if (clock.monotonicMs() >= deadlineMs) throw fault;
      link.cluster.logger.debug({ group: link.group, err: fault, failures }, 'a commit is tried again');
      await link.pause(failures);
    }
  }

  /** @throws Fault notAssigned. */
  #checkOwned({ topic, partition }: PartitionOfTopic): void {
    if (this.#parts.owns({ topic, partition })) return;
    throw new Fault('notAssigned', { detail: `topic ${topic}, partition ${partition}` });
  }

  /** What may pass, and which offsets that leaves to be committed. @throws Fault what does not pass. */
  async #attempt(offsets: readonly NewOffset[]): Promise<{ fault: Fault | null; left: NewOffset[] }> {
    const { link, identity, instanceId } = this.#parts;
    const asked = identity();
    const connectionFault = (error: unknown): { fault: Fault; left: NewOffset[] } => {
      if (error instanceof Fault && error.retriable) return { fault: error, left: [...offsets] };
      throw error;
    };
    const answers = await this.#request(offsets, asked, instanceId).catch(connectionFault);
    if (!Array.isArray(answers)) return answers;
    let last: Fault | null = null;
    const left: NewOffset[] = [];
    for (const offset of offsets) {
      const { topic, partition } = offset;
      const code = answers.find((one) => one.topic === topic && one.partition === partition)?.errorCode ?? 0;
      const fault = link.faultOf(code, `group ${link.group}, topic ${topic}, partition ${partition}`);
      if (fault === null) continue;
      const now = identity();
      // Refused as what it was before; what it is now is asked next.
      const hasMovedOn = now.generation !== asked.generation && now.generation >= 0;
      const mayPass =
        fault.retriable || betweenGenerations.has(fault.kafka) || (fencing.has(fault.kafka) && hasMovedOn);
      if (!mayPass) throw fencing.has(fault.kafka) ? fenced(fault) : fault;
      last = fault;
      left.push(offset);
    }
    return { fault: last, left };
  }

  async #request(
    offsets: readonly NewOffset[],
    { memberId, generation }: MemberIdentity,
    instanceId: string | null,
  ): Promise<{ topic: string; partition: number; errorCode: number }[]> {
    const { link } = this.#parts;
    const version = (await link.connection()).versionOf('OffsetCommit', NAMES_VERSION_LAST);
    const topics = [...byTopic(offsets)].map(([name, partitions]) => ({
      name,
      partitions: partitions.map(({ partition, offset, leaderEpoch = -1, metadata = '' }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch,
        committedMetadata: metadata,
      })),
    }));
    const response = await link.request(
      'OffsetCommit',
      {
        groupId: link.group,
        generationIdOrMemberEpoch: generation,
        memberId,
        groupInstanceId: version >= STATIC_MEMBERS_VERSION ? instanceId : null,
        topics,
      },
      { versionMax: version },
    );
    return response.topics.flatMap(({ name: topic, partitions }) =>
      partitions.map(({ partitionIndex: partition, errorCode }) => ({ topic, partition, errorCode })),
    );
  }
}

function fenced(cause: Fault): Fault {
  return new Fault('commitFenced', { detail: `${cause.kafka}, ${cause.message}`, kafka: cause.kafka, cause });
}
