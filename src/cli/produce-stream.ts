import type { Producer } from '../client/producer.ts';
import type { HeadersInput, RecordResult } from '../client/producer-record.ts';
import { RecordSplitter } from './record-splitter.ts';

/** How bytes become records. */
export interface Intake {
  readonly topic: string;
  readonly delimiter: Buffer;
  /** Null: no keys. */
  readonly keyDelimiter: Buffer | null;
  readonly headers: HeadersInput | undefined;
  readonly partition: number | undefined;
  readonly emptyIsNull: boolean;
  readonly recordBytesMax: number;
}

export interface Totals {
  records: number;
  /** Of the input, delimiters included. */
  bytes: number;
  /** Where the records went; -1 stands for offsets that the broker did not say, with acks 0. */
  partitions: { partition: number; records: number; firstOffset: number; lastOffset: number }[];
}

/**
 * Sends the stream's records as fast as the producer takes them; what is held is bounded by its buffer and one chunk.
 * @throws the first record's failure, once those under way have their outcome
 */
export async function sendAll(
  input: AsyncIterable<Buffer>,
  producer: Producer<Buffer, Buffer>,
  intake: Intake,
  onProgress: (records: number, bytes: number) => void,
): Promise<Totals> {
  const splitter = new RecordSplitter(intake.delimiter, intake.recordBytesMax);
  const outcome = new Outcome();
  let records = 0;
  let bytes = 0;
  const send = (record: Buffer): void => {
    records++;
    outcome.watch(producer.send(toRecord(record, intake)));
  };
  for await (const chunk of input) {
    bytes += chunk.length;
    for (const record of splitter.push(chunk)) send(record);
    // Until the topic is found the producer holds back what it is given: the first record shows that it was.
    await outcome.first;
    await producer.ready();
    if (outcome.failure !== null) break;
    onProgress(records, bytes);
  }
  const last = outcome.failure === null ? splitter.end() : null;
  if (last !== null) send(last);
  await producer.close();
  if (outcome.failure !== null) throw outcome.failure;
  return { records, bytes, partitions: outcome.partitions() };
}

function toRecord(record: Buffer, { topic, keyDelimiter, headers, partition, emptyIsNull }: Intake) {
  let key: Buffer | null = null;
  let value: Buffer | null = record;
  const keyEnd = keyDelimiter === null ? -1 : record.indexOf(keyDelimiter);
  if (keyEnd >= 0) {
    key = record.subarray(0, keyEnd);
    value = record.subarray(keyEnd + keyDelimiter!.length);
  }
  if (emptyIsNull && key?.length === 0) key = null;
  if (emptyIsNull && value.length === 0) value = null;
  return { topic, key, value, headers, partition };
}

/** What became of the records, without keeping anything of each. */
class Outcome {
  failure: Error | null = null;
  /** Settles with the first record's outcome; never rejects. */
  first: Promise<void> | null = null;
  readonly #partitions = new Map<number, Totals['partitions'][number]>();
  readonly #stored = ({ partition, offset }: RecordResult): void => {
    const seen = this.#partitions.get(partition);
    if (seen === undefined) {
      this.#partitions.set(partition, { partition, records: 1, firstOffset: offset, lastOffset: offset });
      return;
    }
    seen.records++;
    seen.lastOffset = offset;
  };
  readonly #failed = (error: Error): void => {
    this.failure ??= error;
  };

  watch(sent: Promise<RecordResult>): void {
    const settled = sent.then(this.#stored, this.#failed);
    this.first ??= settled;
  }

  partitions(): Totals['partitions'] {
    return [...this.#partitions.values()].sort((a, b) => a.partition - b.partition);
  }
}
