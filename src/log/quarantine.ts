import type { Clock } from '../base/clock.ts';
import { Fault, isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import { isCount, isText, listOf, objectOf } from '../base/shape.ts';
import type { Disk } from '../disk/disk.ts';
import { readSealedCache, writeSealed } from './sealed-file.ts';
import type { Segment } from './segment.ts';
import { segmentName } from './segment-files.ts';
import { type DamagedBytes, damageIn, type KnownStart } from './segment-scan.ts';

export const QUARANTINE_FOLDER = 'quarantine';
const PLACES_FILE = `${QUARANTINE_FOLDER}/places`;

/** Bytes of a segment that are not what was written. They stay where they are, as they are. */
export interface QuarantinedPlace extends DamagedBytes {
  /** The segment, by its base offset. */
  readonly segmentBase: number;
  /** By the wall clock. */
  readonly foundAtMs: number;
}

interface QuarantineContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The damage that was found in a log's segments, remembered beside them, so that it is told of once, counted, and stepped over
 * where the topic allows it. It hides nothing: every read judges the bytes anew, and what is sound is served.
 */
export class Quarantine {
  readonly #context: QuarantineContext;
  readonly #folder: string;
  #places: QuarantinedPlace[];
  readonly #passed = new Set<QuarantinedPlace>();
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;
  readonly #isNoted: boolean;

  private constructor(context: QuarantineContext, folder: string, places: QuarantinedPlace[], isNoted: boolean) {
    this.#context = context;
    this.#folder = folder;
    this.#places = places;
    this.#isNoted = isNoted;
  }

  /**
   * What earlier processes found. A file that cannot be read is no loss: the log itself is what tells damage. What is found
   * is told of and written down only if it `isNoted`: of a log that must be whole the reader tells, and is the end of the start.
   */
  static async open(context: QuarantineContext, folder: string, isNoted = true): Promise<Quarantine> {
    const path = `${folder}/${PLACES_FILE}`;
    const file = await readSealedCache(context.disk, path);
    if (file === 'missing') return new Quarantine(context, folder, [], isNoted);
    const places = file === 'damaged' ? null : placesIn(file.content);
    if (places === null) {
      context.logger.warn({ file: path }, 'the list of damaged places cannot be read; they are found again when read');
    }
    return new Quarantine(context, folder, places ?? [], isNoted);
  }

  /** By segment and position. */
  get places(): readonly QuarantinedPlace[] {
    return this.#places;
  }

  /** Whether a segment is known to be damaged. */
  isIn({ baseOffset }: Segment): boolean {
    return this.#places.some(({ segmentBase }) => segmentBase === baseOffset);
  }

  /** The place that has the records of an offset. */
  find(offset: number): QuarantinedPlace | null {
    return this.#places.find((place) => place.firstOffset <= offset && offset < place.nextOffset) ?? null;
  }

  /** Where the last damage ends that lies before an offset in its segment. */
  endBefore({ baseOffset }: Segment, offset: number): KnownStart | null {
    const place = this.#places.findLast((one) => one.segmentBase === baseOffset && one.nextOffset <= offset);
    return place === undefined ? null : { position: place.position + place.bytes, offset: place.nextOffset };
  }

  /** Tells of damage, once, and remembers it durably. */
  async add(segment: Segment, damage: DamagedBytes): Promise<void> {
    const isKnown = (one: QuarantinedPlace): boolean =>
      one.segmentBase === segment.baseOffset && one.position === damage.position && one.bytes === damage.bytes;
    if (this.#places.some(isKnown)) return;
    const place = { ...damage, segmentBase: segment.baseOffset, foundAtMs: this.#context.clock.wallMs() };
    // What was found before and is more or less by now is this.
    const others = this.#places.filter((one) => !overlap(one, place));
    this.#places = [...others, place].sort(inOrder);
    if (!this.#isNoted) return;
    const { position, bytes, firstOffset, nextOffset, what } = damage;
    const { logger } = this.#context;
    const [file, lastOffset] = [segment.logPath, nextOffset - 1];
    if (bytes === 0) {
      logger.error(
        { file, endsAt: position, firstOffset, lastOffset, nextFile: this.#file(nextOffset) },
        'stored records are missing between the end of a log file and the next file: the first was cut, or files between them are gone; the records around them are served',
      );
    } else {
      logger.error(
        { file, position, bytes, firstOffset, lastOffset, what },
        'stored records are damaged; their bytes are left as they are, and the records around them are served',
      );
    }
    await this.#write();
  }

  /** Tells, once in the life of the process, that readers are led past a place. */
  pass(place: QuarantinedPlace): void {
    if (this.#passed.has(place)) return;
    this.#passed.add(place);
    const { segmentBase, position, firstOffset, nextOffset } = place;
    this.#context.logger.warn(
      { file: this.#file(segmentBase), position, firstOffset, lastOffset: nextOffset - 1 },
      'readers are led past damaged records, as millrace.rot=skip of their topic says',
    );
  }

  /** What a reader of these records is told. */
  fault({ segmentBase, position, bytes, firstOffset, nextOffset, what }: QuarantinedPlace): Fault {
    const file = this.#file(segmentBase);
    const offsets = `offsets ${firstOffset} to ${nextOffset - 1}`;
    const place =
      bytes === 0
        ? `${offsets} are missing between the end of ${file} (${position} bytes) and ${this.#file(nextOffset)}: the first was cut, or files between them are gone`
        : `${file} at byte ${position}, ${bytes} bytes: ${offsets}: ${what}`;
    return new Fault('corruptBatch', { detail: `${place}; what follows begins at offset ${nextOffset}` });
  }

  /** Forgets what is not damaged any more, as after a file was put back, and what was deleted. */
  async review(segments: readonly Segment[]): Promise<void> {
    const still: QuarantinedPlace[] = [];
    for (const place of this.#places) {
      const segment = segments.find(({ baseOffset }) => baseOffset === place.segmentBase);
      if (segment === undefined) continue;
      const { bytes, firstOffset, nextOffset } = place;
      // A file that was gone is back. What may be missing still is found again.
      if (bytes === 0 && segments.some((one) => one.baseOffset >= firstOffset && one.baseOffset < nextOffset)) continue;
      if (await isDamaged(segment, place)) still.push(place);
      // It is not decided yet how its file is to be opened.
      await segment.rest();
    }
    if (still.length === this.#places.length) return;
    this.#context.logger.info(
      { folder: this.#folder, places: this.#places.length - still.length },
      'places that were damaged are sound again, or deleted',
    );
    this.#places = still;
    await this.#write();
  }

  /** Forgets what lies before the log's start. */
  async trim(logStart: number): Promise<void> {
    const kept = this.#places.filter(({ nextOffset }) => nextOffset > logStart);
    if (kept.length === this.#places.length) return;
    this.#places = kept;
    await this.#write();
  }

  /** Resolves when no write is under way, and lets none begin: the folder is about to be somebody else's, or to go. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#writing;
  }

  #file(segmentBase: number): string {
    return `${this.#folder}/${segmentName(segmentBase)}.log`;
  }

  /** A list that is not written is written with the next place, or made again from the log. */
  #write(): Promise<void> {
    if (this.#stopped) return this.#writing;
    const { disk, logger } = this.#context;
    const path = `${this.#folder}/${PLACES_FILE}`;
    this.#writing = this.#writing.then(async () => {
      try {
        await disk.makeFolder(`${this.#folder}/${QUARANTINE_FOLDER}`);
        await writeSealed(disk, path, { places: this.#places });
        await disk.syncFolder(`${this.#folder}/${QUARANTINE_FOLDER}`);
      } catch (err) {
        if (!(err instanceof Fault)) throw err;
        logger.warn({ err, file: path }, 'the list of damaged places could not be written');
      }
    });
    return this.#writing;
  }
}

function overlap(one: QuarantinedPlace, other: QuarantinedPlace): boolean {
  if (one.segmentBase !== other.segmentBase) return false;
  if (one.position === other.position) return true;
  return one.position < other.position + other.bytes && other.position < one.position + one.bytes;
}

async function isDamaged(segment: Segment, { position, bytes, firstOffset, nextOffset }: QuarantinedPlace) {
  const start = { position, offset: firstOffset };
  const { hasGaps } = segment;
  try {
    const found = await damageIn(segment, { start, endPosition: position + bytes, endNext: nextOffset, hasGaps });
    return found.length > 0;
  } catch (error) {
    // Damage in a file is the first sign of a disk that fails: what it cannot read by now is no sounder for that.
    if (!isFault(error, 'diskError')) throw error;
    return true;
  }
}

const isContent = objectOf({
  places: listOf(
    objectOf<QuarantinedPlace>({
      segmentBase: isCount,
      position: isCount,
      bytes: isCount,
      firstOffset: isCount,
      nextOffset: isCount,
      foundAtMs: isCount,
      what: isText,
    }),
  ),
});

/** Null when it is no list of places, one behind the other. */
export function placesIn(content: unknown): QuarantinedPlace[] | null {
  if (!isContent(content)) return null;
  const { places } = content as { places: QuarantinedPlace[] };
  const areInOrder = places.every((place, i) => {
    const before = places[i - 1];
    return place.firstOffset <= place.nextOffset && (before === undefined || inOrder(before, place) < 0);
  });
  return areInOrder ? places : null;
}

function inOrder(a: QuarantinedPlace, b: QuarantinedPlace): number {
  return a.segmentBase - b.segmentBase || a.position - b.position;
}
