import { Fault } from '../base/faults.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { offsetForTime, offsetOfMaxTimestamp, type TimedOffset } from '../log/time-search.ts';

/** What ListOffsets asks for instead of a time. */
const special = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
};

const NONE: TimedOffset = { offset: -1, timestampMs: -1, leaderEpoch: -1 };

/** The offset that a time, or one of Kafka's special values, stands for; offset -1 when there is none. */
export async function listOffset(log: PartitionLog, timestampMs: number): Promise<TimedOffset> {
  const { logStart, highWatermark } = log.marks;
  switch (timestampMs) {
    case special.latest:
      return { offset: highWatermark, timestampMs: -1, leaderEpoch: log.leaderEpoch };
    // Nothing lies in another tier: the local log is the log.
    case special.earliest:
    case special.earliestLocal:
      return { offset: logStart, timestampMs: -1, leaderEpoch: log.epochs.at(logStart) };
    case special.latestTiered:
    case special.earliestPendingUpload:
      return NONE;
    case special.maxTimestamp:
      return (await offsetOfMaxTimestamp(log)) ?? NONE;
    default:
      if (timestampMs < 0)
        throw new Fault('invalidRequest', { detail: `no offset is meant by the time ${timestampMs}` });
      return (await offsetForTime(log, timestampMs)) ?? NONE;
  }
}

/**
 * Deletes a partition's records before `offset` (-1: all that are visible); resolves to the log's start then, durably.
 * @throws Fault offsetOutOfRange
 */
export async function deleteRecords(log: PartitionLog, offset: number): Promise<number> {
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
