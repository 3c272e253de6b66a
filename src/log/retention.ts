import type { PartitionLog } from './partition-log.ts';
import type { Segment } from './segment.ts';

export interface RetentionLimits {
  /** retention.ms: -1 keeps for ever. */
  readonly retentionMs: number;
  /** retention.bytes: -1 for no limit. */
  readonly retentionBytes: number;
}

export interface Retired {
  readonly segments: number;
  readonly bytes: number;
  /** A segment that time alone cannot delete before it is over: some record of it is stamped with a time to come. */
  readonly futureMs: number | null;
}

/**
 * Deletes the oldest segments that are over the limits, whole ones only, as Kafka does: by age while the youngest record of
 * a segment is older than `retentionMs`, by size while the log without the segment still has `retentionBytes`. The active
 * segment is ended first when it is its turn. The log's start moves durably before any file goes.
 * @throws Fault diskFull, diskError, brokerStopped
 */
export async function retire(log: PartitionLog, limits: RetentionLimits, nowMs: number): Promise<Retired> {
  const { count, futureMs } = await countExpired(log, limits, nowMs);
  if (count === 0) return { segments: 0, bytes: 0, futureMs };
  const expired = log.segments.slice(0, count);
  const bytes = expired.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (count === log.segments.length) await log.roll(expired.at(-1)!);
  const next = log.segments[count];
  // What was appended to the active segment meanwhile is not old: it stays with it.
  if (next === undefined) return { segments: 0, bytes: 0, futureMs };
  await log.trim(next.baseOffset);
  return { segments: count, bytes, futureMs };
}

/**
 * The largest timestamp of a segment: by the log itself where an index file could have lost its end, since a short index must
 * not make a segment old. How young the records are that are damaged nobody knows: where some are, those of the segment after it
 * are taken for as old; with none after it, or no sound one in it, -1: age does not delete it.
 */
async function youngestMs(log: PartitionLog, segments: readonly Segment[], i: number): Promise<number> {
  const segment = segments[i]!;
  const largestMs = await segment.maxTimestampMs();
  if (largestMs < 0 || !(segment.isDamaged || log.reader.quarantine.isIn(segment))) return largestMs;
  const following = segments[i + 1];
  const followingMs = following === undefined ? -1 : await following.maxTimestampMs();
  return followingMs < 0 ? -1 : Math.max(largestMs, followingMs);
}

async function countExpired(
  log: PartitionLog,
  { retentionMs, retentionBytes }: RetentionLimits,
  nowMs: number,
): Promise<{ count: number; futureMs: number | null }> {
  const { segments, marks, sizeBytes } = log;
  const candidates = [...segments];
  let excessBytes = retentionBytes < 0 ? 0 : Math.max(0, sizeBytes - retentionBytes);
  let futureMs: number | null = null;
  let count = 0;
  for (const [i, segment] of candidates.entries()) {
    const isActive = i === candidates.length - 1;
    const endOffset = isActive ? marks.writtenNext : candidates[i + 1]!.baseOffset;
    // Nothing that readers have not been able to see yet is deleted.
    if (segment.sizeBytes === 0 || marks.highWatermark < endOffset) break;
    const isLarge = retentionBytes >= 0 && excessBytes >= segment.sizeBytes;
    if (!isLarge) {
      const largestMs = retentionMs < 0 ? null : await youngestMs(log, candidates, i);
      if (largestMs !== null && largestMs > nowMs) futureMs = largestMs;
      if (largestMs === null || largestMs < 0 || nowMs - largestMs <= retentionMs) break;
    }
    excessBytes = Math.max(0, excessBytes - segment.sizeBytes);
    count += 1;
  }
  return { count, futureMs };
}
