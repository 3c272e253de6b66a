import { faultFromKafka } from '../base/faults.ts';
import { batchesIn, checkBatch, isControl, nextOffset } from '../record/batch.ts';
import { recordsOfAsync } from '../record/records.ts';
import type { Cluster } from './cluster.ts';
import { partitionOf, topicWith } from './list-offsets.ts';

/** The last version that names topics; after it they go by id. */
const NAMES_VERSION_LAST = 12;
const LANE = 'admin';
/** A broker gives the first batch of an answer whole, whatever its size, and no more than this then. */
const PARTITION_BYTES_MAX = 1;
/** Batches without records of users (markers of transactions, what compaction left) that are passed over. */
const EMPTY_BATCHES_MAX = 100;

/**
 * The timestamp of the first record from an offset on, in milliseconds since 1970; null where there is none, or it has none.
 * @throws Fault unknownTopic, invalidArgument, connectionFailed and others.
 */
export async function recordTimeAt(
  cluster: Cluster,
  timeoutMs: number,
  topic: string,
  partition: number,
  offset: number,
): Promise<number | null> {
  return cluster.retrying(`reading topic ${topic}, partition ${partition}`, timeoutMs, async () => {
    let next = offset;
    for (let batches = 0; batches < EMPTY_BATCHES_MAX; batches++) {
      const bytes = await fetchOne(cluster, timeoutMs, topic, partition, next);
      const found = await firstRecord(bytes, next);
      if (found.timestampMs !== null) return found.timestampMs < 0 ? null : found.timestampMs;
      if (found.next === next) return null;
      next = found.next;
    }
    return null;
  });
}

async function fetchOne(
  cluster: Cluster,
  timeoutMs: number,
  topic: string,
  partition: number,
  fetchOffset: number,
): Promise<Buffer> {
  const found = await topicWith(cluster, topic, [partition], { timeoutMs, unknownMs: 0, autoCreate: false });
  const connection = await cluster.connection(partitionOf(found, partition).leader, LANE);
  const asked = { partition, fetchOffset, partitionMaxBytes: PARTITION_BYTES_MAX };
  const response = await connection.request(
    'Fetch',
    { maxWaitMs: 0, minBytes: 0, maxBytes: PARTITION_BYTES_MAX, topics: [{ topic, partitions: [asked] }] },
    { versionMax: NAMES_VERSION_LAST },
  );
  const answer = response.responses[0]?.partitions[0];
  const place = `topic ${topic}, partition ${partition}, offset ${fetchOffset}`;
  const fault = faultFromKafka(response.errorCode || (answer?.errorCode ?? 0), place);
  // Its records may have been deleted since the offset was found.
  if (fault?.kafka === 'OFFSET_OUT_OF_RANGE') return Buffer.alloc(0);
  if (fault !== null) throw fault;
  return Buffer.concat(answer?.records ?? []);
}

/** The timestamp of the first record from `offset` on, or where the batches end that have none. */
async function firstRecord(bytes: Buffer, offset: number): Promise<{ timestampMs: number | null; next: number }> {
  let next = offset;
  for (const at of batchesIn(bytes)) {
    const fault = checkBatch(bytes, at, bytes.length);
    if (fault !== null) throw fault;
    next = Math.max(next, nextOffset(bytes, at));
    if (isControl(bytes, at)) continue;
    for (const record of await recordsOfAsync(bytes, at)) {
      if (record.offset >= offset) return { timestampMs: record.timestampMs, next };
    }
  }
  return { timestampMs: null, next };
}
