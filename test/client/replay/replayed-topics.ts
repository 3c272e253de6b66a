import { bytes } from '../../../src/client/codecs.ts';
import type { ReadRecord } from '../../../src/client/read-record.ts';
import type { ReplayCheckpoint } from '../../../src/client/replay/checkpoint.ts';
import type { Millrace } from '../../../src/millrace.ts';
import type { Compression } from '../../../src/record/compression.ts';
import { RecordsDigest } from '../../../src/records-digest.ts';
import { newTopic } from '../targets.ts';

export const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
/** Of record 0; record n comes n seconds later. */
export const FIRST_MS = 1_700_000_000_000;

/** The records are old by their timestamps: retention must not take them. */
export const KEPT = { 'retention.ms': -1 };

export interface Filling {
  records: number;
  partitions: number;
  batchBytesMax?: number;
  compressions?: readonly Compression[];
}

/**
 * A topic of records of every kind: without key, value or both, with empty ones, with several headers of one name, binary, of all
 * compressions, and with timestamps that also go back. Record n lies in partition n modulo their number.
 */
export async function fill(client: Millrace, what: string, filling: Filling): Promise<string> {
  const { records, partitions, batchBytesMax = 2000, compressions = COMPRESSIONS } = filling;
  const topic = newTopic(what);
  await client.admin.createTopic({ name: topic, partitions, settings: KEPT });
  const share = Math.ceil(records / compressions.length);
  for (const [index, compression] of compressions.entries()) {
    await using producer = client.producer({ key: bytes, value: bytes, compression, batchBytesMax });
    const end = Math.min(records, (index + 1) * share);
    await producer.sendMany(recordsOf(topic, partitions, index * share, end));
  }
  return topic;
}

function* recordsOf(topic: string, partitions: number, start: number, end: number) {
  for (let number = start; number < end; number++) {
    yield {
      topic,
      partition: number % partitions,
      key: number % 7 === 0 ? null : Buffer.from(number % 11 === 0 ? '' : `key-${number % 50}`),
      value: number % 13 === 0 ? null : Buffer.from(`${number}`.repeat(1 + (number % 20))),
      headers: headersOf(number),
      timestampMs: FIRST_MS + number * 1000 - (number % 17 === 0 ? 500_000 : 0),
    };
  }
}

function headersOf(number: number): [string, Buffer | string | null][] {
  if (number % 3 !== 0) return [];
  return [
    ['parity', number % 2 === 0 ? 'even' : 'odd'],
    ['ünï', Buffer.from([0xff, number & 0xff])],
    ['parity', null],
  ];
}

export interface TopicContent {
  /** Of each partition. */
  digests: string[];
  counts: number[];
}

/** What a topic holds, by partition; records for which `counts` says no are passed over. Offsets enter only when all count. */
export async function contentOf(
  client: Millrace,
  topic: string,
  counts?: (record: ReadRecord<Buffer, Buffer>) => boolean,
): Promise<TopicContent> {
  const { partitions } = await client.admin.describeTopic(topic);
  const digests = await Promise.all(partitions.map(() => RecordsDigest.create()));
  const found = partitions.map(() => 0);
  for await (const { records } of client.reader({ topic, to: 'end', key: bytes, value: bytes }).batches()) {
    for (const record of records) {
      if (counts !== undefined && !counts(record)) continue;
      const number = found[record.partition]!;
      found[record.partition] = number + 1;
      const { offset, timestampMs, keyBytes: key, valueBytes: value, headers } = record;
      const place = counts === undefined ? offset : number;
      digests[record.partition]!.add({ offset: place, timestampMs, key, value, headers });
    }
  }
  return { digests: digests.map((digest) => digest.end()), counts: found };
}

/** Keeps a checkpoint in memory. */
export class MemoryCheckpoint implements ReplayCheckpoint {
  readonly name = 'the checkpoint of the test';
  text: string | null = null;
  saves = 0;
  /** How often it is saved before saving fails, as it does for a process that is killed. */
  savesLeft = Number.POSITIVE_INFINITY;

  async load(): Promise<string | null> {
    return this.text;
  }

  async save(text: string): Promise<void> {
    if (this.savesLeft-- <= 0) throw new Error('killed');
    this.text = text;
    this.saves++;
  }
}
