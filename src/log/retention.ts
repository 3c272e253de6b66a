import { Fault } from '../base/faults.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Segment } from './segment.ts';

export interface RetentionLimits {
  /** retention.ms: -1 keeps for ever. */
  readonly retentionMs: number;
  /** retention.bytes: -1 for no limit. */
  readonly retentionBytes: number;
}

/** How old what has a timestamp is. */
export type AgeOf = (timestampMs: number) => number;

export interface Retired {
  readonly segments: number;
  readonly bytes: number;
  /** A segment that time alone cannot delete before it is over: some record of it is stamped with a time to come. */
  readonly futureMs: number | null;
  /** Why it is not known how old the next segment is: those before it are deleted all the same. */
  readonly failure: Fault | null;
}

/**
 * Deletes the oldest segments that are over the limits, whole ones only, as Kafka does: by age while the youngest record of
 * a segment is older than `retentionMs`, by size while the log without the segment still has `retentionBytes`. The active
 * segment is ended first when it is its turn. The log's start moves durably before any file goes.
 * @throws Fault diskFull, diskError, brokerStopped
 */
export async function retire(
  log: PartitionLog,
  limits: RetentionLimits,
  nowMs: number,
  ageMs: AgeOf = (timestampMs) => nowMs - timestampMs,
): Promise<Retired> {
  const { expired, endOffset, futureMs, failure } = await expiredOf(log, limits, nowMs, ageMs);
  const last = expired.at(-1);
  if (last === undefined) return { segments: 0, bytes: 0, futureMs, failure };
  const bytes = expired.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (last === log.segments.at(-1)) {
    // On a full disk those before it make the room for the segment that is to follow.
    await log.trim(last.baseOffset);
    await log.roll(last);
  }
  // By offsets: what was appended to the last segment meanwhile is not old, and compaction may have made other segments of these.
  await log.trim(endOffset);
  return { segments: expired.length, bytes, futureMs, failure };
}

/**
 * The largest timestamp of a segment: by the log itself where an index file could have lost its end, since a short index must
 * not make a segment old. How young the records are that are damaged nobody knows: where some are, those of the segment after it
 * are taken for as old; with none after it, or no sound one in it, -1: age does not delete it.
 */
async function youngestMs(log: PartitionLog, segments: readonly Segment[], i: number): Promise<number> {
  const segment = segments[i]!;
  const largestMs = await segment.index.maxTimestampMs();
  if (largestMs < 0 || !(segment.isDamaged || log.reader.quarantine.isIn(segment))) return largestMs;
  const following = segments[i + 1];
  const followingMs = following === undefined ? -1 : await following.index.maxTimestampMs();
  return followingMs < 0 ? -1 : Math.max(largestMs, followingMs);
}

/** The segments that are to go, and the offset after the last of their records. */
async function expiredOf(
  log: PartitionLog,
  { retentionMs, retentionBytes }: RetentionLimits,
  nowMs: number,
  ageMs: AgeOf,
): Promise<Pick<Retired, 'futureMs' | 'failure'> & { expired: Segment[]; endOffset: number }> {
  const { segments, marks, sizeBytes } = log;
  const candidates = [...segments];
  let excessBytes = retentionBytes < 0 ? 0 : Math.max(0, sizeBytes - retentionBytes);
  let futureMs: number | null = null;
  let failure: Fault | null = null;
  const asUnknown = (error: unknown): null => {
    if (!(error instanceof Fault)) throw error;
    failure = error;
    return null;
  };
  const expired: Segment[] = [];
  let endOffset = 0;
  for (const [i, segment] of candidates.entries()) {
    const next = candidates[i + 1]?.baseOffset ?? marks.writtenNext;
    // Nothing that readers have not been able to see yet is deleted.
    if (segment.sizeBytes === 0 || marks.highWatermark < next) break;
    const isLarge = retentionBytes >= 0 && excessBytes >= segment.sizeBytes;
    if (!isLarge) {
      const largestMs = retentionMs < 0 ? null : await youngestMs(log, candidates, i).catch(asUnknown);
      if (largestMs !== null && largestMs > nowMs) futureMs = largestMs;
      if (largestMs === null || largestMs < 0 || ageMs(largestMs) <= retentionMs) break;
    }
    excessBytes = Math.max(0, excessBytes - segment.sizeBytes);
    expired.push(segment);
    endOffset = next;
  }
  return { expired, endOffset, futureMs, failure };
}
