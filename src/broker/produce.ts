import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import type { AppendStage } from '../log/append-group.ts';
import type { Syncer } from '../log/syncer.ts';
import {
  baseTimestamp,
  checkProduced,
  compressionOf,
  isTransactional,
  maxTimestamp,
  NO_TIMESTAMP,
  stampLogAppendTime,
} from '../record/batch.ts';
import { checkRecords } from '../record/records.ts';
import { shownKeysFault } from './record-keys.ts';
import type { Topic } from './topic.ts';
import type { TopicSettings } from './topic-settings.ts';

export interface ProduceOptions {
  /** -1: when visible to readers. 1: when written. 0: the same, but nobody is told. */
  readonly acks: -1 | 0 | 1;
  /** The version of the request, since some compressions are refused below one. */
  readonly version: number;
  /** Of a batch that hides its keys: what HiddenKeys found. */
  readonly keyFault?: Fault | null | undefined;
}

export interface Produced {
  readonly baseOffset: number;
  /** -1 unless the topic's records carry the broker's time. */
  readonly logAppendTimeMs: number;
  readonly logStart: number;
  /** Resolves when the batch has come as far as `acks` wants. */
  readonly settled: Promise<void>;
}

const stageOfAcks: Record<ProduceOptions['acks'], AppendStage> = { [-1]: 'visible', 1: 'written', 0: 'written' };

/**
 * Whether only decompression tells if a batch may be stored, which takes its time: HiddenKeys must look at it before. What is
 * refused anyway hides nothing.
 */
export function hidesKeys({ settings }: Topic, records: Buffer, version: number): boolean {
  if (settings.compaction === null) return false;
  const fault = faultOf(records, settings, version);
  return fault === null && compressionOf(records, 0) !== 'none' && !isTransactional(records, 0);
}

/**
 * Judges a producer's batch and appends it. All that decides its place happens before this returns, so that the order of the
 * calls is the order in the log. @throws Fault
 */
export function produce(
  syncer: Syncer,
  clock: Clock,
  topic: Topic,
  partition: number,
  records: Buffer,
  options: ProduceOptions,
): Produced {
  const log = topic.partition(partition);
  const { settings } = topic;
  const nowMs = clock.wallMs();
  checkBatch(records, settings, nowMs, options);
  let batch = records;
  if (settings.logAppendTime) {
    // The producer may send the same bytes again: they stay as they are.
    batch = Buffer.from(records);
    stampLogAppendTime(batch, 0, nowMs);
  }
  const { parts, settled } = syncer.append([{ log, batch }], stageOfAcks[options.acks]);
  return {
    baseOffset: parts[0]!.baseOffset,
    logAppendTimeMs: settings.logAppendTime ? nowMs : -1,
    logStart: log.marks.logStart,
    settled,
  };
}

function checkBatch(records: Buffer, settings: TopicSettings, nowMs: number, options: ProduceOptions): void {
  const fault = faultOf(records, settings, options.version);
  if (fault !== null) throw fault;
  if (compressionOf(records, 0) === 'none') {
    const recordsFault = checkRecords(records, 0);
    if (recordsFault !== null) throw recordsFault;
  }
  if (isTransactional(records, 0)) throw new Fault('transactionsNotServed', { detail: 'the batch is transactional' });
  if (!settings.logAppendTime) checkTimestamps(records, settings, nowMs);
  if (settings.compaction === null) return;
  const keyFault = compressionOf(records, 0) === 'none' ? shownKeysFault(records) : options.keyFault;
  invariant(keyFault !== undefined, 'nobody looked for the keys of a compressed batch');
  if (keyFault !== null) throw keyFault;
}

function faultOf(records: Buffer, settings: TopicSettings, version: number): Fault | null {
  // Size first: a larger batch is refused with the error that makes clients split it, whatever else is wrong with it.
  if (records.length > settings.messageBytesMax) {
    return new Fault('batchTooLarge', { detail: `${records.length} bytes, of ${settings.messageBytesMax} allowed` });
  }
  return checkProduced(records, 0, records.length, version);
}

/** By the header alone: its first and largest timestamp stand for all, so that no batch is decompressed for it. */
function checkTimestamps(records: Buffer, settings: TopicSettings, nowMs: number): void {
  const firstMs = baseTimestamp(records, 0);
  const largestMs = maxTimestamp(records, 0);
  const aheadMs = largestMs - nowMs;
  const behindMs = nowMs - firstMs;
  if (aheadMs > settings.timestampAfterMaxMs) {
    throw new Fault('invalidTimestamp', { detail: `${largestMs} is ${aheadMs} ms ahead of the broker's clock` });
  }
  if (firstMs !== NO_TIMESTAMP && behindMs > settings.timestampBeforeMaxMs) {
    throw new Fault('invalidTimestamp', { detail: `${firstMs} is ${behindMs} ms behind the broker's clock` });
  }
}
