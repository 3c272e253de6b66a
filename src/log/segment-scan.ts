import { faults } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  batchBytes,
  checkBatch,
  field,
  lastOffset,
  lastOffsetDelta,
  leaderEpoch,
  MAGIC,
  magic,
  nextOffset,
  storedCrc,
} from '../record/batch.ts';
import { crc32c } from '../record/crc32c.ts';
import { scanCompacted } from './compacted-reads.ts';
import type { EpochRange } from './leader-epochs.ts';
import type { Segment } from './segment.ts';

/** What is known of a segment from elsewhere. Each makes the scan surer; none is needed. */
export interface KnownOfSegment {
  /** Where to begin, and the base offset of the batch there. Default: the segment's start. */
  readonly start?: { readonly position: number; readonly offset: number };
  /** Where the bytes end that are to be looked at. Default: where the file ends. */
  readonly endPosition?: number | undefined;
  /** The offset after the last record before that place; null where it is not known. */
  readonly endNext?: number | null;
  /** Whether offsets may be missing between batches, as compaction leaves them. */
  readonly hasGaps?: boolean;
  /** Which leader epochs the record at an offset may have; null where that is not known. */
  readonly epochsAt?: (offset: number) => EpochRange | null;
  /** Places after one, ascending, at which a batch is said to begin that holds an offset: index entries, rounds of the journal. */
  readonly startsAfter?: (position: number) => Iterable<KnownStart>;
}

export interface KnownStart {
  readonly position: number;
  readonly offset: number;
}

/** A batch that is what was once written; its bytes are only the visitor's until the next one is asked for. */
export interface SoundBatch {
  readonly position: number;
  readonly batch: Buffer;
  readonly damage: null;
}

/** Bytes that are not. */
export interface DamagedBytes {
  readonly position: number;
  /** 0 where the file ends before records that it should hold. */
  readonly bytes: number;
  /** The offsets from `firstOffset` to before `nextOffset` are not readable. Equal where no record was there. */
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** What was expected and what was found. */
  readonly what: string;
}

export type ScannedPiece =
  | SoundBatch
  | { readonly position: number; readonly batch: null; readonly damage: DamagedBytes };

const WINDOW_BYTES = 1024 * 1024;
/** A run of so many batches that continue each other is taken for what was written, wherever it leads. */
const RUN_BATCHES = 2;

/**
 * Every byte of a segment in order: batches that are sound, and what lies between them. Where a batch is damaged its length may
 * be wrong, and its records may hold what looks like batches. So where the damage ends is settled by what is surest:
 *
 *   1. its own length, when the batch there goes on with the offset after its last;
 *   2. a sound batch before which all bytes have the damaged batch's CRC: then only its length is wrong;
 *   3. its own length, when a sound batch with a later offset is there;
 *   4. the first sound batch that others follow, up to a place known otherwise or for a while;
 *   5. the next place that is known otherwise, or the end.
 */
export async function* scanSegment(segment: Segment, known: KnownOfSegment = {}): AsyncGenerator<ScannedPiece> {
  if (segment.compacted !== null) {
    yield* scanCompacted(segment, known.start?.position ?? 0, known.endPosition ?? segment.sizeBytes);
    const { endNext: firstOffset } = segment.compacted;
    const endNext = known.endNext ?? firstOffset;
    if (firstOffset < endNext) yield pieceOf(missingAt(segment.sizeBytes, firstOffset, endNext));
    return;
  }
  const scan = new Scan(segment, known);
  let { position, offset } = known.start ?? { position: 0, offset: segment.baseOffset };
  while (position < scan.end) {
    const { batch, what } = await scan.batchAt(position, offset);
    if (batch !== null) {
      const size = batch.length;
      offset = nextOffset(batch, 0);
      yield { position, batch, damage: null };
      position += size;
    } else {
      const next = await scan.next(position, offset);
      const bytes = next.position - position;
      const damage = { position, bytes, firstOffset: offset, nextOffset: next.offset, what };
      yield { position, batch: null, damage };
      ({ position, offset } = next);
    }
  }
  const endNext = known.endNext ?? offset;
  if (offset >= endNext || known.hasGaps === true) return;
  yield pieceOf(missingAt(position, offset, endNext));
}

/** Records that should follow where a file ends. */
export function missingAt(position: number, firstOffset: number, nextOffset: number): DamagedBytes {
  const what = `expected records up to offset ${nextOffset - 1}, found the end after ${position} bytes`;
  return { position, bytes: 0, firstOffset, nextOffset, what };
}

function pieceOf(damage: DamagedBytes): ScannedPiece {
  return { position: damage.position, batch: null, damage };
}

/** The damaged places of a segment. */
export async function damageIn(segment: Segment, known: KnownOfSegment = {}): Promise<DamagedBytes[]> {
  const found: DamagedBytes[] = [];
  for await (const { damage } of scanSegment(segment, known)) if (damage !== null) found.push(damage);
  return found;
}

class Scan {
  readonly end: number;
  readonly #segment: Segment;
  readonly #known: KnownOfSegment;
  readonly #window: Window;

  constructor(segment: Segment, known: KnownOfSegment) {
    this.#segment = segment;
    this.#known = known;
    this.#window = new Window(segment);
    this.end = Math.min(known.endPosition ?? segment.sizeBytes, segment.sizeBytes);
  }

  /** The sound batch at `position`, where `expected` comes next; or why there is none. */
  async batchAt(
    position: number,
    expected: number,
    isAfterDamage = false,
  ): Promise<{ batch: Buffer; what: null } | { batch: null; what: string }> {
    const left = this.end - position;
    const header = await this.#window.at(position, BATCH_HEADER_BYTES);
    if (left < BATCH_HEADER_BYTES) return { batch: null, what: `expected a batch, found ${left} bytes before the end` };
    const size = batchBytes(header, 0);
    if (size > left) return { batch: null, what: `expected a batch of ${size} bytes, found ${left} before the end` };
    const plausible = size >= BATCH_HEADER_BYTES && magic(header, 0) === MAGIC;
    const bytes = plausible ? await this.#window.at(position, size) : header;
    const fault = checkBatch(bytes, 0, bytes.length);
    if (fault !== null) return { batch: null, what: fault.message.replace(`${faults.corruptBatch.says}: `, '') };
    const batch = bytes.subarray(0, size);
    const what = this.#misplaced(batch, expected, isAfterDamage || this.#known.hasGaps === true);
    return what === null ? { batch, what } : { batch: null, what };
  }

  /** What a batch's CRC does not cover, held against what is around it. */
  #misplaced(batch: Buffer, expected: number, mayBeLater: boolean): string | null {
    const found = baseOffset(batch, 0);
    if (found !== expected && !(mayBeLater && found > expected)) {
      return `expected base offset ${expected}, found ${found}`;
    }
    const last = lastOffset(batch, 0);
    const { endNext, epochsAt } = this.#known;
    if (last >= (endNext ?? Infinity)) return `expected an offset before ${endNext}, found ${last}`;
    // The indexes of a segment hold no more.
    if (last - this.#segment.baseOffset > 0x7fffffff) return `offset ${last} is too far from the segment's first`;
    const epoch = leaderEpoch(batch, 0);
    const { lowest, highest } = epochsAt?.(last) ?? { lowest: epoch, highest: epoch };
    if (lowest <= epoch && epoch <= highest) return null;
    return `expected leader epoch ${lowest === highest ? lowest : `${lowest} to ${highest}`}, found ${epoch}`;
  }

  /** Where what is damaged at `position` ends, and the offset that comes there. */
  async next(position: number, offset: number): Promise<KnownStart> {
    const own = await this.#ownEnd(position, offset);
    if (own?.follows === true) return own;
    const limit = await this.#knownAfter(position, offset);
    const found = await this.#search(position, offset, limit);
    if (found?.isProven === true) return found;
    return own ?? found ?? limit;
  }

  /** Where the damaged batch itself says that it ends, if a sound one is there, or the end of what is looked at. */
  async #ownEnd(position: number, offset: number): Promise<(KnownStart & { follows: boolean }) | null> {
    if (this.end - position < BATCH_HEADER_BYTES) return null;
    const header = await this.#window.at(position, BATCH_HEADER_BYTES);
    const size = batchBytes(header, 0);
    if (size < BATCH_HEADER_BYTES || size > this.end - position) return null;
    const stated = offset + lastOffsetDelta(header, 0) + 1;
    const { endNext } = this.#known;
    if (position + size === this.end) {
      // Where nothing else says which offsets it had, it is believed.
      const plausible = stated > offset && stated - this.#segment.baseOffset <= 0x80000000;
      const next = endNext ?? (plausible ? stated : offset);
      return { position: this.end, offset: next, follows: stated === next };
    }
    const { batch } = await this.batchAt(position + size, offset, true);
    if (batch === null) return null;
    return { position: position + size, offset: baseOffset(batch, 0), follows: baseOffset(batch, 0) === stated };
  }

  /** The next place after `position` of which something else says that a batch is there, and one is; or the end. */
  async #knownAfter(position: number, offset: number): Promise<KnownStart> {
    for (const start of this.#known.startsAfter?.(position) ?? []) {
      if (start.position <= position || start.position >= this.end || start.offset < offset) continue;
      const { batch } = await this.batchAt(start.position, offset, true);
      if (batch === null || baseOffset(batch, 0) > start.offset || lastOffset(batch, 0) < start.offset) continue;
      return { position: start.position, offset: baseOffset(batch, 0) };
    }
    return { position: this.end, offset: this.#known.endNext ?? offset };
  }

  /** The first sound batch between damage and `limit` that is not alone; `isProven` if it ends what has the damaged one's CRC. */
  async #search(
    position: number,
    offset: number,
    limit: KnownStart,
  ): Promise<(KnownStart & { isProven: boolean }) | null> {
    let first: (KnownStart & { isProven: boolean }) | null = null;
    const crc = await this.#crcFrom(position);
    for (let at = position + 1; at < limit.position && this.end - at >= BATCH_HEADER_BYTES; ) {
      const bytes = await this.#window.at(at, BATCH_HEADER_BYTES);
      const candidate = this.#firstStart(bytes, at, offset, limit.position);
      at = candidate + 1;
      if (candidate >= limit.position || this.end - candidate < BATCH_HEADER_BYTES) continue;
      const { batch } = await this.batchAt(candidate, offset, true);
      if (batch === null) continue;
      const start = { position: candidate, offset: baseOffset(batch, 0) };
      if (await crc?.matches(candidate)) return { ...start, isProven: true };
      if (first === null && (await this.#leadsOn(candidate, start.offset, limit)))
        first = { ...start, isProven: false };
    }
    if (await crc?.matches(limit.position)) return { ...limit, isProven: true };
    return first;
  }

  async #crcFrom(position: number): Promise<CrcFrom | null> {
    if (this.end - position < BATCH_HEADER_BYTES) return null;
    const header = await this.#window.at(position, BATCH_HEADER_BYTES);
    return new CrcFrom(this.#segment, position + field.attributes, storedCrc(header, 0));
  }

  /** Where among `bytes`, which lie at `position`, a batch may start by its header; if nowhere, where they are used up. */
  #firstStart(bytes: Buffer, position: number, offset: number, endPosition: number): number {
    const count = Math.min(bytes.length - BATCH_HEADER_BYTES, endPosition - position - 1);
    for (let i = 0; i <= count; i += 1) {
      if (bytes[i + field.magic] !== MAGIC) continue;
      const size = batchBytes(bytes, i);
      if (size < BATCH_HEADER_BYTES || size > Math.min(this.end - position - i, limits.frameBytesMax)) continue;
      if (baseOffset(bytes, i) >= offset) return position + i;
    }
    return position + count;
  }

  /** Whether sound batches follow from `position` on, for a while or up to `limit`. */
  async #leadsOn(position: number, offset: number, limit: KnownStart): Promise<boolean> {
    let at = position;
    let expected = offset;
    for (let count = 0; count < RUN_BATCHES; count += 1) {
      if (at === limit.position) return true;
      const { batch } = await this.batchAt(at, expected);
      if (batch === null) return false;
      at += batch.length;
      expected = nextOffset(batch, 0);
    }
    return true;
  }
}

/** The CRC of the bytes from one place to others after it, each asked for in turn. */
class CrcFrom {
  readonly #segment: Segment;
  readonly #stored: number;
  readonly #from: number;
  #at: number;
  #crc = 0;

  constructor(segment: Segment, from: number, stored: number) {
    this.#segment = segment;
    this.#from = this.#at = from;
    this.#stored = stored;
  }

  /** Whether the bytes before `end` have the CRC that is stored. No batch is longer than a request. */
  async matches(end: number): Promise<boolean> {
    if (end <= this.#from || end - this.#from > limits.frameBytesMax) return false;
    while (this.#at < end) {
      const bytes = await this.#segment.read(this.#at, Math.min(WINDOW_BYTES, end - this.#at));
      this.#crc = crc32c(bytes, this.#crc);
      this.#at += bytes.length;
    }
    return this.#crc === this.#stored;
  }
}

/** A window on a segment's file that moves forward. */
class Window {
  readonly #segment: Segment;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(segment: Segment) {
    this.#segment = segment;
  }

  /** The bytes from `position` on: at least `needed` of them, fewer only at the end of the file. */
  async at(position: number, needed: number): Promise<Buffer> {
    const from = position - this.#start;
    if (from >= 0 && this.#bytes.length - from >= needed) return this.#bytes.subarray(from);
    const end = this.#start + this.#bytes.length;
    if (from < 0 || end < this.#segment.sizeBytes) {
      this.#bytes = await this.#segment.read(position, Math.max(needed, WINDOW_BYTES));
      this.#start = position;
    }
    return this.#bytes.subarray(position - this.#start);
  }
}
