import { Fault } from '../base/faults.ts';
import { baseOffset, checkBatch, leaderEpoch, nextOffset } from '../record/batch.ts';
import type { Checkpoint } from './checkpoint.ts';
import { isBefore, type JournaledPlace, type ProvenPlace } from './journal-replay.ts';
import { type EpochRange, LeaderEpochs } from './leader-epochs.ts';
import { lastIndexWhere } from './offset-index.ts';
import type { Quarantine } from './quarantine.ts';
import type { RecoveryContext } from './recovery.ts';
import { Segment } from './segment.ts';
import { scanSegment } from './segment-scan.ts';
import { walkBatches } from './segment-walk.ts';
import { cutTornTail } from './torn-tail.ts';

export interface StoredFiles {
  readonly folder: string;
  /** Those that are there, oldest first; what is taken out or added is taken out of it or added to it. */
  readonly segments: Segment[];
  readonly quarantine: Quarantine;
  readonly checkpoint: Checkpoint | null;
  /** What lies before this is durable by the journal: damage there is not a crash's. */
  readonly journaled: JournaledPlace | null;
  /** Whether the loss of what was durable ends the start. */
  readonly mustBeWhole: boolean;
}

/** Walks what lies past the checkpoint, and settles where the log ends. */
export class TailScan {
  readonly epochs: LeaderEpochs;
  readonly #context: RecoveryContext;
  readonly #files: StoredFiles;
  #endNext: number;
  #cutBytes = 0;

  constructor(context: RecoveryContext, files: StoredFiles) {
    this.#context = context;
    this.#files = files;
    this.epochs = new LeaderEpochs(files.checkpoint?.epochs);
    this.#endNext = files.checkpoint?.durableNext ?? files.segments[0]!.baseOffset;
  }

  /** The offset after the last record. */
  get endNext(): number {
    return this.#endNext;
  }

  get cutBytes(): number {
    return this.#cutBytes;
  }

  /** @throws Fault damagedMetadata where files lack what was durable, of a log that must be whole */
  async run(): Promise<void> {
    const { folder, segments, checkpoint, journaled } = this.#files;
    const start = this.#scanStart();
    const proven = journaled ?? checkpoint;
    const last = segments.find((segment) => segment.baseOffset === start.segmentBase);
    const whole = proven === null || this.#reaches(proven);
    const unproven = segments.filter(({ baseOffset }) => baseOffset >= start.segmentBase + (whole ? 0 : 1));
    if (!whole) await this.#goOnAfterLoss(unproven[0], proven);
    for (const segment of unproven) {
      // One that does not continue the one before it was made by a roll that failed, and holds nothing.
      const sound = segment === last || segment.baseOffset === this.#endNext;
      if (sound) segment.makeWritable();
      const end = sound ? await this.#scan(segment, segment === last ? start.position : 0) : null;
      if (end === segment.sizeBytes) continue;
      this.#cutBytes = await cutTornTail(this.#context, folder, segments, segment, end, this.#endNext);
      break;
    }
    if ((checkpoint?.logStart ?? 0) > this.#endNext) await this.#startOver(checkpoint!.logStart);
    segments.at(-1)!.endNext = this.#endNext;
  }

  /** The place from which on the files must be read. */
  #scanStart(): Pick<ProvenPlace, 'segmentBase' | 'position'> {
    const { folder, segments, checkpoint } = this.#files;
    const { baseOffset: oldest } = segments[0]!;
    if (checkpoint === null) return { segmentBase: oldest, position: 0 };
    const { segmentBase, logStart } = checkpoint;
    if (oldest > logStart) {
      this.#context.logger.warn(
        { folder, logStart, startsAt: oldest },
        'a partition starts later than its checkpoint says: records were deleted on a full disk, or a log file is lost',
      );
    }
    if (segmentBase >= oldest) return checkpoint;
    // A full disk refused a checkpoint, and its segment was deleted to make room: the oldest file says where the log starts.
    this.#endNext = oldest;
    return { segmentBase: oldest, position: 0 };
  }

  /** Whether the files go as far as was proven. */
  #reaches({ segmentBase, position }: ProvenPlace): boolean {
    const { segments, checkpoint } = this.#files;
    const segment = segments.find(({ baseOffset }) => baseOffset === segmentBase);
    if (segment !== undefined) return segment.sizeBytes >= position;
    if (segmentBase < segments[0]!.baseOffset) return true;
    // A segment that is gone with younger ones there was deleted: the journal does not know.
    return segmentBase !== checkpoint?.segmentBase && segmentBase < segments.at(-1)!.baseOffset;
  }

  /** Takes in the sound batches from `position` on; returns where the last one ends. */
  async #scan(segment: Segment, position: number): Promise<number> {
    segment.index.beginAt({ position, offset: this.#endNext });
    const end = await this.#scanProven(segment, position);
    return walkBatches(segment, end, (batch, at) => {
      const follows = baseOffset(batch, 0) === this.#endNext && leaderEpoch(batch, 0) >= this.epochs.latest;
      if (!follows || checkBatch(batch, 0, batch.length) !== null) return false;
      this.#take(segment, batch, at);
      return true;
    });
  }

  /**
   * What the journal proves to be durable is not cut for damage in it: that is quarantined, and what follows it is taken in.
   * Returns where the proven part ends.
   */
  async #scanProven(segment: Segment, position: number): Promise<number> {
    const { segments, quarantine, journaled } = this.#files;
    const { baseOffset: segmentBase } = segment;
    if (journaled === null || !isBefore({ segmentBase, position }, journaled)) return position;
    const isLast = segmentBase === journaled.segmentBase;
    const starts = journaled.starts.filter((start) => start.segmentBase === segmentBase);
    const endPosition = isLast ? journaled.position : segment.sizeBytes;
    const pieces = scanSegment(segment, {
      start: { position, offset: this.#endNext },
      endPosition,
      endNext: isLast ? journaled.durableNext : (segments[segments.indexOf(segment) + 1]?.baseOffset ?? null),
      hasGaps: segment.hasGaps,
      epochsAt: (offset) => this.#epochsAt(offset),
      startsAfter: (after) =>
        starts
          .filter((start) => start.position > after)
          .map((start) => ({ position: start.position, offset: start.durableNext })),
    });
    for await (const { batch, position: at, damage } of pieces) {
      if (damage === null) this.#take(segment, batch, at);
      else {
        await quarantine.add(segment, damage);
        // Its records have an epoch all the same, or the first bytes of a log could say any.
        const { lowest, highest } = this.#epochsAt(damage.firstOffset);
        if (lowest === highest) this.epochs.begin(highest, damage.firstOffset);
        this.#endNext = damage.nextOffset;
      }
    }
    return endPosition;
  }

  /** Those from the latest one to that of what the journal has next: syncs in place may have begun some between them. */
  #epochsAt(offset: number): EpochRange {
    const { starts } = this.#files.journaled!;
    const next = starts[lastIndexWhere(starts.length, (i) => starts[i]!.durableNext < offset) + 1];
    const { latest } = this.epochs;
    if (next === undefined) return { lowest: latest, highest: Infinity };
    const { epoch, epochStart } = next;
    // Before that place others may have begun, or its records were deleted there: it is where the log starts then.
    return { lowest: epochStart !== null && epochStart <= offset ? epoch : latest, highest: epoch };
  }

  #take(segment: Segment, batch: Buffer, position: number): void {
    this.epochs.begin(leaderEpoch(batch, 0), baseOffset(batch, 0));
    segment.index.note(batch, position);
    this.#endNext = nextOffset(batch, 0);
  }

  /** The file is gone or shorter than what was proven durable: not a crash. No offset is given again; the gap stays visible. */
  async #goOnAfterLoss(following: Segment | undefined, proven: ProvenPlace): Promise<void> {
    const { folder, segments, mustBeWhole } = this.#files;
    const { segmentBase, position, durableNext } = proven;
    if (mustBeWhole) {
      const detail = `${folder}: expected ${position} bytes in the file that begins with offset ${segmentBase}; put the folder back from a backup`;
      throw new Fault('damagedMetadata', { detail });
    }
    this.#endNext = following?.baseOffset ?? durableNext;
    this.#context.logger.error(
      { folder, segment: segmentBase, expectedBytes: position, continueAt: this.#endNext },
      'a log file lost bytes that were durable; the partition goes on after them',
    );
    if (following !== undefined) return;
    const { indexIntervalBytes } = segments[0]!;
    segments.push(await Segment.create(this.#context.disk, folder, durableNext, indexIntervalBytes));
  }

  /** Records were deleted up to where the log, not synced that far, does not reach any more. */
  async #startOver(logStart: number): Promise<void> {
    const { folder, segments } = this.#files;
    if (this.#files.mustBeWhole) {
      const detail = `${folder}: it starts with offset ${logStart}, and the files end before it; put them back from a backup`;
      throw new Fault('damagedMetadata', { detail });
    }
    const { indexIntervalBytes } = segments[0]!;
    for (const segment of segments.splice(0)) await segment.remove();
    segments.push(await Segment.create(this.#context.disk, folder, logStart, indexIntervalBytes));
    this.#endNext = logStart;
  }
}
