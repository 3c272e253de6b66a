import { isUtf8 } from 'node:buffer';
import type { TimestampType } from '../record/batch.ts';
import type { PrintedRecord } from './record-format.ts';

export interface EnvelopeFacts {
  /** Who led the partition when reading began; -1 when that is not known. */
  readonly broker: number;
  readonly timestampType: TimestampType;
}

/**
 * A record as one JSON object, kcat's -J: topic, partition, offset, tstype, ts, broker, headers (names and values in turn,
 * only if there are any), key, payload. Bytes that are not UTF-8 cannot be a JSON string: they stand as `{"base64": …}`,
 * where kcat prints invalid JSON.
 */
export function jsonEnvelope(record: PrintedRecord, { broker, timestampType }: EnvelopeFacts): string {
  const { topic, partition, offset, timestampMs, headers, keyBytes, valueBytes } = record;
  return JSON.stringify({
    topic,
    partition,
    offset,
    ...(timestampMs >= 0 && { tstype: timestampType === 'CreateTime' ? 'create' : 'logappend', ts: timestampMs }),
    broker,
    ...(headers.length > 0 && { headers: headers.flatMap((header) => [header.key, jsonBytes(header.value)]) }),
    key: jsonBytes(keyBytes),
    payload: jsonBytes(valueBytes),
  });
}

/** Bytes as a JSON value: text where they are UTF-8. */
export function jsonBytes(bytes: Buffer | null): string | { base64: string } | null {
  if (bytes === null) return null;
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') };
}
