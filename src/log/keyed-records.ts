import { Fault, type FaultName } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { Pace } from '../base/pace.ts';
import { isControl, isTransactional, recordCount } from '../record/batch.ts';
import type { Codecs } from '../record/compression.ts';
import { keyOf } from '../record/rebuild-batch.ts';
import { type PackedRecord, packedRecordsOfAsync } from '../record/records.ts';

export interface KeyedRecord {
  readonly record: PackedRecord;
  readonly key: Buffer | null;
  /** False for a tombstone. */
  readonly hasValue: boolean;
}

/** What a batch is refused with that cannot be read; others are not the batch's fault. */
const UNREADABLE: readonly FaultName[] = ['invalidBatch', 'corruptBatch', 'unsupportedCompression'];

/**
 * The records of a batch with their keys; null where none of them may be dropped, nor be what others are dropped for: markers,
 * records of a transaction of which nobody says here how it ended, and what cannot be read within the limits.
 */
export async function keyedRecords(batch: Buffer, codecs: Codecs, pace: Pace): Promise<readonly KeyedRecord[] | null> {
  if (isControl(batch, 0) || isTransactional(batch, 0)) return null;
  if (recordCount(batch, 0) > limits.compactedBatchRecordsMax) return null;
  if (recordCount(batch, 0) === 0) return [];
  try {
    const keyed: KeyedRecord[] = [];
    for (const record of await packedRecordsOfAsync(batch, 0, { bytesMax: limits.compactedBatchBytesMax }, codecs)) {
      keyed.push({ record, ...keyOf(record) });
      const pause = pace.items(1);
      if (pause !== null) await pause;
    }
    return keyed;
  } catch (error) {
    if (error instanceof Fault && UNREADABLE.includes(error.fault)) return null;
    throw error;
  }
}
