import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
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

/**
 * The records of a batch with their keys; null where none of them may be dropped, nor be what others are dropped for: markers,
 * records of a transaction of which nobody says here how it ended, and what cannot be read within the limits.
 */
export async function keyedRecords(batch: Buffer, codecs: Codecs): Promise<readonly KeyedRecord[] | null> {
  if (isControl(batch, 0) || isTransactional(batch, 0)) return null;
  if (recordCount(batch, 0) > limits.compactedBatchRecordsMax) return null;
  if (recordCount(batch, 0) === 0) return [];
  try {
    const records = await packedRecordsOfAsync(batch, 0, { bytesMax: limits.compactedBatchBytesMax }, codecs);
    return Array.from(records, (record) => ({ record, ...keyOf(record) }));
  } catch (error) {
    if (error instanceof Fault) return null;
    throw error;
  }
}
