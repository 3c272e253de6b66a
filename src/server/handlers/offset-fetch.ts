import { Fault } from '../../base/faults.ts';
import { ZERO_UUID } from '../../base/random.ts';
import type { Broker } from '../../broker/broker.ts';
import type { CommittedOffset } from '../../broker/groups/group-events.ts';
import { readingHandler, readOr } from '../handler.ts';

/** From here on a request may ask for several groups. */
const GROUPS_FROM = 8;
/** From here on topics are named by their ids. */
const IDS_FROM = 10;

interface WantedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitionIndexes: readonly number[];
}

interface WantedGroup {
  readonly groupId: string;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** Null: all that the group has committed. */
  readonly topics: readonly WantedTopic[] | null;
}

const NOTHING_COMMITTED = { committedOffset: -1, committedLeaderEpoch: -1, metadata: '' as string | null };

/** What a commit was answered for is what a fetch finds; with requireStable it also waits for those that are on their way. */
export const offsetFetch = readingHandler('OffsetFetch', [1, 10], async (request, { broker, version }) => {
  if (request.requireStable) await broker.groups.settled();
  if (version >= GROUPS_FROM) {
    return { groups: await Promise.all(request.groups.map((wanted) => groupAnswer(broker, wanted, version))) };
  }
  const topics = request.topics?.map((topic) => ({ ...topic, topicId: ZERO_UUID })) ?? null;
  const wanted = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics };
  const { topics: found, errorCode } = await groupAnswer(broker, wanted, version);
  return { topics: found, ...(version >= 2 ? { errorCode } : {}) };
});

function groupAnswer(broker: Broker, wanted: WantedGroup, version: number) {
  const { groupId, memberId, memberEpoch } = wanted;
  return readOr(
    broker,
    () => {
      const committed = broker.groups.offsets(groupId, memberId, memberEpoch);
      const topics =
        wanted.topics === null
          ? Array.from(committed, ([name, partitions]) => allOf(broker, name, partitions))
          : wanted.topics.map((topic) => askedOf(broker, topic, version, committed));
      return { groupId, topics, errorCode: 0 };
    },
    (fault) => ({ groupId, topics: [], errorCode: fault.code }),
  );
}

function allOf(broker: Broker, name: string, partitions: ReadonlyMap<number, CommittedOffset>) {
  const topicId = broker.topics.get(name).id;
  return { name, topicId, partitions: Array.from(partitions, ([index, committed]) => told(index, committed)) };
}

function askedOf(
  broker: Broker,
  { name: asked, topicId, partitionIndexes }: WantedTopic,
  version: number,
  committed: ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>>,
) {
  const name = version < IDS_FROM ? asked : broker.topics.findById(topicId)?.name;
  const errorCode = name === undefined ? new Fault('unknownTopicId').code : 0;
  const partitions = committed.get(name ?? '');
  return {
    name: name ?? '',
    topicId,
    partitions: partitionIndexes.map((index) => ({ ...told(index, partitions?.get(index)), errorCode })),
  };
}

function told(partitionIndex: number, committed: CommittedOffset | undefined) {
  if (committed === undefined) return { partitionIndex, ...NOTHING_COMMITTED, errorCode: 0 };
  const { offset, leaderEpoch, metadata } = committed;
  return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode: 0 };
}
