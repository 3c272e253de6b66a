import { Fault } from '../base/faults.ts';
import type { Cluster } from './cluster.ts';
import type { GroupMember } from './group-description.ts';
import { byTopic, type CommittedOffset, inOrder, type PartitionOutcome } from './group-offsets.ts';
import { type FoundOffset, listOffsets, type OffsetTarget } from './list-offsets.ts';
import { recordTimeAt } from './record-time.ts';

export interface GroupLagOptions {
  /** Whether the records are looked into for their time, which takes a small read of each partition. Default true. */
  readonly time?: boolean;
}

/** How far a group is behind in one partition. Null stands for what is not known, and `fault` then says why if it should be. */
export interface PartitionLag extends PartitionOutcome {
  /** The committed offset: of the next record to be handled. Null: none is committed. */
  readonly offset: number | null;
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Of the first record that is there; above `offset` when records were deleted before they were handled. */
  readonly earliest: number | null;
  /** Of the record that will come next. */
  readonly latest: number | null;
  /** Records between the committed offset and the end, as Kafka's own tools count them. */
  readonly records: number | null;
  /** When the oldest record that is not handled was made, in milliseconds since 1970; null when all are handled. */
  readonly waitingSinceMs: number | null;
  /** The youngest timestamp in the partition; null where there is none, or the broker is too old to say. */
  readonly newestMs: number | null;
  /** From `waitingSinceMs` until now; 0 when all records are handled. */
  readonly behindMs: number | null;
  /** Whose partition it is; null while it is nobody's. */
  readonly member: GroupMember | null;
}

export async function lagOf(
  cluster: Cluster,
  timeoutMs: number,
  committed: readonly CommittedOffset[],
  members: readonly GroupMember[],
  { time = true }: GroupLagOptions,
): Promise<PartitionLag[]> {
  const owners = new Map<string, GroupMember>();
  const all = new Map(committed.map((one) => [keyOf(one), one]));
  for (const member of members) {
    for (const { topic, partitions } of member.assignment) {
      for (const partition of partitions) {
        const place = { topic, partition };
        owners.set(keyOf(place), member);
        const none = { ...place, offset: -1, leaderEpoch: -1, metadata: '', fault: null };
        if (!all.has(keyOf(place))) all.set(keyOf(place), none);
      }
    }
  }
  const topics = [...byTopic(all.values())].map(async ([topic, ofTopic]) => {
    const ends = await endsOf(cluster, timeoutMs, topic, ofTopic, time);
    const lags = ofTopic.map((one) => lagIn(cluster, timeoutMs, one, ends, time, owners.get(keyOf(one)) ?? null));
    return Promise.all(lags);
  });
  return inOrder((await Promise.all(topics)).flat());
}

function keyOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}:${partition}`;
}

type Ends = { earliest: Found; latest: Found; newest: Found } | Fault;
type Found = ReadonlyMap<number, FoundOffset>;

/** Where the partitions of a topic begin and end, or why that cannot be said: the topic may be gone. */
async function endsOf(
  cluster: Cluster,
  timeoutMs: number,
  topic: string,
  partitions: readonly CommittedOffset[],
  time: boolean,
): Promise<Ends> {
  const find = (target: OffsetTarget): Promise<Found> => {
    const targets = new Map(partitions.map(({ partition }) => [partition, target]));
    return listOffsets(cluster, topic, targets, { timeoutMs, unknownMs: 0, isolation: 'uncommitted' });
  };
  try {
    const [earliest, latest, newest] = await Promise.all([
      find('earliest'),
      find('latest'),
      time ? find('maxTimestamp').catch(noneIfTooOld) : new Map(),
    ]);
    return { earliest, latest, newest };
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function noneIfTooOld(error: unknown): Found {
  if (error instanceof Fault && error.fault === 'notSupportedByBroker') return new Map();
  throw error;
}

async function lagIn(
  cluster: Cluster,
  timeoutMs: number,
  { topic, partition, offset: committed, leaderEpoch, metadata, fault }: CommittedOffset,
  ends: Ends,
  time: boolean,
  member: GroupMember | null,
): Promise<PartitionLag> {
  const known = { topic, partition, leaderEpoch, metadata, member, offset: committed < 0 ? null : committed };
  const unknown = { earliest: null, latest: null, records: null, waitingSinceMs: null, newestMs: null, behindMs: null };
  if (ends instanceof Fault) return { ...known, ...unknown, fault: fault ?? ends };
  const earliest = ends.earliest.get(partition)?.offset ?? null;
  const latest = ends.latest.get(partition)?.offset ?? null;
  const newest = ends.newest.get(partition);
  const records = latest === null || committed < 0 ? null : Math.max(0, latest - committed);
  const newestMs = newest === undefined || newest.timestampMs < 0 ? null : newest.timestampMs;
  const place = { ...known, earliest, latest, records, newestMs };
  if (records === null || records === 0 || !time) {
    return { ...place, waitingSinceMs: null, behindMs: records === 0 ? 0 : null, fault };
  }
  try {
    const from = Math.max(committed, earliest ?? 0);
    const waitingSinceMs = await recordTimeAt(cluster, timeoutMs, topic, partition, from);
    const behindMs = waitingSinceMs === null ? null : Math.max(0, cluster.clock.wallMs() - waitingSinceMs);
    return { ...place, waitingSinceMs, behindMs, fault };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ...place, waitingSinceMs: null, behindMs: null, fault: fault ?? error };
  }
}
