import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { baseOffset, checkBatch, lastOffset, leaderEpoch, nextOffset } from '../record/batch.ts';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { isBefore, type JournaledPlace, type JournalReplay, type ProvenPlace } from './journal-replay.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import { readProducers, writeProducers } from './producer-snapshot.ts';
import { ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';

const COPY_BYTES = 1024 * 1024;

/** A partition as its files say it is, ready to be appended to. */
export interface RecoveredLog {
  readonly segments: Segment[];
  readonly logStart: number;
  readonly endNext: number;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerState;
  /** Bytes past the proven point that were no whole batch: a crash's torn tail. They are kept in `quarantine/`. */
  readonly cutBytes: number;
}

export interface RecoveryContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the journal holds for logs; null when there is no journal. */
  readonly replay: JournalReplay | null;
}

/**
 * Reads a partition's files, or makes those of a new one. What the checkpoint proves is taken as it is; what follows is
 * read batch by batch, and cut where it stops making sense. Only that part is read, however long the log.
 * @throws Fault damagedMetadata, diskFull, diskError
 */
export async function recoverLog(
  context: RecoveryContext,
  folder: string,
  indexIntervalBytes: number,
): Promise<RecoveredLog> {
  const { disk } = context;
  const own = await readCheckpoint(disk, folder);
  const checkpoint = context.replay?.latest(folder, own) ?? own;
  // First of all, since a power cut may have emptied files of which the journal has all.
  const journaled = (await context.replay?.restore(folder, checkpoint)) ?? null;
  const segments = await openSegments(disk, folder, indexIntervalBytes);
  if (segments.length === 0) return emptyLog(context, folder, checkpoint, journaled, indexIntervalBytes);
  await syncNames(disk, folder, own === null);
  try {
    const tail = new TailScan(context, folder, segments, checkpoint, journaled);
    await tail.run();
    const log = tail.result();
    const active = segments.at(-1)!;
    if (own?.segmentBase !== active.baseOffset || own.position !== active.sizeBytes) {
      // What was not proven when the process ended is from here on.
      for (const segment of segments) {
        if (segment.baseOffset < (checkpoint?.segmentBase ?? 0)) continue;
        await segment.syncAgain(segment.baseOffset === checkpoint?.segmentBase ? checkpoint.position : 0);
      }
      await proveAll(disk, folder, log);
    }
    return log;
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

/** Leaves the files of a log that is synced to its end so that the next start need not look into them. */
export async function proveAll(
  disk: Disk,
  folder: string,
  log: Pick<RecoveredLog, 'logStart' | 'endNext' | 'epochs' | 'producers'> & { segments: readonly Segment[] },
): Promise<void> {
  const active = log.segments.at(-1)!;
  // The caches first: a start trusts them up to the place that the checkpoint names.
  await active.writeIndex();
  await writeProducers(disk, active, log.producers.snapshot(), log.endNext);
  await writeCheckpoint(disk, folder, {
    segmentBase: active.baseOffset,
    position: active.sizeBytes,
    durableNext: log.endNext,
    logStart: log.logStart,
    epochs: log.epochs.starts,
  });
}

async function openSegments(disk: Disk, folder: string, indexIntervalBytes: number): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const name of await disk.list(folder)) {
    if (!/^\d{20}\.log$/.test(name)) continue;
    const sizeBytes = (await disk.size(`${folder}/${name}`)) ?? 0;
    segments.push(new Segment(disk, folder, Number(name.slice(0, 20)), sizeBytes, indexIntervalBytes));
  }
  // An empty one that others follow is what a roll left that failed. Its name would hide what the one before it holds.
  for (const segment of segments.slice(0, -1)) {
    if (segment.sizeBytes > 0) continue;
    segments.splice(segments.indexOf(segment), 1);
    await segment.remove();
  }
  return segments;
}

async function emptyLog(
  context: RecoveryContext,
  folder: string,
  checkpoint: Checkpoint | null,
  journaled: ProvenPlace | null,
  indexIntervalBytes: number,
): Promise<RecoveredLog> {
  const { disk, logger } = context;
  const start = (journaled ?? checkpoint)?.durableNext ?? 0;
  if (start > 0) logger.error({ folder, offset: start }, 'the segment files of a partition are gone; it goes on empty');
  await disk.makeFolder(folder);
  const segment = await Segment.create(disk, folder, start, indexIntervalBytes);
  await syncNames(disk, folder, checkpoint === null);
  const epochs = new LeaderEpochs(checkpoint?.epochs);
  return { segments: [segment], logStart: start, endNext: start, epochs, producers: new ProducerState(), cutBytes: 0 };
}

/** Walks what lies past the checkpoint, and settles where the log ends. */
class TailScan {
  readonly #context: RecoveryContext;
  readonly #folder: string;
  readonly #segments: Segment[];
  readonly #checkpoint: Checkpoint | null;
  /** What lies before this is durable by the journal: damage there is not a crash's. */
  readonly #journaled: JournaledPlace | null;
  readonly #epochs: LeaderEpochs;
  readonly #producers = new ProducerState();
  #endNext: number;
  #cutBytes = 0;

  constructor(
    context: RecoveryContext,
    folder: string,
    segments: Segment[],
    checkpoint: Checkpoint | null,
    journaled: JournaledPlace | null,
  ) {
    this.#journaled = journaled;
    this.#context = context;
    this.#folder = folder;
    this.#segments = segments;
    this.#checkpoint = checkpoint;
    this.#epochs = new LeaderEpochs(checkpoint?.epochs);
    this.#endNext = checkpoint?.durableNext ?? segments[0]!.baseOffset;
  }

  result(): RecoveredLog {
    const logStart = Math.max(this.#checkpoint?.logStart ?? 0, this.#segments[0]!.baseOffset);
    return {
      segments: this.#segments,
      logStart,
      endNext: this.#endNext,
      epochs: this.#epochs,
      producers: this.#producers,
      cutBytes: this.#cutBytes,
    };
  }

  async run(): Promise<void> {
    const start = this.#scanStart();
    const proven = this.#journaled ?? this.#checkpoint;
    const last = this.#segments.find((segment) => segment.baseOffset === start.segmentBase);
    const whole = proven === null || this.#reaches(proven);
    const unproven = this.#segments.filter(({ baseOffset }) => baseOffset >= start.segmentBase + (whole ? 0 : 1));
    if (!whole) await this.#goOnAfterLoss(unproven[0], proven);
    for (const segment of unproven) {
      // One that does not continue the one before it was made by a roll that failed, and holds nothing.
      const sound = segment === last || segment.baseOffset === this.#endNext;
      if (sound) segment.makeWritable();
      const end = sound ? await this.#scanPastRot(segment, segment === last ? start.position : 0) : 0;
      if (sound && end === segment.sizeBytes) continue;
      await this.#cut(segment, end, sound);
      break;
    }
    await this.#restoreProducers();
    if ((this.#checkpoint?.logStart ?? 0) > this.#endNext) await this.#startOver(this.#checkpoint!.logStart);
  }

  /** The place from which on the files must be read. */
  #scanStart(): Pick<ProvenPlace, 'segmentBase' | 'position'> {
    const { baseOffset: oldest } = this.#segments[0]!;
    if (this.#checkpoint === null) return { segmentBase: oldest, position: 0 };
    const { segmentBase, logStart } = this.#checkpoint;
    if (oldest > logStart) {
      this.#context.logger.warn(
        { folder: this.#folder, logStart, startsAt: oldest },
        'a partition starts later than its checkpoint says: records were deleted on a full disk, or a log file is lost',
      );
    }
    if (segmentBase >= oldest) return this.#checkpoint;
    // A full disk refused a checkpoint, and its segment was deleted to make room: the oldest file says where the log starts.
    this.#endNext = oldest;
    return { segmentBase: oldest, position: 0 };
  }

  /** Whether the files go as far as was proven. */
  #reaches({ segmentBase, position }: ProvenPlace): boolean {
    const segment = this.#segments.find(({ baseOffset }) => baseOffset === segmentBase);
    if (segment !== undefined) return segment.sizeBytes >= position;
    if (segmentBase < this.#segments[0]!.baseOffset) return true;
    // A segment that is gone with younger ones there was deleted: the journal does not know.
    return segmentBase !== this.#checkpoint?.segmentBase && segmentBase < this.#lastBase;
  }

  get #lastBase(): number {
    return this.#segments.at(-1)!.baseOffset;
  }

  /** As `#scan`, but what the journal proves to be durable is not cut for damage before it: it is told of, and left. */
  async #scanPastRot(segment: Segment, position: number): Promise<number> {
    const segmentBase = segment.baseOffset;
    let end = await this.#scan(segment, position);
    const proven = this.#journaled;
    while (proven !== null && isBefore({ segmentBase, position: end }, proven)) {
      this.#context.logger.error(
        { folder: this.#folder, segment: segmentBase, position: end },
        'records that were durable are damaged; those around them stay served',
      );
      const next = [...proven.starts, proven].find(
        (start) => start.segmentBase === segmentBase && start.position > end,
      );
      this.#endNext = next?.durableNext ?? this.#segments[this.#segments.indexOf(segment) + 1]!.baseOffset;
      if (next === undefined) return segment.sizeBytes;
      end = await this.#scan(segment, next.position, true);
    }
    return end;
  }

  /** Reads the batches from `position` on; returns where the last sound one ends. */
  async #scan(segment: Segment, position: number, afterDamage = false): Promise<number> {
    const index = afterDamage ? await segment.index() : await segment.indexUpTo(position);
    return segment.walk(position, (batch, at) => {
      const follows = baseOffset(batch, 0) === this.#endNext && leaderEpoch(batch, 0) >= this.#epochs.latest;
      if (!follows || checkBatch(batch, 0, batch.length) !== null) return false;
      this.#epochs.begin(leaderEpoch(batch, 0), baseOffset(batch, 0));
      // Nobody can walk across damage: the index leads to what lies behind it.
      segment.noteIn(index, batch, at, afterDamage && at === position);
      this.#endNext = nextOffset(batch, 0);
      return true;
    });
  }

  /** Keeps the bytes that are cut off aside, whole, and leaves the log without them. */
  async #cut(torn: Segment, end: number, keepSegment: boolean): Promise<void> {
    const { disk, logger } = this.#context;
    const quarantine = `${this.#folder}/quarantine`;
    const first = this.#segments.indexOf(torn) + (keepSegment ? 1 : 0);
    for (const segment of this.#segments.splice(first)) {
      if (segment.sizeBytes > 0) {
        await disk.makeFolder(quarantine);
        await disk.rename(segment.logPath, await this.#unusedName(`${quarantine}/${segment.baseOffset}`, 'log'));
        this.#cutBytes += segment.sizeBytes;
      }
      await segment.remove();
    }
    if (keepSegment && torn.sizeBytes > end) {
      this.#cutBytes += torn.sizeBytes - end;
      await disk.makeFolder(quarantine);
      await copyTail(disk, torn, end, await this.#unusedName(`${quarantine}/${torn.baseOffset}-at-${end}`, 'bytes'));
      await torn.cutTo(end);
    }
    if (this.#cutBytes === 0) return;
    await disk.syncFolder(quarantine);
    logger.warn(
      { folder: this.#folder, endOffset: this.#endNext, cutBytes: this.#cutBytes, keptIn: quarantine },
      'a partition ended in a torn write, which nobody was told is stored; it was cut off and kept aside',
    );
  }

  /** So that nothing that is kept aside is ever overwritten, also when the clock stands still. */
  async #unusedName(stem: string, ending: string): Promise<string> {
    const { disk, clock } = this.#context;
    for (let stamp = clock.wallMs(); ; stamp += 1) {
      const name = `${stem}-${stamp}.${ending}`;
      if ((await disk.size(name)) === null) return name;
    }
  }

  /** The file is gone or shorter than what was proven durable: not a crash. No offset is given again; the gap stays visible. */
  async #goOnAfterLoss(following: Segment | undefined, proven: ProvenPlace): Promise<void> {
    const { disk, logger } = this.#context;
    const { segmentBase, position, durableNext } = proven;
    this.#endNext = following?.baseOffset ?? durableNext;
    logger.error(
      { folder: this.#folder, segment: segmentBase, expectedBytes: position, continueAt: this.#endNext },
      'a log file lost bytes that were durable; the partition goes on after them',
    );
    if (following !== undefined) return;
    const { indexIntervalBytes } = this.#segments[0]!;
    this.#segments.push(await Segment.create(disk, this.#folder, durableNext, indexIntervalBytes));
  }

  /** Records were deleted up to where the log, not synced that far, does not reach any more. */
  async #startOver(logStart: number): Promise<void> {
    const { indexIntervalBytes } = this.#segments[0]!;
    for (const segment of this.#segments.splice(0)) await segment.remove();
    this.#segments.push(await Segment.create(this.#context.disk, this.#folder, logStart, indexIntervalBytes));
    this.#endNext = logStart;
  }

  /** The snapshot nearest to the end that can be read, then the batches after it. */
  async #restoreProducers(): Promise<void> {
    const nowMs = this.#context.clock.monotonicMs();
    let index = this.#segments.length - 1;
    let fromOffset: number | null = null;
    for (; index >= 0 && fromOffset === null; index -= 1) {
      fromOffset = await readProducers(
        this.#context.disk,
        this.#segments[index]!,
        this.#producers,
        nowMs,
        this.#endNext,
      );
    }
    const start = fromOffset ?? 0;
    if (start >= this.#endNext) return;
    for (const segment of this.#segments.slice(index + 1)) {
      await segment.walk(0, (batch) => {
        if (baseOffset(batch, 0) >= start) {
          this.#producers.apply(batch, baseOffset(batch, 0), lastOffset(batch, 0), nowMs);
        }
        return nextOffset(batch, 0) < this.#endNext;
      });
    }
  }
}

async function copyTail(disk: Disk, segment: Segment, start: number, path: string): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    for (let position = start; position < segment.sizeBytes; ) {
      const bytes = await segment.read(position, COPY_BYTES);
      await file.write([bytes], position - start);
      position += bytes.length;
    }
    await file.sync();
    await file.close();
  } catch (error) {
    // Half a copy would be taken for all that was cut off.
    await Promise.allSettled([file.close(), disk.remove(path)]);
    throw error;
  }
}
