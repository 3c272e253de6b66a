import { inspect } from 'node:util';
import { Fault } from '../base/faults.ts';
import type { LogRecord, RecordHeader } from '../record/records.ts';
import type { Codec } from './codecs.ts';

/** Where a record was read, and by what codecs its key and value are. */
export interface RecordSource<K, V> {
  readonly topic: string;
  readonly partition: number;
  readonly key: Codec<K>;
  readonly value: Codec<V>;
}

const NOT_DECODED = Symbol('not decoded');

/** A record as it was stored. Its bytes are views of the answer it came in; key and value are decoded when first asked for. */
export class ReadRecord<K = string, V = unknown> {
  readonly offset: number;
  /** Milliseconds since 1970; -1: not known. */
  readonly timestampMs: number;
  readonly keyBytes: Buffer | null;
  readonly valueBytes: Buffer | null;
  readonly headers: readonly RecordHeader[];
  readonly #source: RecordSource<K, V>;
  #key: K | null | typeof NOT_DECODED = NOT_DECODED;
  #value: V | null | typeof NOT_DECODED = NOT_DECODED;

  constructor(record: LogRecord, source: RecordSource<K, V>) {
    this.offset = record.offset;
    this.timestampMs = record.timestampMs;
    this.keyBytes = record.key;
    this.valueBytes = record.value;
    this.headers = record.headers;
    this.#source = source;
  }

  get topic(): string {
    return this.#source.topic;
  }

  get partition(): number {
    return this.#source.partition;
  }

  /** Null where there is none. @throws Fault undecodableValue. */
  get key(): K | null {
    if (this.#key === NOT_DECODED) this.#key = this.#decode('key', this.#source.key, this.keyBytes);
    return this.#key;
  }

  /** Null where there is none: a tombstone. @throws Fault undecodableValue. */
  get value(): V | null {
    if (this.#value === NOT_DECODED) this.#value = this.#decode('value', this.#source.value, this.valueBytes);
    return this.#value;
  }

  /** The text of the last header of this name; null where there is none, or it has no value. */
  header(name: string): string | null {
    return this.headers.findLast((header) => header.key === name)?.value?.toString('utf8') ?? null;
  }

  #decode<T>(what: string, codec: Codec<T>, encoded: Buffer | null): T | null {
    if (encoded === null) return null;
    try {
      return codec.decode(encoded);
    } catch (cause) {
      const where = `the ${what} at topic ${this.topic}, partition ${this.partition}, offset ${this.offset}`;
      throw new Fault('undecodableValue', { detail: `${where}: ${(cause as Error).message}`, cause });
    }
  }

  /** With key and value decoded where they can be, else their bytes: for JSON and for the console. */
  toJSON(): object {
    const decoded = (of: 'key' | 'value'): unknown => {
      try {
        return this[of];
      } catch {
        // Shown, not used: the reason comes when key or value is asked for.
        return of === 'key' ? this.keyBytes : this.valueBytes;
      }
    };
    const { topic, partition, offset, timestampMs, headers } = this;
    return { topic, partition, offset, timestampMs, key: decoded('key'), value: decoded('value'), headers };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}

/** Records that were stored together, in order; those of one that the reader did not ask for are left out. */
export interface ReadBatch<K = string, V = unknown> {
  readonly topic: string;
  readonly partition: number;
  /** At least one. */
  readonly records: readonly ReadRecord<K, V>[];
  /** Where the partition's readable records ended when the batch was fetched, exclusive. */
  readonly highWatermark: number;
}
