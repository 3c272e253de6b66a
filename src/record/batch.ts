import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { readInt16, readInt32, readInt64, writeInt32, writeInt64 } from './big-endian.ts';
import { type Compression, compressionOfId, compressions } from './compression.ts';
import { crc32c } from './crc32c.ts';

/*
 * A record batch, Kafka's format 2. All numbers are big-endian.
 *
 *    0  baseOffset        int64   of the first record; stamped by the broker
 *    8  length            int32   of everything after this field
 *   12  leaderEpoch       int32   stamped by the broker
 *   16  magic             int8    2
 *   17  crc               uint32  CRC-32C of everything after this field
 *   21  attributes        int16   bits 0-2 compression, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon; others unused
 *   23  lastOffsetDelta   int32   kept when compaction removes records, as is baseSequence
 *   27  baseTimestamp     int64   what the records' timestamps are relative to; with bit 6 it is the delete horizon instead
 *   35  maxTimestamp      int64   with LogAppendTime, the timestamp of every record
 *   43  producerId        int64   -1: the producer is not idempotent
 *   51  producerEpoch     int16
 *   53  baseSequence      int32
 *   57  recordCount       int32
 *   61  records, or their compressed form
 *
 * baseOffset, length, leaderEpoch and magic are not under the CRC: a broker stamps a batch without reading all of it, and
 * whoever keeps batches must check those four by other means.
 */

/** The whole header. */
export const BATCH_HEADER_BYTES = 61;
/** baseOffset and length: what must be there before the size of a batch is known. */
export const LOG_OVERHEAD_BYTES = 12;
export const MAGIC = 2;
/** producerId, producerEpoch, baseSequence and leaderEpoch of a batch that has none. */
export const NONE = -1;
export const NO_TIMESTAMP = -1;

/** Where each field lies; for those that build a header. */
export const field = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const;

export const attribute = {
  compression: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40,
} as const;

/** A record takes at least its length, attributes, two deltas, two lengths and the number of its headers. */
const RECORD_BYTES_MIN = 7;
const MAGIC_END = field.magic + 1;
const SEQUENCES = 2 ** 31;

export type TimestampType = 'CreateTime' | 'LogAppendTime';

/** The bytes of the whole batch, header included, as its length field says. */
export function batchBytes(buffer: Buffer, at: number): number {
  return LOG_OVERHEAD_BYTES + readInt32(buffer, at + field.length);
}

export function baseOffset(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + field.baseOffset);
}

export function lastOffset(buffer: Buffer, at: number): number {
  return baseOffset(buffer, at) + lastOffsetDelta(buffer, at);
}

export function nextOffset(buffer: Buffer, at: number): number {
  return lastOffset(buffer, at) + 1;
}

export function lastOffsetDelta(buffer: Buffer, at: number): number {
  return readInt32(buffer, at + field.lastOffsetDelta);
}

/** How many records the batch holds; after compaction fewer than its offsets span, down to none. */
export function recordCount(buffer: Buffer, at: number): number {
  return readInt32(buffer, at + field.recordCount);
}

export function baseTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + field.baseTimestamp);
}

export function maxTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + field.maxTimestamp);
}

/** -1 where the producer is not idempotent. */
export function producerId(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + field.producerId);
}

export function producerEpoch(buffer: Buffer, at: number): number {
  return readInt16(buffer, at + field.producerEpoch);
}

/** -1 where the producer is not idempotent. */
export function baseSequence(buffer: Buffer, at: number): number {
  return readInt32(buffer, at + field.baseSequence);
}

/** Sequences run from 0 to 2^31 - 1 and begin again at 0. -1 where the producer is not idempotent. */
export function lastSequence(buffer: Buffer, at: number): number {
  const base = baseSequence(buffer, at);
  return base < 0 ? NONE : (base + lastOffsetDelta(buffer, at)) % SEQUENCES;
}

export function leaderEpoch(buffer: Buffer, at: number): number {
  return readInt32(buffer, at + field.leaderEpoch);
}

export function magic(buffer: Buffer, at: number): number {
  return buffer.readInt8(at + field.magic);
}

export function storedCrc(buffer: Buffer, at: number): number {
  return readInt32(buffer, at + field.crc) >>> 0;
}

export function attributes(buffer: Buffer, at: number): number {
  return readInt16(buffer, at + field.attributes);
}

/** @throws Fault unsupportedCompression for an id that Kafka does not know; checkBatch has refused such a batch. */
export function compressionOf(buffer: Buffer, at: number): Compression {
  return compressionOfId(attributes(buffer, at) & attribute.compression);
}

export function timestampType(buffer: Buffer, at: number): TimestampType {
  return (attributes(buffer, at) & attribute.logAppendTime) === 0 ? 'CreateTime' : 'LogAppendTime';
}

export function isTransactional(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & attribute.transactional) !== 0;
}

/** Whether the batch holds the broker's markers (commit, abort) and not records of users. */
export function isControl(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & attribute.control) !== 0;
}

/** When the batch's tombstones may go (KIP-534); null where compaction has not settled that. Of a stored batch alone. */
export function deleteHorizonMs(buffer: Buffer, at: number): number | null {
  return (attributes(buffer, at) & attribute.deleteHorizon) === 0 ? null : baseTimestamp(buffer, at);
}

/** Writes what the broker assigns, in place. Neither is under the CRC. */
export function stamp(buffer: Buffer, at: number, baseOffset: number, leaderEpoch: number): void {
  writeInt64(buffer, at + field.baseOffset, baseOffset);
  writeInt32(buffer, at + field.leaderEpoch, leaderEpoch);
}

/** Gives every record of the batch the time of its append, in place; the CRC is computed again. */
export function stampLogAppendTime(buffer: Buffer, at: number, timestampMs: number): void {
  buffer.writeInt16BE(attributes(buffer, at) | attribute.logAppendTime, at + field.attributes);
  writeInt64(buffer, at + field.maxTimestamp, timestampMs);
  stampCrc(buffer, at);
}

/** Writes the CRC of a batch whose other fields are final. */
export function stampCrc(buffer: Buffer, at: number): void {
  buffer.writeUInt32BE(computeCrc(buffer, at), at + field.crc);
}

function computeCrc(buffer: Buffer, at: number): number {
  return crc32c(buffer, 0, at + field.attributes, at + batchBytes(buffer, at));
}

/**
 * Where each whole batch starts. Ends quietly at a batch that is cut off, since an answer to a fetch may end inside one.
 * @throws Fault corruptBatch, unsupportedMagic where no batch can start, since there is no way on from there.
 */
export function* batchesIn(buffer: Buffer): Generator<number, void> {
  for (let at = 0; buffer.length - at >= MAGIC_END; at += batchBytes(buffer, at)) {
    const fault = checkFrame(buffer, at);
    if (fault !== null) throw fault;
    if (batchBytes(buffer, at) > buffer.length - at) return;
    yield at;
  }
}

/** Whether a batch of a length that can be starts at `at`; there are MAGIC_END bytes. */
function checkFrame(buffer: Buffer, at: number): Fault | null {
  if (magic(buffer, at) !== MAGIC) {
    return new Fault('unsupportedMagic', { detail: `found format ${magic(buffer, at)}` });
  }
  const bytes = batchBytes(buffer, at);
  if (bytes < BATCH_HEADER_BYTES) {
    return corrupt(`expected a length of at least ${BATCH_HEADER_BYTES} bytes, found ${bytes}`);
  }
  return null;
}

/**
 * Whether the bytes from `at`, and no further than `end`, start with a batch that is whole and consistent; null when so.
 * corruptBatch: they are not what was once written. unsupportedMagic, unsupportedCompression, invalidBatch: they are, but
 * no reader of this format could use them. Bytes after the batch, and unused attribute bits, are no concern here, as in Kafka.
 * The records inside are checked by those who read them (recordsOf).
 */
export function checkBatch(buffer: Buffer, at: number, end: number): Fault | null {
  if (end - at < MAGIC_END) return corrupt(`expected ${BATCH_HEADER_BYTES} bytes of header, found ${end - at}`);
  const frameFault = checkFrame(buffer, at);
  if (frameFault !== null) return frameFault;
  const bytes = batchBytes(buffer, at);
  if (bytes > end - at) return corrupt(`expected ${bytes} bytes, found ${end - at}`);
  const crc = computeCrc(buffer, at);
  if (crc !== storedCrc(buffer, at)) {
    return corrupt(`expected CRC-32C ${hex(storedCrc(buffer, at))} as stored, found ${hex(crc)} in ${bytes} bytes`);
  }
  return checkHeader(buffer, at, bytes);
}

function checkHeader(buffer: Buffer, at: number, bytes: number): Fault | null {
  const compression = attributes(buffer, at) & attribute.compression;
  if (compression >= compressions.length) {
    return new Fault('unsupportedCompression', {
      detail: `expected a type below ${compressions.length}, found ${compression}`,
    });
  }
  if (baseOffset(buffer, at) < 0)
    return invalid(`expected a base offset of at least 0, found ${baseOffset(buffer, at)}`);
  const lastDelta = lastOffsetDelta(buffer, at);
  if (lastDelta < 0) return invalid(`expected a last offset delta of at least 0, found ${lastDelta}`);
  const count = recordCount(buffer, at);
  if (count < 0 || count > lastDelta + 1) {
    return invalid(`expected at most ${lastDelta + 1} records for the offsets it spans, found ${count}`);
  }
  if (count > limits.batchRecordsMax)
    return invalid(`expected at most ${limits.batchRecordsMax} records, found ${count}`);
  const recordBytesMin = count * RECORD_BYTES_MIN;
  if (compression === 0 && recordBytesMin > bytes - BATCH_HEADER_BYTES) {
    return invalid(`${count} records need at least ${recordBytesMin} bytes, found ${bytes - BATCH_HEADER_BYTES}`);
  }
  return null;
}

/**
 * Whether the bytes from `at` to `end` are one batch as a producer may send it; null when so. Beyond checkBatch, what Kafka's
 * broker refuses, with the same error codes: more or less than one batch, a base offset, gaps between offsets, control batches,
 * a producer id without a sequence, and zstd in a request before version 7. Two things are refused where Kafka changes what
 * was sent and says nothing: bytes after the batch, which it drops, and LogAppendTime, which it overwrites.
 */
export function checkProduced(buffer: Buffer, at: number, end: number, requestVersion: number): Fault | null {
  const found = end - at;
  // A part of a batch would be retried as corruptBatch; but it is what the producer sent, and would send again.
  if (found < MAGIC_END || batchBytes(buffer, at) > found)
    return invalid(`expected one record batch, found ${found} bytes`);
  if (magic(buffer, at) !== MAGIC) {
    return new Fault('unsupportedMagic', { detail: `found format ${magic(buffer, at)}`, kafka: 'INVALID_RECORD' });
  }
  const fault = checkBatch(buffer, at, end);
  if (fault !== null) return fault;
  const bytesAfter = found - batchBytes(buffer, at);
  if (bytesAfter > 0) return invalid(`expected exactly one record batch, found ${bytesAfter} bytes after it`);
  if (compressionOf(buffer, at) === 'zstd' && requestVersion < ZSTD_VERSION_FIRST) {
    return new Fault('unsupportedCompression', {
      detail: `zstd needs a produce request of version ${ZSTD_VERSION_FIRST}, found ${requestVersion}`,
    });
  }
  if (baseOffset(buffer, at) !== 0) return invalid(`expected base offset 0, found ${baseOffset(buffer, at)}`);
  const count = recordCount(buffer, at);
  const spanned = lastOffsetDelta(buffer, at) + 1;
  if (count !== spanned) return invalid(`expected ${spanned} records for the offsets it spans, found ${count}`);
  if (isControl(buffer, at)) return invalid('clients may not write control records');
  // Larger ids than a number holds exactly would be taken for one another; no broker gives them out.
  if (producerId(buffer, at) >= Number.MAX_SAFE_INTEGER) return invalid('expected a producer id below 2^53 - 1');
  if (producerId(buffer, at) >= 0 && baseSequence(buffer, at) < 0) {
    return invalid(`expected a sequence with producer id ${producerId(buffer, at)}, found ${baseSequence(buffer, at)}`);
  }
  if (timestampType(buffer, at) === 'LogAppendTime') {
    return new Fault('invalidTimestamp', { detail: 'LogAppendTime is set by the broker, not by a producer' });
  }
  return null;
}

const ZSTD_VERSION_FIRST = 7;

function corrupt(detail: string): Fault {
  return new Fault('corruptBatch', { detail });
}

function invalid(detail: string): Fault {
  return new Fault('invalidBatch', { detail });
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
