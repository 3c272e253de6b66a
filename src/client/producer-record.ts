import { Fault } from '../base/faults.ts';
import type { NewRecord } from '../record/batch-builder.ts';
import type { RecordHeader } from '../record/records.ts';
import type { Codec } from './codecs.ts';

export type HeaderValue = string | Buffer | null;

/** By name, or as pairs where a name comes more than once. Text is written as UTF-8. */
export type HeadersInput = Readonly<Record<string, HeaderValue>> | readonly (readonly [string, HeaderValue])[];

/** What to send. */
export interface ProducerRecord<K = string, V = unknown> {
  topic: string;
  /** Records of one key go to one partition. Default null: any partition. */
  key?: K | null | undefined;
  /** Null, the default, is a tombstone: on a compacted topic it deletes its key. */
  value?: V | null | undefined;
  headers?: HeadersInput | undefined;
  /** Default: the producer's partitioner chooses. */
  partition?: number | undefined;
  /** Milliseconds since 1970; default now. */
  timestampMs?: number | undefined;
}

/** What became of a record. */
export interface RecordResult {
  readonly topic: string;
  readonly partition: number;
  /** -1 when the broker did not say: with acks 0, or when the record had been stored by an earlier attempt too long ago. */
  readonly offset: number;
  /** The record's own, or the broker's on a topic that stamps records itself. */
  readonly timestampMs: number;
}

/** A record as bytes, on its way to a batch. */
export interface EncodedRecord extends NewRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
  readonly timestampMs: number;
  /** Null: the partitioner chooses. */
  readonly partition: number | null;
  /** What it counts for in the producer's buffer. */
  readonly bytes: number;
}

/** Who waits for a record's outcome. */
export interface Pending {
  resolve(result: RecordResult): void;
  reject(error: Error): void;
}

const NO_HEADERS: readonly RecordHeader[] = [];
/** What a record, or a header, takes beyond its own bytes, roughly: lengths and deltas in the batch, and its promise. */
const OVERHEAD_BYTES = 32;

/** @throws Fault invalidArgument, also from the codecs. */
export function encodeRecord<K, V>(
  record: ProducerRecord<K, V>,
  keyCodec: Codec<K>,
  valueCodec: Codec<V>,
  nowMs: number,
): EncodedRecord {
  const key = record.key == null ? null : encodedBy(keyCodec, record.key);
  const value = record.value == null ? null : encodedBy(valueCodec, record.value);
  const headers = record.headers == null ? NO_HEADERS : headersOf(record.headers);
  const { timestampMs = nowMs, partition = null } = record;
  if (!Number.isSafeInteger(timestampMs) || timestampMs < 0) {
    throw new Fault('invalidArgument', { detail: `timestampMs must be milliseconds since 1970, not ${timestampMs}` });
  }
  let bytes = OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) bytes += OVERHEAD_BYTES + header.key.length + (header.value?.length ?? 0);
  return { key, value, headers, timestampMs, partition, bytes };
}

function encodedBy<T>(codec: Codec<T>, value: T): Buffer {
  const encoded = codec.encode(value);
  if (Buffer.isBuffer(encoded)) return encoded;
  throw new Fault('invalidArgument', { detail: "what a codec's encode returns must be a Buffer" });
}

function headersOf(input: HeadersInput): RecordHeader[] {
  const pairs = Array.isArray(input) ? (input as readonly [string, HeaderValue][]) : Object.entries(input);
  return pairs.map(([key, value]) => {
    if (typeof key === 'string') return { key, value: headerValue(key, value) };
    throw new Fault('invalidArgument', { detail: `the name of a header must be text, not ${typeof key}` });
  });
}

function headerValue(name: string, value: unknown): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return Buffer.from(value);
  throw new Fault('invalidArgument', {
    detail: `header "${name}" must be text, a Buffer or null, not ${typeof value}`,
  });
}
