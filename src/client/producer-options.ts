import { Fault } from '../base/faults.ts';
import { type Compression, compressions } from '../record/compression.ts';
import { type Codec, messagePack, text } from './codecs.ts';
import { type Partitioner, type PartitionerName, partitionerOf } from './partitioner.ts';

export interface ProducerOptions<K = string, V = unknown> {
  /** Of keys. Default text. */
  key?: Codec<K>;
  /** Of values. Default messagePack(). */
  value?: Codec<V>;
  /**
   * When a record counts as sent: `all` (the default), when it survives what its topic promises to survive; 1, when its
   * partition's leader has written it; 0, at once, without hearing from the broker: records may be lost unnoticed.
   */
  acks?: 'all' | 0 | 1;
  /**
   * Whether the broker drops what attempts of this producer would double, and keeps its order. Default true with acks `all`,
   * which it needs. Without it a failed attempt may double records, and with inFlightMax above 1 change their order.
   */
  idempotent?: boolean;
  /** How long a record waits for others to share a batch with, unless the batch is full before. 0: not at all. Default 5. */
  lingerMs?: number;
  /**
   * Where a batch counts as full, before compression. Default 64 KiB: against Kafka's 16 KiB, records of 100 bytes go nearly twice
   * as fast and cost the broker a third less.
   */
  batchBytesMax?: number;
  /** Where a request counts as full; a single larger batch travels alone. Default 1 MiB. */
  requestBytesMax?: number;
  /** Default none. */
  compression?: Compression;
  /** As the codec counts levels; default its own. */
  compressionLevel?: number;
  /** Default murmur2, as in Kafka's own clients. */
  partitioner?: PartitionerName | Partitioner;
  /** Bytes of records that are not answered yet; past it sends wait for room. Default 32 MiB. */
  bufferBytesMax?: number;
  /** Requests to one broker that are not answered yet; at most 5 when idempotent. Default 5. */
  inFlightMax?: number;
  /** How long after send a record may be tried for; then it fails with deliveryTimedOut. Default 120,000. */
  deliveryTimeoutMs?: number;
  /** How long an answer to one attempt may take. Default that of the client. */
  requestTimeoutMs?: number;
  /** How long a topic may be unknown to the brokers before sends to it fail. Default 10,000. */
  unknownTopicMs?: number;
  /** Whether a broker set to make topics on demand makes those that are missing. Default true. */
  autoCreate?: boolean;
}

/** The options with their defaults, but for the codecs. */
export interface SendSettings
  extends Required<Omit<ProducerOptions, 'key' | 'value' | 'partitioner' | 'compressionLevel'>> {
  partitioner: Partitioner;
  compressionLevel: number | undefined;
}

export interface ProducerSettings<K, V> extends SendSettings {
  key: Codec<K>;
  value: Codec<V>;
}

/** A broker remembers five batches of each idempotent producer. */
const IDEMPOTENT_IN_FLIGHT_MAX = 5;
const INT32_MAX = 0x7fffffff;

/** @throws Fault invalidArgument. */
export function producerSettings<K, V>(
  options: ProducerOptions<K, V>,
  requestTimeoutMs: number,
): ProducerSettings<K, V> {
  const { acks = 'all' } = options;
  const settings = {
    // Without a codec named, K and V are those of the defaults: client.producer's signature says so.
    key: (options.key ?? text) as Codec<K>,
    value: (options.value ?? messagePack()) as Codec<V>,
    acks,
    idempotent: options.idempotent ?? acks === 'all',
    lingerMs: options.lingerMs ?? 5,
    batchBytesMax: options.batchBytesMax ?? 64 * 1024,
    requestBytesMax: options.requestBytesMax ?? 1024 * 1024,
    compression: options.compression ?? 'none',
    compressionLevel: options.compressionLevel,
    partitioner: partitionerOf(options.partitioner ?? 'murmur2'),
    bufferBytesMax: options.bufferBytesMax ?? 32 * 1024 * 1024,
    inFlightMax: options.inFlightMax ?? 5,
    deliveryTimeoutMs: options.deliveryTimeoutMs ?? 120_000,
    requestTimeoutMs: options.requestTimeoutMs ?? requestTimeoutMs,
    unknownTopicMs: options.unknownTopicMs ?? 10_000,
    autoCreate: options.autoCreate ?? true,
  };
  check(['all', 0, 1].includes(acks), `acks must be 'all', 0 or 1, not ${acks}`);
  check(!settings.idempotent || acks === 'all', `idempotent needs acks 'all', not ${acks}; set idempotent: false`);
  check(
    !settings.idempotent || settings.inFlightMax <= IDEMPOTENT_IN_FLIGHT_MAX,
    `inFlightMax of an idempotent producer is at most ${IDEMPOTENT_IN_FLIGHT_MAX}, not ${settings.inFlightMax}`,
  );
  check(compressions.includes(settings.compression), `compression must be one of ${compressions.join(', ')}`);
  check(settings.lingerMs >= 0, `lingerMs must be 0 or more, not ${settings.lingerMs}`);
  for (const name of [
    'batchBytesMax',
    'requestBytesMax',
    'bufferBytesMax',
    'inFlightMax',
    'deliveryTimeoutMs',
  ] as const) {
    check(settings[name] >= 1, `${name} must be at least 1, not ${settings[name]}`);
  }
  const { requestTimeoutMs: timeoutMs } = settings;
  // The broker is told of it, in 32 bits.
  check(
    Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= INT32_MAX,
    `requestTimeoutMs must be a whole number from 1 to ${INT32_MAX}, not ${timeoutMs}`,
  );
  return settings;
}

function check(holds: boolean, detail: string): void {
  if (!holds) throw new Fault('invalidArgument', { detail });
}
