import type { Pace } from '../base/pace.ts';
import {
  attribute,
  attributes,
  BATCH_HEADER_BYTES,
  baseOffset,
  compressionOf,
  field,
  NO_TIMESTAMP,
  stampCrc,
} from './batch.ts';
import { saturate, writeInt64 } from './big-endian.ts';
import type { Codecs } from './compression.ts';
import type { PackedRecord } from './records.ts';
import { VarintReader, varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.ts';

/** Header fields that say how the payload is to be read. */
const OF_PAYLOAD = attribute.compression | attribute.deleteHorizon;

/**
 * A batch with some of its records, at their offsets, under its own header: offsets that it spans, producer, sequences, leader
 * epoch and codec stay. `deleteHorizonMs` is when its tombstones may go; null for none. Null when a timestamp is so far off
 * that it cannot be written again as it was.
 */
export async function rebuiltBatch(
  original: Buffer,
  records: readonly PackedRecord[],
  deleteHorizonMs: number | null,
  { codecs, pace }: { codecs: Codecs; pace: Pace },
): Promise<Buffer | null> {
  const baseMs = deleteHorizonMs ?? records[0]!.timestampMs;
  const firstOffset = baseOffset(original, 0);
  const sizes: number[] = [];
  let payloadBytes = 0;
  for (const { timestampMs, offset, content } of records) {
    if (!isExact(timestampMs) || !isExact(timestampMs - baseMs)) return null;
    const size = 1 + varlongBytes(timestampMs - baseMs) + varintBytes(offset - firstOffset) + content.length;
    sizes.push(size);
    payloadBytes += varintBytes(size) + size;
    const pause = pace.items(1);
    if (pause !== null) await pause;
  }
  const payload = Buffer.allocUnsafe(payloadBytes);
  let at = 0;
  let maxMs = NO_TIMESTAMP;
  for (const [i, { timestampMs, offset, content }] of records.entries()) {
    at = writeVarint(payload, at, sizes[i]!);
    payload[at++] = 0;
    at = writeVarlong(payload, at, timestampMs - baseMs);
    at = writeVarint(payload, at, offset - firstOffset);
    at += content.copy(payload, at);
    maxMs = Math.max(maxMs, timestampMs);
    const pause = pace.items(1, content.length);
    if (pause !== null) await pause;
  }
  const horizonBit = deleteHorizonMs === null ? 0 : attribute.deleteHorizon;
  const compressed = await codecs.compress(compressionOf(original, 0), payload);
  return sealed(original, compressed, {
    attributes: (attributes(original, 0) & ~attribute.deleteHorizon) | horizonBit,
    baseMs,
    maxMs,
    count: records.length,
  });
}

/** A batch without records: what is left of one that must stay for its offsets or its producer's sequences. */
export function emptiedBatch(original: Buffer): Buffer {
  return sealed(original, Buffer.alloc(0), {
    attributes: attributes(original, 0) & ~OF_PAYLOAD,
    baseMs: NO_TIMESTAMP,
    maxMs: null,
    count: 0,
  });
}

function sealed(
  original: Buffer,
  payload: Buffer,
  header: { attributes: number; baseMs: number; maxMs: number | null; count: number },
): Buffer {
  const batch = Buffer.concat([original.subarray(0, BATCH_HEADER_BYTES), payload]);
  batch.writeInt32BE(batch.length - field.leaderEpoch, field.length);
  batch.writeInt16BE(header.attributes, field.attributes);
  writeInt64(batch, field.baseTimestamp, header.baseMs);
  if (header.maxMs !== null) writeInt64(batch, field.maxTimestamp, header.maxMs);
  batch.writeInt32BE(header.count, field.recordCount);
  stampCrc(batch, 0);
  return batch;
}

/** Whether it is not a bound that a number beyond it was brought down to. */
function isExact(value: number): boolean {
  return Number.isSafeInteger(value) && Math.abs(value) < saturate(Number.POSITIVE_INFINITY);
}

/** The key of a record, null when it has none, and whether it has a value: one without is a tombstone. */
export function keyOf({ content }: PackedRecord): { key: Buffer | null; hasValue: boolean } {
  const reader = new VarintReader(content, 0, content.length);
  const keyBytes = reader.varint();
  const key = keyBytes < 0 ? null : reader.bytes(keyBytes);
  return { key, hasValue: reader.varint() >= 0 };
}
