import { Fault } from '../../src/base/faults.ts';
import { Broker } from '../../src/broker/broker.ts';
import type { Disk } from '../../src/disk/disk.ts';
import type { PartitionLog } from '../../src/log/partition-log.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { recordsOf } from '../../src/record/records.ts';
import { ManualClock } from '../manual-clock.ts';
import { SeededRandom } from '../seeded-random.ts';

/** Small enough that a short life fills a file, and that each of their bytes can be tried. */
export const TINY_JOURNAL = {
  firstFileBytes: 16 * 1024,
  fileBytes: 16 * 1024,
  filesMax: 2,
  earlyRoundLogs: 512,
  reserveBytes: 4 * 1024,
};

/** Of topics: a segment is ended when its records span a second, and has many entries in its index. */
export const SMALL_SEGMENTS = new Map<string, string>([
  ['segment.ms', '1000'],
  ['index.interval.bytes', '150'],
]);

export interface OpenedBroker {
  readonly broker: Broker;
  readonly clock: ManualClock;
  /** What was logged as a warning or an error, with its facts. */
  readonly told: string[];
}

/** A broker over a disk, on a clock that stands still. @throws Fault as Broker.open does */
export async function openOn(disk: Disk, seed = 1): Promise<OpenedBroker> {
  const clock = new ManualClock();
  const told: string[] = [];
  const note = (facts: object, message: string): void => {
    const { err } = facts as { err?: unknown };
    if (err !== undefined && !(err instanceof Fault)) told.push(`NO FAULT: ${(err as Error).stack}`);
    told.push(`${message} ${JSON.stringify(facts)}`);
  };
  const broker = await Broker.open({
    disk,
    clock,
    random: new SeededRandom(seed),
    logger: { debug() {}, info() {}, warn: note, error: note },
    settings: { 'log.initial.task.delay.ms': '30000', 'log.cleaner.dedupe.buffer.size': '1048576' },
    startFacts: {},
    tailCacheBytesMax: 1 << 16,
    journalSizes: TINY_JOURNAL,
    readsAtOnceMax: 2,
  });
  return { broker, clock, told };
}

/** One record that a producer was told is stored. */
export interface StoredRecord {
  readonly offset: number;
  readonly value: string;
}

/** The last batch that a producer that numbers its batches sent to a partition. */
interface LastBatch {
  readonly topic: string;
  readonly partition: number;
  readonly values: readonly string[];
  readonly sending: Sending;
  readonly baseOffset: number;
}

/** All that was acknowledged, by those who were told. */
export class Stored {
  /** By topic, partition. */
  records = new Map<string, StoredRecord[][]>();
  readonly deletedTopics = new Set<string>();
  /** By group and topic, for partition 0. */
  readonly offsets = new Map<string, number>();
  /** By topic and partition: one producer sends to each. */
  readonly lastBatches = new Map<string, LastBatch>();
  clusterId = '';

  ofPartition(topic: string, partition: number): StoredRecord[] {
    let partitions = this.records.get(topic);
    if (partitions === undefined) this.records.set(topic, (partitions = []));
    return (partitions[partition] ??= []);
  }
}

export async function makeTopic(
  { broker }: OpenedBroker,
  stored: Stored,
  name: string,
  partitions: number,
): Promise<void> {
  await broker.topics.create({ name, partitions, replicationFactor: -1, settings: SMALL_SEGMENTS });
  for (let i = 0; i < partitions; i += 1) stored.ofPartition(name, i);
}

export interface Sending {
  readonly producerId?: number;
  readonly sequence?: number;
  readonly acks?: -1 | 1;
  /** Of each record. Default none. */
  readonly key?: string;
}

/** Sends values as one batch; resolves to the first one's offset once it is acknowledged. @throws Fault */
export async function sendBatch(
  { broker, clock }: OpenedBroker,
  topic: string,
  partition: number,
  values: readonly string[],
  { producerId, sequence, acks = -1, key }: Sending = {},
): Promise<number> {
  const identity = producerId === undefined ? {} : { producerId, producerEpoch: 0, baseSequence: sequence! };
  const identified = key === undefined ? {} : { key: Buffer.from(key) };
  const records = values.map((value) => ({ ...identified, timestampMs: clock.wallMs(), value: Buffer.from(value) }));
  const batch = buildBatch(records, identity);
  const produced = broker.produce(broker.topics.get(topic), partition, batch, { acks, version: 9 });
  await produced.settled;
  return produced.baseOffset;
}

/** The same, noted in what is stored. @throws Fault */
export async function send(
  opened: OpenedBroker,
  stored: Stored,
  topic: string,
  partition: number,
  values: readonly string[],
  sending: Sending = {},
): Promise<void> {
  const baseOffset = await sendBatch(opened, topic, partition, values, sending);
  const known = stored.ofPartition(topic, partition);
  for (const [i, value] of values.entries()) known.push({ offset: baseOffset + i, value });
  if (sending.producerId !== undefined) {
    stored.lastBatches.set(`${topic} ${partition}`, { topic, partition, values, sending, baseOffset });
  }
}

/**
 * Sends the last batches of producers once more, as they do when the answer was lost: they are known, and told the offset that
 * they have. Only where their records are there as they were; of others nothing need be known. @throws Error
 */
export async function sendAgain(opened: OpenedBroker, { lastBatches, records }: Stored): Promise<void> {
  for (const { topic, partition, values, sending, baseOffset } of lastBatches.values()) {
    const exact = records.get(topic)![partition]!;
    const isThere = (value: string, i: number) =>
      exact.some((one) => one.value === value && one.offset === baseOffset + i);
    if (!values.every(isThere)) continue;
    const told = await sendBatch(opened, topic, partition, values, sending).catch((error: unknown) => {
      if (!(error instanceof Fault)) throw error;
      return error.message;
    });
    if (told === baseOffset) continue;
    throw new Error(`${topic}/${partition}: a batch at offset ${baseOffset}, sent again, is told ${told}`);
  }
}

/** Commits an offset of a topic's first partition from outside of the group; notes it once it is durable. @throws Fault */
export async function commit(
  { broker }: OpenedBroker,
  stored: Stored,
  group: string,
  topic: string,
  offset: number,
): Promise<void> {
  const committer = { memberId: '', generation: -1, instanceId: null, saysEpoch: true };
  const one = { topic: broker.topics.get(topic), partition: 0, offset, leaderEpoch: -1, metadata: null };
  await broker.groups.commit(group, committer, [one], null);
  stored.offsets.set(`${group} ${topic}`, offset);
}

/** What became of the records of all partitions. */
export interface Findings {
  /** Records that readers are told are damaged. */
  lost: number;
  /** Records before the log's start, which nobody deleted, or behind its end: readers are told that there are none. */
  missing: number;
  /** What breaks the promise, one sentence each. */
  broken: string[];
}

/** Reads all of a partition as consumers do, each batch by itself; returns those of the acknowledged records that are as they were. */
export async function readPartition(
  log: PartitionLog,
  known: readonly StoredRecord[],
  found: Findings,
): Promise<StoredRecord[]> {
  const { logStart, highWatermark } = log.marks;
  const { values, refused } = await everythingIn(log, found);
  const exact: StoredRecord[] = [];
  for (const record of known) {
    const { offset, value } = record;
    const read = values.get(offset);
    if (read === value) exact.push(record);
    else if (read !== undefined) found.broken.push(`${log.folder}: offset ${offset} is ${read} instead of ${value}`);
    else if (refused.has(offset)) found.lost += 1;
    else if (offset < logStart || offset >= highWatermark) found.missing += 1;
    else found.broken.push(`${log.folder}: offset ${offset} (${value}) is passed over, and readers are told nothing`);
  }
  return exact;
}

/** All that readers get of a partition, and the offsets at which they are told that it is damaged. */
export async function everythingIn(
  log: PartitionLog,
  found: Findings,
): Promise<{ values: Map<number, string>; refused: Set<number> }> {
  const { logStart, highWatermark: endNext } = log.marks;
  const values = new Map<number, string>();
  const refused = new Set<number>();
  for (let offset = logStart; offset < endNext; ) {
    let nextOffset = offset + 1;
    try {
      const read = await log.reader.read(offset, { endNext, bytesMax: 1, atLeastOne: true });
      nextOffset = read.nextOffset;
      for (const buffer of read.buffers) {
        for (const at of batchesIn(buffer)) {
          for (const record of recordsOf(buffer, at)) values.set(record.offset, String(record.value));
        }
      }
    } catch (error) {
      if (!(error instanceof Fault) || error.fault !== 'corruptBatch') throw error;
      refused.add(offset);
    }
    if (nextOffset <= offset) {
      found.broken.push(`${log.folder}: no way on from offset ${offset}`);
      break;
    }
    offset = nextOffset;
  }
  return { values, refused };
}
