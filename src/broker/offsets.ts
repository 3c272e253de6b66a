import { Fault } from '../base/faults.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { offsetForTime, offsetOfMaxTimestamp, type TimedOffset } from '../log/time-search.ts';
import type { Topic } from './topic.ts';

/** What ListOffsets asks for instead of a time. */
export const special = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
};

const NONE: TimedOffset = { offset: -1, timestampMs: -1, leaderEpoch: -1 };

/**
 * The offset that a time, or one of Kafka's special values, stands for; offset -1 when there is none.
 * @throws Fault unsupportedVersion for what is neither
 */
export async function listOffset(log: PartitionLog, timestampMs: number): Promise<TimedOffset> {
  const { logStart, writtenNext } = log.marks;
  switch (timestampMs) {
    case special.latest:
      // Who was told that a record is written (acks=1) finds it before the end, though its sync may be still to come.
      await log.visible(writtenNext);
      return { offset: log.marks.highWatermark, timestampMs: -1, leaderEpoch: log.leaderEpoch };
    // Nothing lies in another tier: the local log is the log.
    case special.earliest:
    case special.earliestLocal:
      return { offset: logStart, timestampMs: -1, leaderEpoch: epochAt(log, logStart) };
    case special.latestTiered:
    case special.earliestPendingUpload:
      return NONE;
    case special.maxTimestamp:
      return (await offsetOfMaxTimestamp(log)) ?? NONE;
    default:
      if (timestampMs < 0)
        throw new Fault('unsupportedVersion', { detail: `no offset is meant by time ${timestampMs}` });
      return (await offsetForTime(log, timestampMs)) ?? NONE;
  }
}

export interface EpochEnd {
  readonly epoch: number;
  readonly endOffset: number;
}

/** The epoch of the record at an offset, or that the next record there would have. */
function epochAt(log: PartitionLog, offset: number): number {
  return offset === log.marks.writtenNext ? log.leaderEpoch : log.epochs.at(offset);
}

/**
 * The largest leader epoch up to the one asked for and where it ends, for clients that compare it with what they have read
 * (KIP-320). The current epoch ends at `endOffset`, also when nothing was written in it; null for one that has not begun.
 */
export function epochEnd(log: PartitionLog, epoch: number, endOffset: number): EpochEnd | null {
  if (epoch === -1 || epoch > log.leaderEpoch) return null;
  const end = epoch === log.leaderEpoch ? null : log.epochs.endOf(epoch, endOffset);
  return end ?? { epoch, endOffset };
}

/**
 * Deletes a partition's records before `offset` (-1: all that are visible); resolves to the log's start then, durably.
 * @throws Fault policyViolation when the topic's cleanup.policy has no deletion; offsetOutOfRange
 */
export async function deleteRecords(topic: Topic, partition: number, offset: number): Promise<number> {
  const log = topic.partition(partition);
  if (!topic.settings.deletes) {
    throw new Fault('policyViolation', {
      detail: `${topic.name} has cleanup.policy ${topic.setting('cleanup.policy').value}`,
    });
  }
  const { highWatermark } = log.marks;
  const target = offset === -1 ? highWatermark : offset;
  if (target < 0 || target > highWatermark) {
    throw new Fault('offsetOutOfRange', { detail: `${offset} is not within 0 to ${highWatermark}` });
  }
  await log.trim(target);
  return log.marks.logStart;
}

/**
 * Compares the leader epoch that a client knows with the broker's (KIP-320). -1 asks for no comparison.
 * @throws Fault fencedLeaderEpoch, unknownLeaderEpoch
 */
export function checkLeaderEpoch(log: PartitionLog, epoch: number): void {
  if (epoch === -1) return;
  const current = log.leaderEpoch;
  if (epoch < current) throw new Fault('fencedLeaderEpoch', { detail: `${epoch}, the broker's is ${current}` });
  if (epoch > current) throw new Fault('unknownLeaderEpoch', { detail: `${epoch}, the broker's is ${current}` });
}
