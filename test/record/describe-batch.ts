import { createHash } from 'node:crypto';
import {
  baseOffset,
  baseSequence,
  compressionOf,
  isControl,
  isTransactional,
  lastOffset,
  lastSequence,
  leaderEpoch,
  maxTimestamp,
  producerEpoch,
  producerId,
  recordCount,
  storedCrc,
  timestampType,
} from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';

/** A batch in the words of tools/golden/Batches.java, so that the two can be compared. */
export function describeBatch(buffer: Buffer, at: number): object {
  return {
    baseOffset: baseOffset(buffer, at),
    lastOffset: lastOffset(buffer, at),
    leaderEpoch: leaderEpoch(buffer, at),
    crc: storedCrc(buffer, at),
    compression: compressionOf(buffer, at),
    timestampType: timestampType(buffer, at),
    isTransactional: isTransactional(buffer, at),
    isControl: isControl(buffer, at),
    maxTimestamp: maxTimestamp(buffer, at),
    producerId: producerId(buffer, at),
    producerEpoch: producerEpoch(buffer, at),
    baseSequence: baseSequence(buffer, at),
    lastSequence: lastSequence(buffer, at),
    recordCount: recordCount(buffer, at),
    records: [...recordsOf(buffer, at)].map(({ offset, timestampMs, key, value, headers }) => ({
      offset,
      timestampMs,
      key: digestOf(key),
      value: digestOf(value),
      headers: headers.map((header) => ({ key: digestOf(Buffer.from(header.key)), value: digestOf(header.value) })),
    })),
  };
}

function digestOf(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  if (bytes.length <= 100) return bytes.toString('hex');
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
