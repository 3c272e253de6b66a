import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import { isCount, isInt32, listOf, objectOf } from '../base/shape.ts';
import type { Disk } from '../disk/disk.ts';
import { BATCH_HEADER_BYTES } from '../record/batch.ts';
import { areAscending, type EpochStart } from './leader-epochs.ts';
import type { ProducerState } from './producer-state.ts';
import { RestartAid } from './restart-aid.ts';
import { readSealed, writeSealed } from './sealed-file.ts';
import type { Segment } from './segment.ts';

export const CHECKPOINT_FILE = 'checkpoint';

/** The proof of how far a partition is durable: everything before this place was synced when it was written. */
export interface Checkpoint {
  /** The segment, by its base offset, and the position in its file, up to which all is durable. */
  readonly segmentBase: number;
  readonly position: number;
  /** The offset after the last record before that place. */
  readonly durableNext: number;
  readonly logStart: number;
  readonly epochs: readonly EpochStart[];
}

export const CHECKPOINT_IS_GONE =
  'the checkpoint of a partition is gone: deleted records may be back, and what is damaged is taken for a torn write and cut off';

/**
 * Whether a log of these segments must have had a checkpoint: each roll and each deletion writes one, but for those of which a
 * full disk refuses it, so a log without is not refused.
 */
export function mustHaveCheckpoint(segments: readonly Segment[]): boolean {
  const [oldest] = segments;
  return oldest !== undefined && (oldest.baseOffset > 0 || segments.length > 2);
}

/** Written at each roll, at a clean stop, and when the log's start moves. */
export async function writeCheckpoint(disk: Disk, folder: string, checkpoint: Checkpoint): Promise<void> {
  await writeSealed(disk, `${folder}/${CHECKPOINT_FILE}`, checkpoint);
  await disk.syncFolder(folder);
}

/** The checkpoint of a log that is open, and its file, which may be behind. */
export class CheckpointKeeper {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly aid: RestartAid;
  /** What of it does not come from syncs: as it is when the file is written. */
  readonly #current: () => Pick<Checkpoint, 'logStart' | 'epochs'>;
  #place: Pick<Checkpoint, 'segmentBase' | 'position' | 'durableNext'>;
  #writing: Promise<void> = Promise.resolve();
  /** The log's start as the file has it, and the segment before which it says that all is proven. */
  #durableLogStart: number;
  #durableSegmentBase: number;

  constructor(
    context: { disk: Disk; logger: Logger },
    folder: string,
    log: { segments: readonly Segment[]; producers: ProducerState; provenSegmentBase: number },
    place: Pick<Checkpoint, 'segmentBase' | 'position' | 'durableNext'>,
    current: () => Pick<Checkpoint, 'logStart' | 'epochs'>,
  ) {
    this.#disk = context.disk;
    this.#folder = folder;
    this.aid = new RestartAid(context, log.producers);
    this.aid.isAt(log.segments.at(-1)!, place.position);
    this.#place = place;
    this.#current = current;
    this.#durableLogStart = current().logStart;
    this.#durableSegmentBase = log.provenSegmentBase;
  }

  get value(): Checkpoint {
    const { logStart, epochs } = this.#current();
    return { ...this.#place, logStart: Math.max(logStart, this.#durableLogStart), epochs };
  }

  get durableLogStart(): number {
    return this.#durableLogStart;
  }

  get durableSegmentBase(): number {
    return this.#durableSegmentBase;
  }

  /** The segment files are synced up to here. */
  moveTo(segmentBase: number, position: number, durableNext: number, leaveAid: (() => void) | null = null): void {
    this.#place = { segmentBase, position, durableNext };
    leaveAid?.();
  }

  /** Replaces the file; one at a time, each with what holds then. `logStart` is where the log is to start from then on. */
  write(logStart = 0): Promise<void> {
    const writing = this.#writing.then(async () => {
      const { value } = this;
      const startsAt = Math.max(value.logStart, logStart);
      await writeCheckpoint(this.#disk, this.#folder, { ...value, logStart: startsAt });
      this.#durableLogStart = startsAt;
      this.#durableSegmentBase = value.segmentBase;
    });
    // Its caller is told of a failure; the next one starts all the same.
    this.#writing = writing.catch(() => {});
    return writing;
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    await this.#writing;
    await this.aid.idle();
  }
}

/** Null when there is none yet. @throws Fault damagedMetadata: what is proven is then unknown, and nothing is guessed. */
export async function readCheckpoint(disk: Disk, folder: string): Promise<Checkpoint | null> {
  const path = `${folder}/${CHECKPOINT_FILE}`;
  const file = await readSealed(disk, path);
  if (file === 'missing') return null;
  if (file === 'damaged' || !isCheckpoint(file.content)) throw new Fault('damagedMetadata', { detail: path });
  return file.content;
}

const isShaped = objectOf<Checkpoint>({
  segmentBase: isCount,
  position: isCount,
  durableNext: isCount,
  logStart: isCount,
  epochs: listOf(objectOf<EpochStart>({ epoch: isInt32, startOffset: isCount })),
});

export function isCheckpoint(content: unknown): content is Checkpoint {
  if (!isShaped(content)) return false;
  const { segmentBase, position, durableNext, epochs } = content as Checkpoint;
  // No batch ends elsewhere.
  const isPlace = durableNext >= segmentBase && (position === 0 || position >= BATCH_HEADER_BYTES);
  return isPlace && areAscending(epochs);
}
