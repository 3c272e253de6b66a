import type { PartitionLog } from './partition-log.ts';
import type { AgeOf } from './retention.ts';
import type { Segment } from './segment.ts';

/** A topic's settings of compaction, each named after Kafka's. */
export interface CompactionSettings {
  /** min.cleanable.dirty.ratio: the part of a log that is not compacted, above which it is. */
  readonly dirtyRatioMin: number;
  /** min.compaction.lag.ms: how long a record stays at least. */
  readonly lagMinMs: number;
  /** max.compaction.lag.ms: after which it is compacted whatever the ratio. */
  readonly lagMaxMs: number;
  /** delete.retention.ms: how long a tombstone stays when it was first compacted. */
  readonly deleteRetentionMs: number;
  /** segment.bytes, and segment.index.bytes: how large a segment may become that is made of several. */
  readonly segmentBytes: number;
  readonly indexBytes: number;
}

/** What a pass over a log would do. */
export interface CompactionPlan {
  readonly log: PartitionLog;
  /** The segments that may be touched, oldest first, and the offset after the last of them. */
  readonly segments: readonly Segment[];
  readonly endNext: number;
  /** The offset from which on the log is not compacted. */
  readonly cleanNext: number;
  readonly dirtyRatio: number;
  /** Whether a record has stayed uncompacted for longer than it may. */
  readonly isOverdue: boolean;
}

/**
 * Null when there is nothing to compact. The active segment is never touched, nor what is not durable and visible, nor a
 * segment with a record that is too young, nor what follows it.
 */
export async function planOf(
  log: PartitionLog,
  settings: CompactionSettings,
  nowMs: number,
  ageMs: AgeOf = (timestampMs) => nowMs - timestampMs,
): Promise<CompactionPlan | null> {
  await log.compacted.finish();
  const { reads } = log.reader;
  const all = [...log.segments];
  const settledNext = Math.min(log.marks.highWatermark, log.marks.durableNext, log.checkpoint.segmentBase);
  const cleanNext = Math.max(await log.compacted.cleanNext(), log.marks.logStart);
  const segments: Segment[] = [];
  let endNext = 0;
  let cleanBytes = 0;
  let dirtyBytes = 0;
  let isOverdue = false;
  for (const [i, segment] of all.slice(0, -1).entries()) {
    const next = all[i + 1]!.baseOffset;
    if (next > settledNext) break;
    const isDirty = next > cleanNext;
    if (isDirty && settings.lagMinMs > 0) {
      const youngestMs = await reads.run(() => segment.index.maxTimestampMs());
      if (ageMs(youngestMs) < settings.lagMinMs) break;
    }
    if (isDirty && settings.lagMaxMs < Number.MAX_SAFE_INTEGER) {
      isOverdue ||= (await reads.run(async () => segment.ageAt(nowMs))) > settings.lagMaxMs;
    }
    segments.push(segment);
    endNext = next;
    if (isDirty) dirtyBytes += segment.sizeBytes;
    else cleanBytes += segment.sizeBytes;
  }
  if (dirtyBytes === 0) return null;
  return { log, segments, endNext, cleanNext, isOverdue, dirtyRatio: dirtyBytes / (cleanBytes + dirtyBytes) };
}

export function isDue({ isOverdue, dirtyRatio }: CompactionPlan, { dirtyRatioMin }: CompactionSettings): boolean {
  return isOverdue || dirtyRatio > dirtyRatioMin;
}

/** Adjacent segments that together are no larger than one may be. */
export function groupsOf(
  segments: readonly Segment[],
  nextOf: (segment: Segment) => number,
  { segmentBytes, indexBytes }: Pick<CompactionSettings, 'segmentBytes' | 'indexBytes'>,
): Segment[][] {
  const groups: Segment[][] = [];
  let bytes = 0;
  let indexed = 0;
  for (const segment of segments) {
    // An entry of the larger index takes 12 bytes, and there is one at most each interval.
    const entries = 12 * (1 + segment.sizeBytes / Math.max(61, segment.indexIntervalBytes));
    const group = groups.at(-1);
    bytes += segment.sizeBytes;
    indexed += entries;
    // Indexes hold offsets relative to the segment's base in 31 bits.
    if (
      group !== undefined &&
      bytes <= segmentBytes &&
      indexed <= indexBytes &&
      nextOf(segment) - group[0]!.baseOffset <= 0x7fffffff
    ) {
      group.push(segment);
    } else {
      groups.push([segment]);
      bytes = segment.sizeBytes;
      indexed = entries;
    }
  }
  return groups;
}
