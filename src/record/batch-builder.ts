import { invariant } from '../base/invariant.ts';
import {
  attribute,
  BATCH_HEADER_BYTES,
  field,
  LOG_OVERHEAD_BYTES,
  MAGIC,
  NO_TIMESTAMP,
  NONE,
  stampCrc,
} from './batch.ts';
import { writeInt64 } from './big-endian.ts';
import { type Compression, compress, compressionId, compressSync } from './compression.ts';
import type { RecordHeader } from './records.ts';
import { varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.ts';

/** A record to be: its offset is that of its place in the batch. */
export interface NewRecord {
  /** Milliseconds since 1970, a safe integer. -1: not known. */
  timestampMs: number;
  key?: Buffer | null | undefined;
  value?: Buffer | null | undefined;
  headers?: readonly RecordHeader[] | undefined;
}

export interface BatchOptions {
  /** Default none. */
  compression?: Compression | undefined;
  /** As gzip and zstd count levels, default their own; the others have none. */
  compressionLevel?: number | undefined;
  /** Default 0: the broker assigns offsets. */
  baseOffset?: number | undefined;
  /** Default -1. */
  leaderEpoch?: number | undefined;
  /** Default -1: not idempotent. */
  producerId?: number | undefined;
  /** Default -1. */
  producerEpoch?: number | undefined;
  /** Default -1. */
  baseSequence?: number | undefined;
  /** Default false. */
  isTransactional?: boolean | undefined;
  /** Default false. */
  isControl?: boolean | undefined;
}

export interface BatchBuilderOptions extends BatchOptions {
  /** Where tryAppend begins to refuse: bytes of the whole batch, before compression. */
  bytesMax: number;
}

const INITIAL_BYTES = 1024;

/** Builds one batch, record by record, in one growing buffer. */
export class BatchBuilder {
  readonly #options: BatchBuilderOptions;
  #buffer: Buffer;
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestampMs = NO_TIMESTAMP;
  #maxTimestampMs = NO_TIMESTAMP;
  #built = false;

  constructor(options: BatchBuilderOptions) {
    this.#options = options;
    this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  }

  /** Bytes of the whole batch as it is now, before compression. */
  get sizeBytes(): number {
    return this.#end;
  }

  get count(): number {
    return this.#count;
  }

  /** The record's bytes are copied. False, with nothing done, when the batch would exceed bytesMax; a first record always fits. */
  tryAppend(record: NewRecord): boolean {
    const contentBytes = contentBytesOf(record);
    const at = this.#place(record.timestampMs, contentBytes);
    if (at < 0) return false;
    const written = writeContent(this.#buffer, at, record);
    invariant(written === this.#end, 'a record is not of the size computed', { written, end: this.#end });
    return true;
  }

  /** As tryAppend, of a record whose content is at hand as another batch held it (records.ts); it is not looked into. */
  tryAppendPacked(timestampMs: number, content: Buffer): boolean {
    const at = this.#place(timestampMs, content.length);
    if (at >= 0) content.copy(this.#buffer, at);
    return at >= 0;
  }

  /** Writes what stands before a record's content, and returns where that goes; -1 when there is no room. */
  #place(timestampMs: number, contentBytes: number): number {
    invariant(!this.#built, 'a batch was built and cannot take records');
    const baseTimestampMs = this.#count === 0 ? timestampMs : this.#baseTimestampMs;
    const timestampDeltaMs = timestampMs - baseTimestampMs;
    invariant(Number.isSafeInteger(timestampMs) && Number.isSafeInteger(timestampDeltaMs), 'a timestamp out of range', {
      timestampMs,
      baseTimestampMs,
    });
    const bodyBytes = 1 + varlongBytes(timestampDeltaMs) + varintBytes(this.#count) + contentBytes;
    const end = this.#end + varintBytes(bodyBytes) + bodyBytes;
    if (end > this.#options.bytesMax && this.#count > 0) return -1;

    this.#reserve(end);
    let at = writeVarint(this.#buffer, this.#end, bodyBytes);
    this.#buffer[at++] = 0;
    at = writeVarlong(this.#buffer, at, timestampDeltaMs);
    at = writeVarint(this.#buffer, at, this.#count);
    this.#end = end;
    this.#baseTimestampMs = baseTimestampMs;
    this.#maxTimestampMs = this.#count === 0 ? timestampMs : Math.max(this.#maxTimestampMs, timestampMs);
    this.#count++;
    return at;
  }

  /** Ends the batch; there must be a record in it. */
  build(): Buffer {
    const { compression = 'none', compressionLevel } = this.#options;
    const records = this.#finish();
    return compression === 'none' ? this.#seal() : this.#seal(compressSync(compression, records, compressionLevel));
  }

  /** As build; gzip and zstd compress off the event loop. */
  async buildAsync(): Promise<Buffer> {
    const { compression = 'none', compressionLevel } = this.#options;
    const records = this.#finish();
    return compression === 'none' ? this.#seal() : this.#seal(await compress(compression, records, compressionLevel));
  }

  /** Takes no more records; returns those there are. */
  #finish(): Buffer {
    invariant(!this.#built, 'a batch is built once');
    invariant(this.#count > 0, 'a batch without records is not built');
    this.#built = true;
    return this.#buffer.subarray(BATCH_HEADER_BYTES, this.#end);
  }

  /** The batch: the records as they lie in the buffer, or in their compressed form. */
  #seal(compressed?: Buffer): Buffer {
    let batch = this.#buffer.subarray(0, this.#end);
    if (compressed !== undefined) {
      batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + compressed.length);
      compressed.copy(batch, BATCH_HEADER_BYTES);
    }
    this.#writeHeader(batch);
    stampCrc(batch, 0);
    return batch;
  }

  #writeHeader(batch: Buffer): void {
    const { compression = 'none', isTransactional = false, isControl = false } = this.#options;
    const attributes =
      compressionId(compression) |
      (isTransactional ? attribute.transactional : 0) |
      (isControl ? attribute.control : 0);
    writeInt64(batch, field.baseOffset, this.#options.baseOffset ?? 0);
    batch.writeInt32BE(batch.length - LOG_OVERHEAD_BYTES, field.length);
    batch.writeInt32BE(this.#options.leaderEpoch ?? NONE, field.leaderEpoch);
    batch.writeInt8(MAGIC, field.magic);
    batch.writeInt16BE(attributes, field.attributes);
    batch.writeInt32BE(this.#count - 1, field.lastOffsetDelta);
    writeInt64(batch, field.baseTimestamp, this.#baseTimestampMs);
    writeInt64(batch, field.maxTimestamp, this.#maxTimestampMs);
    writeInt64(batch, field.producerId, this.#options.producerId ?? NONE);
    batch.writeInt16BE(this.#options.producerEpoch ?? NONE, field.producerEpoch);
    batch.writeInt32BE(this.#options.baseSequence ?? NONE, field.baseSequence);
    batch.writeInt32BE(this.#count, field.recordCount);
  }

  #reserve(end: number): void {
    if (end <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#end);
    this.#buffer = grown;
  }
}

/** A batch of at least one record, of whatever size they take. */
export function buildBatch(records: Iterable<NewRecord>, options: BatchOptions = {}): Buffer {
  const builder = new BatchBuilder({ ...options, bytesMax: Number.POSITIVE_INFINITY });
  for (const record of records) builder.tryAppend(record);
  return builder.build();
}

function contentBytesOf(record: NewRecord): number {
  const { key, value, headers = [] } = record;
  let bytes = nullableBytesOf(key) + nullableBytesOf(value) + varintBytes(headers.length);
  for (const header of headers) {
    const keyBytes = Buffer.byteLength(header.key);
    bytes += varintBytes(keyBytes) + keyBytes + nullableBytesOf(header.value);
  }
  return bytes;
}

function nullableBytesOf(bytes: Buffer | null | undefined): number {
  return bytes == null ? 1 : varintBytes(bytes.length) + bytes.length;
}

/** Returns where the content ends; its layout is in records.ts. */
function writeContent(buffer: Buffer, start: number, record: NewRecord): number {
  const { key, value, headers = [] } = record;
  let at = writeNullable(buffer, start, key);
  at = writeNullable(buffer, at, value);
  at = writeVarint(buffer, at, headers.length);
  for (const header of headers) {
    at = writeVarint(buffer, at, Buffer.byteLength(header.key));
    at += buffer.write(header.key, at);
    at = writeNullable(buffer, at, header.value);
  }
  return at;
}

function writeNullable(buffer: Buffer, start: number, bytes: Buffer | null | undefined): number {
  if (bytes == null) return writeVarint(buffer, start, -1);
  const at = writeVarint(buffer, start, bytes.length);
  return at + bytes.copy(buffer, at);
}
