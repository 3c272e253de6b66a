import { Fault } from '../base/faults.ts';
import { recordsOf } from '../record/records.ts';

/** Of a batch; whoever sent more without a key learns as much from these. */
const TOLD_MAX = 100;

/** A batch for a compacted topic with records that have no key: which they are, as KIP-467 tells producers. */
export class KeylessRecords extends Fault {
  /** By their place in the batch. */
  readonly indexes: readonly number[];

  constructor(indexes: readonly number[]) {
    super('recordRefused', { detail: `record ${indexes[0]} has no key, which a compacted topic needs` });
    this.indexes = indexes;
  }
}

/** @throws KeylessRecords */
export function checkKeys(records: Buffer): void {
  const indexes: number[] = [];
  for (const { key, offset } of recordsOf(records)) {
    if (key !== null) continue;
    indexes.push(offset);
    if (indexes.length === TOLD_MAX) break;
  }
  if (indexes.length > 0) throw new KeylessRecords(indexes);
}
