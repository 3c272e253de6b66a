import { batchBytes, maxTimestamp } from '../record/batch.ts';
import { recordsOf } from '../record/records.ts';
import type { PartitionLog } from './partition-log.ts';

export interface TimedOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** The first visible record that is not older than `timestampMs`; null when all are older. */
export async function offsetForTime(log: PartitionLog, timestampMs: number): Promise<TimedOffset | null> {
  const { logStart, highWatermark } = log.marks;
  for (const segment of [...log.segments]) {
    if (segment.baseOffset >= highWatermark) return null;
    if ((await segment.maxTimestampMs()) < timestampMs) continue;
    let offset = Math.max(logStart, await segment.offsetBefore(timestampMs));
    for (;;) {
      const read = await log.reader.read(offset, { endNext: highWatermark, bytesMax: 256 * 1024, atLeastOne: true });
      if (read.bytes === 0) return null;
      for (const buffer of read.buffers) {
        for (let at = 0; at < buffer.length; at += batchBytes(buffer, at)) {
          if (maxTimestamp(buffer, at) < timestampMs) continue;
          for (const record of recordsOf(buffer, at)) {
            if (record.timestampMs < timestampMs || record.offset < logStart) continue;
            return {
              offset: record.offset,
              timestampMs: record.timestampMs,
              leaderEpoch: log.epochs.at(record.offset),
            };
          }
        }
      }
      offset = read.nextOffset;
    }
  }
  return null;
}

/** The first record with the largest timestamp; null when there are none. Waits until all that is written is visible. */
export async function offsetOfMaxTimestamp(log: PartitionLog): Promise<TimedOffset | null> {
  const { writtenNext } = log.marks;
  let maxMs = -1;
  for (const segment of log.segments) maxMs = Math.max(maxMs, await segment.maxTimestampMs());
  await log.visible(writtenNext);
  return offsetForTime(log, maxMs);
}
