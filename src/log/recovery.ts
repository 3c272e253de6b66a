import type { Clock } from '../base/clock.ts';
import { Fault, isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import {
  CHECKPOINT_IS_GONE,
  type Checkpoint,
  mustHaveCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint.ts';
import { checkProvesCompacted, recoverCompacted } from './compacted-segments.ts';
import type { JournalReplay, ProvenPlace } from './journal-replay.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import { noteLostSegments } from './lost-segments.ts';
import { restoreProducers, writeProducers } from './producer-snapshot.ts';
import { ProducerState } from './producer-state.ts';
import { Quarantine } from './quarantine.ts';
import { Segment } from './segment.ts';
import { baseOffsetOf, basesOfCaches } from './segment-files.ts';
import { TailScan } from './tail-scan.ts';

/** A partition as its files say it is, ready to be appended to. */
export interface RecoveredLog {
  readonly segments: Segment[];
  readonly logStart: number;
  readonly endNext: number;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerState;
  readonly quarantine: Quarantine;
  /** Bytes past the proven point that were no whole batch: a crash's torn tail. They are kept in `quarantine/`. */
  readonly cutBytes: number;
  /** The segment before which the checkpoint's file says that all is durable; -1 without one. */
  readonly provenSegmentBase: number;
}

export interface RecoveryContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the journal holds for logs; null when there is no journal. */
  readonly replay: JournalReplay | null;
  /** Whether a torn tail that a full disk has no room to keep ends it; else such a one is cut off all the same. */
  readonly mustKeepTorn?: boolean;
}

export interface RecoverySettings {
  readonly indexIntervalBytes: number;
  /** Whether the log is refused when files of it are gone or lack what was durable; else it goes on with what there is. */
  readonly mustBeWhole?: boolean;
}

/**
 * Reads a partition's files, or makes those of a new one. What the checkpoint proves is taken as it is; what follows is
 * read batch by batch, and cut where it stops making sense. Only that part is read, however long the log.
 * @throws Fault damagedMetadata, diskFull, diskError
 */
export async function recoverLog(
  context: RecoveryContext,
  folder: string,
  settings: RecoverySettings,
): Promise<RecoveredLog> {
  const { replay } = context;
  for (;;) {
    const before = replay?.givenBack ?? 0;
    try {
      return await recoverOnce(context, folder, settings);
    } catch (error) {
      if (replay === null || !isFault(error, 'diskFull')) throw error;
      // What was acknowledged, and waits in the journal for room in its segment, has to find some. Another log may have made it.
      if (replay.givenBack === before && !(await replay.giveBack())) throw error;
    }
  }
}

async function recoverOnce(
  context: RecoveryContext,
  folder: string,
  { indexIntervalBytes, mustBeWhole = false }: RecoverySettings,
): Promise<RecoveredLog> {
  const { disk } = context;
  const own = await readCheckpoint(disk, folder);
  await checkProvesCompacted(disk, folder, own);
  const checkpoint = context.replay?.latest(folder, own) ?? own;
  // First of all, since a power cut may have emptied files of which the journal has all.
  const journaled = (await context.replay?.restore(folder, checkpoint)) ?? null;
  const { segments, lostBases } = await openSegments(context, folder, indexIntervalBytes);
  if (mustBeWhole) checkFirstFile(folder, segments, checkpoint);
  if (segments.length === 0) return emptyLog(context, folder, checkpoint, journaled, indexIntervalBytes);
  if (checkpoint === null && mustHaveCheckpoint(segments)) {
    context.logger.error({ folder, logStart: segments[0]!.baseOffset }, CHECKPOINT_IS_GONE);
  }
  await syncNames(disk, folder, own === null);
  const quarantine = await Quarantine.open(context, folder, !mustBeWhole);
  try {
    await quarantine.review(segments);
    const tail = new TailScan(context, { folder, segments, quarantine, checkpoint, journaled, mustBeWhole });
    await tail.run();
    if (checkpoint !== null) await noteLostSegments(context.logger, { segments, quarantine }, lostBases, checkpoint);
    const { endNext, epochs, cutBytes } = tail;
    const logStart = Math.max(checkpoint?.logStart ?? 0, segments[0]!.baseOffset);
    const producers = await restoreProducers(disk, segments, endNext, context.clock.monotonicMs());
    let provenSegmentBase = own?.segmentBase ?? -1;
    const log = { segments, logStart, endNext, epochs, producers, quarantine, cutBytes };
    const active = segments.at(-1)!;
    if (own?.segmentBase !== active.baseOffset || own.position !== active.sizeBytes) {
      // What was not proven when the process ended is from here on.
      for (const segment of segments) {
        if (segment.baseOffset < (checkpoint?.segmentBase ?? 0)) continue;
        await segment.syncAgain(segment.baseOffset === checkpoint?.segmentBase ? checkpoint.position : 0);
      }
      if (await proveIfThereIsRoom(context, folder, log)) provenSegmentBase = active.baseOffset;
    }
    return { ...log, provenSegmentBase };
  } catch (error) {
    await Promise.allSettled(segments.map((segment) => segment.close()));
    throw error;
  }
}

/**
 * A process that was killed may have left names that are in the page cache alone. What is built on them from here on must
 * not be lost with them. The folders above are durable since before the first checkpoint.
 */
async function syncNames(disk: Disk, folder: string, withParents: boolean): Promise<void> {
  await disk.syncFolder(folder);
  if (!withParents) return;
  for (let above = folder; above.includes('/'); ) {
    above = above.slice(0, above.lastIndexOf('/'));
    await disk.syncFolder(above);
  }
  await disk.syncFolder('.');
}

/** On a full disk the checkpoint stays as it is, as while a log is written to: the next start reads a little more. */
async function proveIfThereIsRoom(
  { disk, logger }: RecoveryContext,
  folder: string,
  log: Parameters<typeof proveAll>[2],
): Promise<boolean> {
  try {
    await proveAll(disk, folder, log);
    return true;
  } catch (err) {
    if (!isFault(err, 'diskFull')) throw err;
    logger.warn(
      { err, folder },
      'the disk is full: a checkpoint could not be written; the next start reads from the one before',
    );
    return false;
  }
}

/** Leaves the files of a log that is synced to its end so that the next start need not look into them. */
export async function proveAll(
  disk: Disk,
  folder: string,
  log: Pick<RecoveredLog, 'logStart' | 'endNext' | 'epochs' | 'producers'> & { segments: readonly Segment[] },
): Promise<void> {
  const active = log.segments.at(-1)!;
  // The caches first: a start trusts them up to the place that the checkpoint names.
  await active.index.write();
  await writeProducers(disk, active, log.producers.snapshot(), { nextOffset: log.endNext, position: active.sizeBytes });
  await writeCheckpoint(disk, folder, {
    segmentBase: active.baseOffset,
    position: active.sizeBytes,
    durableNext: log.endNext,
    logStart: log.logStart,
    epochs: log.epochs.starts,
  });
}

async function openSegments(
  { disk, logger }: RecoveryContext,
  folder: string,
  indexIntervalBytes: number,
): Promise<{ segments: Segment[]; lostBases: number[] }> {
  const compacted = await recoverCompacted(disk, folder, logger);
  const segments: Segment[] = [];
  const names = await disk.list(folder);
  for (const name of names) {
    const baseOffset = baseOffsetOf(name);
    if (baseOffset === null) continue;
    const sizeBytes = (await disk.size(`${folder}/${name}`)) ?? 0;
    const proof = compacted.get(baseOffset) ?? null;
    if (proof !== null && proof.bytes !== sizeBytes) {
      const facts = { file: `${folder}/${name}`, expectedBytes: proof.bytes, foundBytes: sizeBytes };
      logger.error(facts, 'a compacted segment is not as long as compaction wrote it: a part of it is damaged or gone');
    }
    segments.push(new Segment(disk, folder, baseOffset, sizeBytes, indexIntervalBytes, proof));
  }
  // An empty one that others follow is what a roll left that failed. Its name would hide what the one before it holds.
  for (const segment of segments.slice(0, -1)) {
    if (segment.sizeBytes > 0) continue;
    segments.splice(segments.indexOf(segment), 1);
    await segment.remove();
  }
  // Those of which something tells, and the log is not there.
  const told = new Set([...basesOfCaches(names), ...compacted.keys()]);
  const found = new Set(segments.map(({ baseOffset }) => baseOffset));
  const lostBases = [...told].filter((base) => !found.has(base));
  return { segments, lostBases };
}

/** @throws Fault damagedMetadata when the oldest file begins after the log's start */
function checkFirstFile(folder: string, segments: readonly Segment[], checkpoint: Checkpoint | null): void {
  const logStart = checkpoint?.logStart ?? 0;
  const oldest = segments[0]?.baseOffset;
  if ((oldest ?? checkpoint?.durableNext ?? 0) <= logStart) return;
  const found = oldest === undefined ? 'no file' : `files from offset ${oldest} on`;
  throw new Fault('damagedMetadata', {
    detail: `${folder} begins with offset ${logStart}; found ${found}; put the folder back from a backup`,
  });
}

async function emptyLog(
  context: RecoveryContext,
  folder: string,
  checkpoint: Checkpoint | null,
  journaled: ProvenPlace | null,
  indexIntervalBytes: number,
): Promise<RecoveredLog> {
  const { disk, logger } = context;
  // What was deleted may not have been synced.
  const start = Math.max((journaled ?? checkpoint)?.durableNext ?? 0, checkpoint?.logStart ?? 0);
  if (start > 0) logger.error({ folder, offset: start }, 'the segment files of a partition are gone; it goes on empty');
  await disk.makeFolder(folder);
  const segment = await Segment.create(disk, folder, start, indexIntervalBytes);
  await syncNames(disk, folder, checkpoint === null);
  const epochs = new LeaderEpochs(checkpoint?.epochs);
  const quarantine = await Quarantine.open(context, folder);
  await quarantine.trim(start);
  const producers = new ProducerState();
  const ends = { logStart: start, endNext: start };
  const log = { segments: [segment], ...ends, epochs, producers, quarantine, cutBytes: 0 };
  // The one that is there names a file that is gone: the next start would take it for records that were deleted.
  const isProven = start > 0 && (await proveIfThereIsRoom(context, folder, log));
  return { ...log, provenSegmentBase: isProven ? start : -1 };
}
