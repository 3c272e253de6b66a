import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  baseTimestamp,
  batchBytes,
  compressionOf,
  lastOffsetDelta,
  maxTimestamp,
  recordCount,
  timestampType,
} from './batch.ts';
import { saturate } from './big-endian.ts';
import { type DecompressOptions, decompressSync, threadedCodecs } from './compression.ts';
import { VarintReader } from './varint.ts';

/*
 * A record inside a batch. All numbers are zig-zag varints (varint.ts); a length of -1 stands for null.
 *
 *   length           of everything after this field
 *   attributes       one byte, unused
 *   timestampDelta   varlong, to the batch's baseTimestamp
 *   offsetDelta      to the batch's baseOffset
 *   key length, key, value length, value
 *   header count, then of each: key length, key (UTF-8, never null), value length, value
 */

export interface RecordHeader {
  key: string;
  value: Buffer | null;
}

/** Its buffers are views of the batch, or of what the batch decompressed to. */
export interface LogRecord {
  offset: number;
  /** Milliseconds since 1970: when its producer made it, or with LogAppendTime when it was appended. -1: not known. */
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: readonly RecordHeader[];
}

/**
 * The records of a batch that checkBatch found whole. A compressed batch is decompressed at once, its records are read as the
 * iteration goes on.
 * @throws Fault invalidBatch where the records break the format or are not as many as the header says, also while iterating;
 * corruptBatch where the batch is cut off; unsupportedCompression.
 */
export function recordsOf(buffer: Buffer, at = 0, options: DecompressOptions = {}): Generator<LogRecord, void> {
  const payload = decompressSync(compressionOf(buffer, at), payloadOf(buffer, at), options);
  return readRecords(buffer, at, payload, logRecord);
}

/** As recordsOf, but a compressed batch is decompressed before, without holding up the event loop (compression.ts). */
export async function recordsOfAsync(
  buffer: Buffer,
  at = 0,
  options: DecompressOptions = {},
  codecs = threadedCodecs,
): Promise<Generator<LogRecord, void>> {
  const payload = await codecs.decompress(compressionOf(buffer, at), payloadOf(buffer, at), options);
  return readRecords(buffer, at, payload, logRecord);
}

/**
 * A record that is not looked into: its content is what follows the offset delta, from the length of the key to the last header.
 * It is the same in whatever batch the record lies, so a record can move to another batch byte for byte.
 */
export interface PackedRecord {
  readonly offset: number;
  /** As LogRecord's. */
  readonly timestampMs: number;
  /** A view of the batch, or of what it decompressed to. */
  readonly content: Buffer;
}

/** As recordsOf, but the records are not looked into. */
export function packedRecordsOf(buffer: Buffer, at = 0): Generator<PackedRecord, void> {
  const payload = decompressSync(compressionOf(buffer, at), payloadOf(buffer, at), {});
  return readRecords(buffer, at, payload, packedRecord);
}

/** As recordsOfAsync, but the records are not looked into. */
export async function packedRecordsOfAsync(
  buffer: Buffer,
  at = 0,
  options: DecompressOptions = {},
  codecs = threadedCodecs,
): Promise<Generator<PackedRecord, void>> {
  const payload = await codecs.decompress(compressionOf(buffer, at), payloadOf(buffer, at), options);
  return readRecords(buffer, at, payload, packedRecord);
}

/** Whether a record has a key, and no more: nothing is allocated for what else it holds. */
export interface RecordKey {
  readonly offset: number;
  readonly hasKey: boolean;
  /** What it costs to pass over a record grows with them alone. */
  readonly headerBytes: number;
}

/**
 * As recordsOf, but only their keys are told of. `payload` is what payloadOf was decompressed to, and the batch's own bytes where
 * it is not compressed.
 */
export function recordKeysOf(buffer: Buffer, at: number, payload: Buffer): Generator<RecordKey, void> {
  return readRecords(buffer, at, payload, recordKey);
}

function recordKey(offset: number, _timestampMs: number, reader: VarintReader): RecordKey {
  const hasKey = skipNullable(reader) >= 0;
  skipNullable(reader);
  const headerBytes = reader.end - reader.at;
  skipHeaders(reader);
  return { offset, hasKey, headerBytes };
}

function packedRecord(offset: number, timestampMs: number, reader: VarintReader): PackedRecord {
  return { offset, timestampMs, content: reader.bytes(reader.end - reader.at) };
}

/** @throws Fault invalidBatch where the content breaks the format. */
export function unpack({ offset, timestampMs, content }: PackedRecord): LogRecord {
  const reader = new VarintReader(content, 0, content.length);
  const record = logRecord(offset, timestampMs, reader);
  if (reader.at !== content.length)
    throw invalid(`${content.length - reader.at} bytes follow the last header of a record`);
  return record;
}

function logRecord(offset: number, timestampMs: number, reader: VarintReader): LogRecord {
  const key = nullableBytes(reader);
  const value = nullableBytes(reader);
  return { offset, timestampMs, key, value, headers: readHeaders(reader) };
}

/** The records of a batch as they came, compressed or not. */
export function payloadOf(buffer: Buffer, at: number): Buffer {
  const bytes = batchBytes(buffer, at);
  if (bytes < BATCH_HEADER_BYTES || bytes > buffer.length - at) {
    throw new Fault('corruptBatch', { detail: `expected ${bytes} bytes, found ${buffer.length - at}` });
  }
  return buffer.subarray(at + BATCH_HEADER_BYTES, at + bytes);
}

function* readRecords<R>(
  buffer: Buffer,
  at: number,
  payload: Buffer,
  make: (offset: number, timestampMs: number, content: VarintReader) => R,
): Generator<R, void> {
  const count = recordCount(buffer, at);
  const firstOffset = baseOffset(buffer, at);
  const deltaLast = lastOffsetDelta(buffer, at);
  const firstTimestampMs = baseTimestamp(buffer, at);
  const appendTimestampMs = timestampType(buffer, at) === 'LogAppendTime' ? maxTimestamp(buffer, at) : null;
  const reader = new VarintReader(payload, 0, payload.length);
  let deltaMin = 0;
  for (let index = 0; index < count; index++) {
    const end = startRecord(reader);
    const timestampMs = saturate(firstTimestampMs + reader.varlong());
    const offsetDelta = reader.varint();
    if (offsetDelta < deltaMin || offsetDelta > deltaLast) {
      throw invalid(`record ${index} has offset delta ${offsetDelta}, expected ${deltaMin} to ${deltaLast}`);
    }
    deltaMin = offsetDelta + 1;
    const record = make(firstOffset + offsetDelta, appendTimestampMs ?? timestampMs, reader);
    endRecord(reader, index, end, payload.length);
    yield record;
  }
  endRecords(reader, count);
}

/**
 * Whether the records of an uncompressed batch that a producer sent, with as many records as offsets, are what the header
 * says; null when so. A walk over lengths: nothing is allocated.
 */
export function checkRecords(buffer: Buffer, at: number): Fault | null {
  const count = recordCount(buffer, at);
  const batchEnd = at + batchBytes(buffer, at);
  const reader = new VarintReader(buffer, at + BATCH_HEADER_BYTES, batchEnd);
  try {
    for (let index = 0; index < count; index++) {
      const end = startRecord(reader);
      reader.varlong();
      const offsetDelta = reader.varint();
      if (offsetDelta !== index) throw invalid(`record ${index} has offset delta ${offsetDelta}`);
      skipNullable(reader);
      skipNullable(reader);
      skipHeaders(reader);
      endRecord(reader, index, end, batchEnd);
    }
    endRecords(reader, count);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  return null;
}

function skipHeaders(reader: VarintReader): void {
  const headers = readHeaderCount(reader);
  for (let header = 0; header < headers; header++) {
    if (skipNullable(reader) < 0) throw invalid(`header ${header} of a record has no key`);
    skipNullable(reader);
  }
}

function skipNullable(reader: VarintReader): number {
  const size = reader.varint();
  if (size > 0) reader.skip(size);
  return size;
}

/** Reads a record's length and attributes and bounds the reader to the record; returns where it ends. */
function startRecord(reader: VarintReader): number {
  const bytes = reader.varint();
  if (bytes < 1 || bytes > reader.end - reader.at) {
    throw invalid(`a record of ${bytes} bytes at byte ${reader.at}, ${reader.end - reader.at} remain`);
  }
  const end = reader.at + bytes;
  reader.end = end;
  reader.at++;
  return end;
}

/** A record must end where its length says; then the reader may go on to the end of the batch. */
function endRecord(reader: VarintReader, index: number, end: number, batchEnd: number): void {
  if (reader.at !== end) throw invalid(`record ${index} ends at byte ${reader.at}, expected ${end}`);
  reader.end = batchEnd;
}

function endRecords(reader: VarintReader, count: number): void {
  if (reader.at !== reader.end) throw invalid(`${reader.end - reader.at} bytes follow the last of ${count} records`);
}

function nullableBytes(reader: VarintReader): Buffer | null {
  const size = reader.varint();
  return size < 0 ? null : reader.bytes(size);
}

const NO_HEADERS: readonly RecordHeader[] = Object.freeze([]);

/** A header takes two bytes at least, so a count that lies is found out before anything is allocated for it. */
function readHeaderCount(reader: VarintReader): number {
  const count = reader.varint();
  if (count === 0) return 0;
  const countMax = Math.min(limits.recordHeadersMax, (reader.end - reader.at) >> 1);
  if (count < 0 || count > countMax) throw invalid(`a record with ${count} headers, expected 0 to ${countMax}`);
  return count;
}

function readHeaders(reader: VarintReader): readonly RecordHeader[] {
  const count = readHeaderCount(reader);
  if (count === 0) return NO_HEADERS;
  const headers: RecordHeader[] = [];
  for (let index = 0; index < count; index++) {
    const key = nullableBytes(reader);
    if (key === null) throw invalid(`header ${index} of a record has no key`);
    headers.push({ key: key.toString('utf8'), value: nullableBytes(reader) });
  }
  return headers;
}

function invalid(detail: string): Fault {
  return new Fault('invalidBatch', { detail });
}
