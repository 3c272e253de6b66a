import type { CancelTimer } from '../../base/clock.ts';
import { Fault, faultFromKafka } from '../../base/faults.ts';
import { invariant } from '../../base/invariant.ts';
import { ZERO_UUID } from '../../base/random.ts';
import {
  attribute,
  attributes,
  baseOffset,
  batchBytes,
  compressionOf,
  field,
  isTransactional,
  lastOffsetDelta,
  NONE,
  nextOffset,
  recordCount,
  stampCrc,
  timestampType,
} from '../../record/batch.ts';
import { BatchBuilder } from '../../record/batch-builder.ts';
import { writeInt64 } from '../../record/big-endian.ts';
import type { Compression } from '../../record/compression.ts';
import type { PackedRecord } from '../../record/records.ts';
import { backoffMs } from '../backoff.ts';
import type { Connection } from '../connection.ts';
import type { ProducerIdentity } from '../producer-batch.ts';
import type { TargetState } from './checkpoint.ts';
import type { ReplaySide, SourceBatch } from './source-partition.ts';
import { SEQUENCES } from './stored-tail.ts';

export interface TargetSettings {
  readonly topic: string;
  readonly identity: ProducerIdentity;
  /** Where a batch is full, before compression. */
  readonly batchBytesMax: number;
  /** What the topic takes. */
  readonly storedBytesMax: number;
  /** How far what the broker has of the replay goes, looked for behind a place that is known to be stored. */
  readonly findStored: (partition: number, from: Stored) => Promise<Stored>;
  /** Called when bytes were stored, and with what cannot be cured. */
  readonly onStored: (bytes: number) => void;
  readonly onFailed: (error: unknown) => void;
}

/** A number of records, and an offset below which none of the later ones lies. */
export interface Stored {
  readonly records: number;
  readonly offset: number;
}

interface Sealed {
  readonly bytes: Buffer;
  readonly count: number;
}

/** A connection in use: what was sent on it and is not answered are the first batches of the queue. */
interface Session {
  readonly connection: Connection;
  sent: number;
}

/** A broker remembers five batches of each idempotent producer, and so knows each of these again. */
const IN_FLIGHT_MAX = 5;
/** How long a partition may take no batch before that is thrown. */
const DELIVERY_TIMEOUT_MS = 120_000;
/** The last version that names topics; after it they go by id. */
const NAMES_VERSION_LAST = 12;
const DELETE_HORIZON = 0x40;

/**
 * Writes the replay's records to one partition, in order and numbered without a gap. A batch is sent, as it is, until the broker
 * says that it is stored. Once one fails, it and all after it are sent again, but for those that are found stored: the broker knows
 * what it has by the numbers only as long as it remembers them. Apache Kafka forgets a producer whose youngest record is a day old
 * by its timestamp, as those of a replay may well be, at a start and from time to time.
 */
export class TargetPartition {
  readonly partition: number;
  readonly #side: ReplaySide;
  readonly #settings: TargetSettings;
  #builder: BatchBuilder | null = null;
  #compression: Compression = 'none';
  /** Sealed and not yet stored, in order. */
  readonly #queue: Sealed[] = [];
  /** Records taken; the number of the next one. */
  #records: number;
  #stored: number;
  #acknowledged: Stored;
  #session: Session | null = null;
  #opening = false;
  #failures = 0;
  #failingSinceMs: number | null = null;
  #cancelRetry: CancelTimer | null = null;
  #stopped = false;
  #waiting: { records: number; resolve: () => void }[] = [];

  constructor(
    side: ReplaySide,
    settings: TargetSettings,
    start: { partition: number; records: number; offset: number },
  ) {
    this.partition = start.partition;
    this.#side = side;
    this.#settings = settings;
    this.#records = start.records;
    this.#stored = start.records;
    this.#acknowledged = { records: start.records, offset: start.offset };
  }

  /** As it would be if all that was taken were stored. */
  get state(): TargetState {
    const { records: acknowledged, offset } = this.#acknowledged;
    return { partition: this.partition, records: this.#records, acknowledged, offset };
  }

  /** Returns the bytes that were sealed to make room for the record. */
  async add({ timestampMs, content }: PackedRecord, compression: Compression): Promise<number> {
    const sealed = this.addNow(timestampMs, content, compression) ? 0 : await this.seal();
    if (sealed > 0) invariant(this.addNow(timestampMs, content, compression), 'a first record always fits');
    return sealed;
  }

  /** False when the batch has to be sealed first. */
  addNow(timestampMs: number, content: Buffer, compression: Compression): boolean {
    if (this.#builder === null) {
      this.#builder = new BatchBuilder({
        bytesMax: this.#settings.batchBytesMax,
        compression,
        producerId: this.#settings.identity.producerId,
        producerEpoch: this.#settings.identity.epoch,
        baseSequence: this.#records % SEQUENCES,
      });
      this.#compression = compression;
    } else if (compression !== this.#compression) return false;
    if (!this.#builder.tryAppendPacked(timestampMs, content)) return false;
    this.#records++;
    return true;
  }

  /** Whether a batch of the source can be sent as it is. */
  passes({ bytes, at, startNext, endNext }: SourceBatch, compression: Compression): boolean {
    return (
      baseOffset(bytes, at) >= startNext &&
      nextOffset(bytes, at) <= endNext &&
      recordCount(bytes, at) === lastOffsetDelta(bytes, at) + 1 &&
      compressionOf(bytes, at) === compression &&
      timestampType(bytes, at) === 'CreateTime' &&
      !isTransactional(bytes, at) &&
      (attributes(bytes, at) & DELETE_HORIZON) === 0 &&
      batchBytes(bytes, at) <= this.#settings.storedBytesMax
    );
  }

  /** Takes a batch that `passes`; what is being filled must have been sealed. Returns its bytes. */
  addBatch({ bytes: source, at }: SourceBatch): number {
    invariant(this.#builder === null, 'records before a batch are sealed first');
    const bytes = Buffer.from(source.subarray(at, at + batchBytes(source, at)));
    const { producerId, epoch } = this.#settings.identity;
    writeInt64(bytes, field.baseOffset, 0);
    bytes.writeInt32BE(NONE, field.leaderEpoch);
    bytes.writeInt16BE(attributes(bytes, 0) & attribute.compression, field.attributes);
    writeInt64(bytes, field.producerId, producerId);
    bytes.writeInt16BE(epoch, field.producerEpoch);
    bytes.writeInt32BE(this.#records % SEQUENCES, field.baseSequence);
    stampCrc(bytes, 0);
    const count = recordCount(bytes, 0);
    this.#records += count;
    this.#enqueue({ bytes, count });
    return bytes.length;
  }

  /** Ends the batch that is being filled and sends it; returns its bytes. */
  async seal(): Promise<number> {
    const builder = this.#builder;
    if (builder === null) return 0;
    this.#builder = null;
    const bytes = this.#compression === 'none' ? builder.build() : await builder.buildAsync();
    this.#enqueue({ bytes, count: builder.count });
    return bytes.length;
  }

  /** Resolves when all records that were sealed before are stored. */
  whenStored(): Promise<void> {
    const records = this.#records - (this.#builder?.count ?? 0);
    return this.#stored >= records
      ? Promise.resolve()
      : new Promise((resolve) => this.#waiting.push({ records, resolve }));
  }

  /** Sends nothing more; what is in flight goes unheard. */
  stop(): void {
    this.#stopped = true;
    this.#session = null;
    this.#cancelRetry?.();
  }

  #enqueue(sealed: Sealed): void {
    this.#queue.push(sealed);
    this.#send();
  }

  #send(): void {
    if (this.#stopped || this.#cancelRetry !== null) return;
    const session = this.#session;
    if (session === null) {
      if (!this.#opening && this.#queue.length > 0) void this.#open();
      return;
    }
    while (session.sent < Math.min(IN_FLIGHT_MAX, this.#queue.length)) {
      void this.#request(session, this.#queue[session.sent++]!);
    }
  }

  async #open(): Promise<void> {
    this.#opening = true;
    try {
      const { cluster, lane } = this.#side;
      const leader = cluster.topic(this.#settings.topic)?.partitions[this.partition]?.leader ?? -1;
      if (leader < 0)
        throw new Fault('brokerError', { detail: `${this.#where} has no leader`, kafka: 'LEADER_NOT_AVAILABLE' });
      const connection = await cluster.connection(leader, lane);
      const found = this.#failures > 0 ? await this.#settings.findStored(this.partition, this.#acknowledged) : null;
      if (this.#stopped) return;
      if (found !== null) this.#dropStored(found);
      this.#session = { connection, sent: 0 };
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#opening = false;
    }
    this.#send();
  }

  async #request(session: Session, batch: Sealed): Promise<void> {
    const { cluster, requestTimeoutMs: timeoutMs } = this.#side;
    const { topic: name } = this.#settings;
    const id = cluster.topic(name)?.id ?? null;
    const partitionData = [{ index: this.partition, records: [batch.bytes] }];
    try {
      const response = await session.connection.request(
        'Produce',
        { acks: -1, timeoutMs, topicData: [{ name, topicId: id ?? ZERO_UUID, partitionData }] },
        { versionMax: id === null ? NAMES_VERSION_LAST : undefined, timeoutMs },
      );
      if (this.#session !== session) return;
      const answer = response.responses[0]?.partitionResponses[0];
      if (answer === undefined) throw new Fault('malformedResponse', { detail: `Produce, ${this.#where}` });
      const said = answer.errorMessage === null ? this.#where : `${this.#where}: ${answer.errorMessage}`;
      const fault = faultFromKafka(answer.errorCode, said);
      if (fault !== null) throw fault;
      this.#onStored(session, batch, answer.baseOffset);
    } catch (error) {
      if (this.#session === session) this.#failed(error);
    }
  }

  #onStored(session: Session, batch: Sealed, offset: number): void {
    invariant(this.#queue[0] === batch, 'answers come in the order of the requests');
    session.sent--;
    this.#failures = 0;
    this.#failingSinceMs = null;
    this.#shift();
    if (offset >= 0) this.#acknowledged = { records: this.#stored, offset: offset + batch.count };
    this.#send();
  }

  /** What was sent and not answered, and is stored all the same. */
  #dropStored(found: Stored): void {
    while (this.#queue.length > 0 && this.#stored + this.#queue[0]!.count <= found.records) this.#shift();
    if (this.#stored === found.records) this.#acknowledged = found;
  }

  /** The first batch of the queue is stored. */
  #shift(): void {
    const { bytes, count } = this.#queue.shift()!;
    this.#stored += count;
    while (this.#waiting.length > 0 && this.#waiting[0]!.records <= this.#stored) this.#waiting.shift()!.resolve();
    this.#settings.onStored(bytes.length);
  }

  #failed(error: unknown): void {
    this.#session = null;
    if (this.#stopped) return;
    const { cluster, retryBackoff } = this.#side;
    const nowMs = cluster.clock.monotonicMs();
    this.#failingSinceMs ??= nowMs;
    this.#failures++;
    const lasting = !(error instanceof Fault) || !error.retriable || isOutOfSequence(error);
    if (lasting || nowMs - this.#failingSinceMs >= DELIVERY_TIMEOUT_MS) {
      this.stop();
      this.#settings.onFailed(lasting && isOutOfSequence(error) ? outOfSequence(error) : error);
      return;
    }
    cluster.logger.debug({ partition: this.partition, err: error }, 'batches of a replay are sent again');
    this.#cancelRetry = cluster.clock.after(backoffMs(retryBackoff, this.#failures, cluster.random), () => {
      void cluster.refresh().then(() => {
        this.#cancelRetry = null;
        this.#send();
      });
    });
  }

  get #where(): string {
    return `topic ${this.#settings.topic}, partition ${this.partition}`;
  }
}

/** The broker has other records of the replay than were taken for stored. */
function isOutOfSequence(error: unknown): error is Fault {
  return (
    error instanceof Fault &&
    (error.kafka === 'OUT_OF_ORDER_SEQUENCE_NUMBER' ||
      error.kafka === 'DUPLICATE_SEQUENCE_NUMBER' ||
      error.kafka === 'INVALID_PRODUCER_EPOCH')
  );
}

function outOfSequence(cause: Fault): Fault {
  return new Fault('replayDiverged', { detail: cause.message, cause });
}
