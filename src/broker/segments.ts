import { Fault } from '../base/faults.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { type PlaceOfOffset, placeOfOffset, type SegmentFacts, segmentFacts } from '../log/segment-facts.ts';

export interface DescribedSegments {
  /** Below the data folder. */
  readonly folder: string;
  readonly segments: readonly SegmentFacts[];
  /** Null when no offset was asked for. */
  readonly place: PlaceOfOffset | null;
}

/** A partition's files, and where in them an offset lies (-1: none is asked for). @throws Fault offsetOutOfRange, corruptBatch */
export async function describeSegments(log: PartitionLog, offset: number): Promise<DescribedSegments> {
  const place = offset < 0 ? null : await placeOfOffset(log, offset);
  if (offset >= 0 && place === null) {
    const { logStart, writtenNext } = log.marks;
    throw new Fault('offsetOutOfRange', { detail: `${offset}, the partition holds ${logStart} to ${writtenNext - 1}` });
  }
  return { folder: log.folder, segments: await segmentFacts(log), place };
}
