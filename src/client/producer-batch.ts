import { invariant } from '../base/invariant.ts';
import { field, stampCrc } from '../record/batch.ts';
import { BatchBuilder, buildBatch } from '../record/batch-builder.ts';
import { writeInt64 } from '../record/big-endian.ts';
import type { Compression } from '../record/compression.ts';
import { recordsOf } from '../record/records.ts';
import type { EncodedRecord, Pending, RecordResult } from './producer-record.ts';

/** Under which a partition's batches are numbered. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly epoch: number;
}

export interface BatchFormat {
  compression: Compression;
  compressionLevel: number | undefined;
}

/** What is fixed about a batch when it is started; its fields of the same names say more. */
export interface BatchPlace {
  topic: string;
  partition: number;
  order: number;
  createdAtMs: number;
  expiresAtMs: number;
}

const NO_SEQUENCE = -1;

/** The outcome of a whole batch. */
export interface BatchResult {
  /** Of the batch's first record; -1 when not known. */
  baseOffset: number;
  /** -1 on a topic that keeps the records' own timestamps. */
  logAppendTimeMs: number;
}

/** Records of one partition that travel and are answered together, with those who wait for the answer. */
export class ProducerBatch {
  readonly topic: string;
  readonly partition: number;
  /** How many records of the partition came before its first one: what batches are ordered by. */
  readonly order: number;
  /** By the monotonic clock. */
  readonly createdAtMs: number;
  /** When, by the monotonic clock, its first record was tried for too long. */
  readonly expiresAtMs: number;
  /** Whether it takes no more records. */
  closed = false;
  /** Whether it was sent and neither answered nor given up. */
  inFlight = false;
  /** Whether those who wait for it have been told. */
  settled = false;
  /** How often it was sent, or could not be. */
  attempts = 0;
  /** Why it was last sent in vain. */
  lastFault: Error | null = null;
  /** Why it could not be built. */
  failure: Error | null = null;
  /** What its records count for in the producer's buffer. */
  reservedBytes = 0;
  readonly #format: BatchFormat;
  /** Null once built. */
  #builder: BatchBuilder | null;
  #bytes: Buffer | null = null;
  #building = false;
  readonly #pending: Pending[] = [];
  readonly #timestampsMs: number[] = [];
  #identity: ProducerIdentity | null = null;
  #sequence = NO_SEQUENCE;
  readonly #listeners: (() => void)[] = [];

  constructor(place: BatchPlace, format: BatchFormat, bytesMax: number) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.order = place.order;
    this.createdAtMs = place.createdAtMs;
    this.expiresAtMs = place.expiresAtMs;
    this.#format = format;
    this.#builder = new BatchBuilder({ ...format, bytesMax });
  }

  get count(): number {
    return this.#timestampsMs.length;
  }

  /** Of the whole batch: before compression while it is being filled, then after. */
  get sizeBytes(): number {
    return this.#bytes?.length ?? this.#builder?.sizeBytes ?? 0;
  }

  /** Null while the batch is not numbered. */
  get identity(): ProducerIdentity | null {
    return this.#identity;
  }

  get isNumbered(): boolean {
    return this.#sequence !== NO_SEQUENCE;
  }

  /** False, with nothing done, when there is no room for it. */
  tryAppend(record: EncodedRecord, pending: Pending): boolean {
    if (this.closed || this.#builder === null || !this.#builder.tryAppend(record)) return false;
    this.#pending.push(pending);
    this.#timestampsMs.push(record.timestampMs);
    this.reservedBytes += record.bytes;
    return true;
  }

  /** The finished batch; null while it is being compressed, which `onBuilt` tells the end of. Only of a closed batch. */
  build(onBuilt: () => void): Buffer | null {
    invariant(this.closed, 'a batch is closed before it is built');
    if (this.#bytes !== null) return this.#bytes;
    if (this.#format.compression === 'none') {
      this.#bytes = this.#take().build();
      this.#stamp();
    } else if (!this.#building) {
      this.#building = true;
      this.#take()
        .buildAsync()
        .then((built) => {
          this.#bytes = built;
          this.#stamp();
        })
        .catch((error: Error) => {
          this.failure = error;
        })
        .finally(onBuilt);
    }
    return this.#bytes;
  }

  /** Of a batch that build has finished. */
  get builtBytes(): Buffer {
    invariant(this.#bytes !== null, 'a batch is built before it is sent');
    return this.#bytes;
  }

  #take(): BatchBuilder {
    const builder = this.#builder;
    invariant(builder !== null, 'a batch is built once');
    this.#builder = null;
    return builder;
  }

  /** Numbers the batch, in place if it is built. */
  number(identity: ProducerIdentity, sequence: number): void {
    this.#identity = identity;
    this.#sequence = sequence;
    this.#stamp();
  }

  /** The sequence of the batch after it; they begin again at 0 after 2^31 - 1. */
  get nextSequence(): number {
    return (this.#sequence + this.count) % 2 ** 31;
  }

  unnumber(): void {
    this.#identity = null;
    this.#sequence = NO_SEQUENCE;
  }

  /** Makes ready for another attempt: a broker in this process may still be at the bytes of the last one. */
  copyBytes(): void {
    if (this.#bytes !== null) this.#bytes = Buffer.from(this.#bytes);
  }

  #stamp(): void {
    if (this.#bytes === null || this.#identity === null) return;
    writeInt64(this.#bytes, field.producerId, this.#identity.producerId);
    this.#bytes.writeInt16BE(this.#identity.epoch, field.producerEpoch);
    this.#bytes.writeInt32BE(this.#sequence, field.baseSequence);
    stampCrc(this.#bytes, 0);
  }

  /** Two batches of half the records each, with the same waiters, order and sequences. This one is settled when both are. */
  split(): [ProducerBatch, ProducerBatch] {
    const bytes = this.#bytes;
    invariant(bytes !== null && this.count > 1, 'only a built batch of several records can be split');
    const records = [...recordsOf(bytes)];
    const middle = records.length >> 1;
    const reservedHalf = this.reservedBytes >> 1;
    let unsettled = 2;
    const onSettled = (): void => {
      unsettled--;
      if (unsettled === 0) this.#settle();
    };
    const half = (start: number, end: number): ProducerBatch => {
      const { topic, partition, createdAtMs, expiresAtMs } = this;
      const place = { topic, partition, order: this.order + start, createdAtMs, expiresAtMs };
      const child = new ProducerBatch(place, this.#format, 0);
      child.#builder = null;
      child.closed = true;
      child.#bytes = buildBatch(records.slice(start, end), this.#format);
      child.#pending.push(...this.#pending.slice(start, end));
      child.#timestampsMs.push(...this.#timestampsMs.slice(start, end));
      child.reservedBytes = start === 0 ? reservedHalf : this.reservedBytes - reservedHalf;
      child.attempts = this.attempts;
      child.#listeners.push(onSettled);
      if (this.#identity !== null) child.number(this.#identity, (this.#sequence + start) % 2 ** 31);
      return child;
    };
    return [half(0, middle), half(middle, records.length)];
  }

  resolve({ baseOffset, logAppendTimeMs }: BatchResult): void {
    const { topic, partition } = this;
    for (let index = 0; index < this.#pending.length; index++) {
      const offset = baseOffset < 0 ? -1 : baseOffset + index;
      const timestampMs = logAppendTimeMs < 0 ? this.#timestampsMs[index]! : logAppendTimeMs;
      const result: RecordResult = { topic, partition, offset, timestampMs };
      this.#pending[index]!.resolve(result);
    }
    this.#settle();
  }

  /** `ofRecord` gives the records that were the cause a fault of their own. */
  reject(error: Error, ofRecord?: ReadonlyMap<number, Error>): void {
    this.#pending.forEach((pending, index) => {
      pending.reject(ofRecord?.get(index) ?? error);
    });
    this.#settle();
  }

  #settle(): void {
    this.settled = true;
    this.#pending.length = 0;
    for (const listener of this.#listeners.splice(0)) listener();
  }

  /** Resolves when those who wait for its records have been told. */
  whenSettled(): Promise<void> {
    return this.settled ? Promise.resolve() : new Promise((resolve) => this.#listeners.push(resolve));
  }
}
