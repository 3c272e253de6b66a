import { Fault } from '../base/faults.ts';
import {
  baseOffset,
  batchBytes,
  batchesIn,
  checkBatch,
  compressionOf,
  isControl,
  nextOffset,
} from '../record/batch.ts';
import { type LogRecord, recordsOf, recordsOfAsync } from '../record/records.ts';
import { AbortedTransactions } from './aborted-transactions.ts';
import { detailOf } from './fault-detail.ts';
import type { Chunk } from './fetcher.ts';
import { type ReadBatch, ReadRecord, type RecordSource } from './read-record.ts';

/** Above this, decompressing is worth the way to another thread and back. */
const SYNC_DECOMPRESSION_BYTES_MAX = 128 * 1024;

/** By what the keys and values of records are decoded. */
export type Codecs<K, V> = Pick<RecordSource<K, V>, 'key' | 'value'>;

/**
 * The batches of a chunk with the records that were asked for, each with the offset after it; null stands for a batch that has
 * none. @throws Fault corruptBatch and others, which name the place.
 */
export async function* decodeChunk<K, V>(
  { cursor, bytes, fetchedFrom, abortedTransactions, highWatermark }: Chunk,
  codecs: Codecs<K, V>,
): AsyncGenerator<{ batch: ReadBatch<K, V> | null; nextOffset: number }> {
  const { topic, partition } = cursor;
  const source: RecordSource<K, V> = { topic, partition, key: codecs.key, value: codecs.value };
  const aborted = new AbortedTransactions(abortedTransactions);
  for (const at of batchesIn(bytes)) {
    const next = nextOffset(bytes, at);
    try {
      const fault = checkBatch(bytes, at, bytes.length);
      if (fault !== null) throw fault;
      const hidden = aborted.hides(bytes, at) || isControl(bytes, at);
      const records: ReadRecord<K, V>[] = [];
      for (const record of hidden || next <= fetchedFrom ? [] : await logRecordsOf(bytes, at)) {
        if (record.offset >= fetchedFrom && record.offset < cursor.endNext)
          records.push(new ReadRecord(record, source));
      }
      yield { batch: records.length === 0 ? null : { topic, partition, records, highWatermark }, nextOffset: next };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const detail = `topic ${topic}, partition ${partition}, offset ${baseOffset(bytes, at)}: ${detailOf(error)}`;
      throw new Fault(error.fault, { detail, cause: error });
    }
  }
}

async function logRecordsOf(bytes: Buffer, at: number): Promise<Iterable<LogRecord>> {
  const isSmall = batchBytes(bytes, at) <= SYNC_DECOMPRESSION_BYTES_MAX;
  return isSmall || compressionOf(bytes, at) === 'none' ? recordsOf(bytes, at) : recordsOfAsync(bytes, at);
}
