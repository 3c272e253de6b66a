import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import type { Cursor } from './cursor.ts';
import { detailOf } from './fault-detail.ts';
import type { GroupLink } from './group-link.ts';
import type { MemberIdentity } from './group-member.ts';
import { commitTopics, type NewOffset, type PartitionOfTopic, type PartitionOutcome } from './group-offsets.ts';

export interface CommitterParts {
  link: GroupLink;
  instanceId: string | null;
  /** Who commits, now. */
  identity: () => MemberIdentity;
  /** The cursor of a partition that is this member's; it is another one when the partition was lost and is had again. */
  find: (partition: PartitionOfTopic) => Cursor | undefined;
}

/** Of one partition, in one try. */
interface Answer {
  readonly fault: Fault | null;
  readonly mayPass: boolean;
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

  /**
   * How it went in each partition: notAssigned, unknownTopic where the topic was deleted, and what else the broker says against it.
   * @throws Fault commitFenced and what is said against the member.
   */
  commit(
    offsets: readonly NewOffset[],
    timeoutMs = this.#parts.link.callTimeoutMs,
  ): Promise<readonly PartitionOutcome[]> {
    const { find } = this.#parts;
    const asked = new Map(offsets.map((offset) => [offset, find(offset)]));
    // One that was lost and is had again is not: another member may have committed more meanwhile.
    const isStillOwned = (offset: NewOffset): boolean => {
      const cursor = find(offset);
      return cursor !== undefined && cursor === asked.get(offset);
    };
    const done = this.#turn.then(() => this.#commit(offsets, isStillOwned, timeoutMs));
    this.#turn = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  async #commit(
    offsets: readonly NewOffset[],
    isStillOwned: (offset: NewOffset) => boolean,
    timeoutMs: number,
  ): Promise<readonly PartitionOutcome[]> {
    const { link } = this.#parts;
    const { clock } = link.cluster;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const outcomes = new Map<NewOffset, Fault | null>();
    let open = [...offsets];
    for (let failures = 1; open.length > 0; failures++) {
      const lost = open.filter((offset) => !isStillOwned(offset));
      for (const one of lost) outcomes.set(one, notAssigned(one));
      open = open.filter((offset) => !outcomes.has(offset));
      if (open.length === 0) break;
      const answers = await this.#attempt(open);
      let mayPass: Fault | null = null;
      for (const [offset, answer] of answers) {
        const fault = answer.fault === null ? null : settledFault(answer.fault, failures);
        const isOver = fault !== answer.fault || !answer.mayPass || clock.monotonicMs() >= deadlineMs;
        if (isOver) outcomes.set(offset, fault);
        else mayPass = answer.fault;
      }
      open = open.filter((offset) => !outcomes.has(offset));
      if (mayPass === null) break;
      link.cluster.logger.debug({ group: link.group, err: mayPass, failures }, 'a commit is tried again');
      await link.pause(failures);
    }
    return offsets.map((offset) => {
      return { topic: offset.topic, partition: offset.partition, fault: outcomes.get(offset) ?? null };
    });
  }

  /** @throws Fault what is said against the member, or of the request. */
  async #attempt(offsets: readonly NewOffset[]): Promise<Map<NewOffset, Answer>> {
    const { link, identity, instanceId } = this.#parts;
    const asked = identity();
    const connectionFault = (error: unknown): Fault => {
      if (error instanceof Fault && error.retriable) return error;
      throw error;
    };
    const answers = await this.#request(offsets, asked, instanceId).catch(connectionFault);
    if (answers instanceof Fault) return new Map(offsets.map((offset) => [offset, { fault: answers, mayPass: true }]));
    const found = new Map<NewOffset, Answer>();
    for (const offset of offsets) {
      const { topic, partition } = offset;
      const code = answers.find((one) => one.topic === topic && one.partition === partition)?.errorCode ?? 0;
      const fault = link.faultOf(code, `group ${link.group}, topic ${topic}, partition ${partition}`);
      const isFencing = fault !== null && fencing.has(fault.kafka);
      const now = identity();
      // Refused as what it was before; what it is now, or will be, is asked next.
      const hasMovedOn = now.generation !== asked.generation && now.generation >= 0;
      if (isFencing && !hasMovedOn && !now.isMovingOn) throw fenced(fault);
      const mayPass = fault !== null && (fault.retriable || betweenGenerations.has(fault.kafka) || isFencing);
      found.set(offset, { fault: isFencing ? fenced(fault) : fault, mayPass });
    }
    return found;
  }

  async #request(
    offsets: readonly NewOffset[],
    { memberId, generation }: MemberIdentity,
    instanceId: string | null,
  ): Promise<{ topic: string; partition: number; errorCode: number }[]> {
    const { link } = this.#parts;
    const version = (await link.connection()).versionOf('OffsetCommit', NAMES_VERSION_LAST);
    const response = await link.request(
      'OffsetCommit',
      {
        groupId: link.group,
        generationIdOrMemberEpoch: generation,
        memberId,
        groupInstanceId: version >= STATIC_MEMBERS_VERSION ? instanceId : null,
        topics: commitTopics(offsets),
      },
      { versionMax: version },
    );
    return response.topics.flatMap(({ name: topic, partitions }) =>
      partitions.map(({ partitionIndex: partition, errorCode }) => ({ topic, partition, errorCode })),
    );
  }
}

/** What a partition's fault comes to after so many tries. */
function settledFault(fault: Fault, failures: number): Fault {
  const isGone = fault.kafka === 'UNKNOWN_TOPIC_OR_PARTITION' && failures >= UNKNOWN_TOPIC_TRIES;
  return isGone ? new Fault('unknownTopic', { detail: detailOf(fault), cause: fault }) : fault;
}

function notAssigned({ topic, partition }: PartitionOfTopic): Fault {
  return new Fault('notAssigned', { detail: `topic ${topic}, partition ${partition}` });
}

function fenced(cause: Fault): Fault {
  return new Fault('commitFenced', { detail: `${cause.kafka}, ${cause.message}`, kafka: cause.kafka, cause });
}
