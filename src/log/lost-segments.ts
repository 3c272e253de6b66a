import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Quarantine } from './quarantine.ts';
import type { Segment } from './segment.ts';
import { damageIn, missingAt } from './segment-scan.ts';

/*
 * A start reads no segment that is proven, so what it can see of a file that was removed is its index and the like, left
 * alone, or that compaction noted it. A power cut may leave them too, of a file that was deleted. So the end of the segment
 * before is looked at, which the index leads to: where the next one goes on from there, nothing is missing.
 */

interface Log {
  readonly segments: readonly Segment[];
  readonly quarantine: Quarantine;
}

/** Notes the records that are gone with segments that are told of and not there, `bases`, as a reader would. */
export async function noteLostSegments(
  logger: Logger,
  { segments, quarantine }: Log,
  bases: readonly number[],
  proven: { readonly segmentBase: number; readonly logStart: number },
): Promise<void> {
  for (const base of bases) {
    const next = segments.findIndex(({ baseOffset }) => baseOffset > base);
    // Before the oldest one records were deleted; behind what is proven the log was read.
    if (next <= 0 || segments[next]!.baseOffset > proven.segmentBase) continue;
    if (segments[next]!.baseOffset <= proven.logStart || quarantine.find(base) !== null) continue;
    await noteGap(logger, quarantine, segments[next - 1]!, segments[next]!.baseOffset);
  }
}

async function noteGap(logger: Logger, quarantine: Quarantine, before: Segment, endNext: number): Promise<void> {
  const { compacted, sizeBytes, logPath: file } = before;
  try {
    if (compacted === null) {
      const start = await before.index.startOf(endNext - 1);
      for (const damage of await damageIn(before, { start, endNext })) await quarantine.add(before, damage);
    } else if (compacted.endNext < endNext) {
      await quarantine.add(before, missingAt(sizeBytes, compacted.endNext, endNext));
    }
  } catch (err) {
    if (!(err instanceof Fault)) throw err;
    logger.warn({ err, file }, 'a segment that follows a log file may be gone; the end of that file could not be read');
  } finally {
    await before.rest();
  }
}
