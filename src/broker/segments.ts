import { Fault } from '../base/faults.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { type PlaceOfOffset, placeOfOffset, type SegmentFacts, segmentFacts } from '../log/segment-facts.ts';

export interface DescribedSegments {
  /** Below the data folder. */
  readonly folder: string;
  readonly segments: readonly SegmentFacts[];
  readonly damaged: readonly DescribedDamage[];
  /** Null when no offset was asked for. */
  readonly place: PlaceOfOffset | null;
}

/** Records that are not what was written, as far as somebody has come upon them. */
export interface DescribedDamage {
  /** The segment's base offset. */
  readonly segment: number;
  /** In its file. */
  readonly position: number;
  readonly sizeBytes: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly foundAtMs: number;
  /** What was expected and what was found. */
  readonly what: string;
}

/** A partition's files, and where in them an offset lies (-1: none is asked for). @throws Fault offsetOutOfRange, corruptBatch */
export async function describeSegments(log: PartitionLog, offset: number): Promise<DescribedSegments> {
  const place = offset < 0 ? null : await placeOfOffset(log, offset);
  if (offset >= 0 && place === null) {
    const { logStart, writtenNext } = log.marks;
    throw new Fault('offsetOutOfRange', { detail: `${offset}, the partition holds ${logStart} to ${writtenNext - 1}` });
  }
  const damaged = log.reader.quarantine.places.map(({ segmentBase: segment, bytes: sizeBytes, ...rest }) => ({
    segment,
    sizeBytes,
    ...rest,
  }));
  return { folder: log.folder, segments: await segmentFacts(log), damaged, place };
}
