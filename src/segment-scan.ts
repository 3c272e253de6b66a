import { limits } from './base/limits.ts';
import type { Segment } from './log/segment.ts';
import { BATCH_HEADER_BYTES, baseOffset, batchBytes, checkBatch, MAGIC, magic } from './record/batch.ts';

/** A batch that is what was once written; its bytes are only the visitor's until the next one is asked for. */
interface SoundBatch {
  readonly position: number;
  readonly batch: Buffer;
  readonly damage: null;
}

/** Bytes that are not. */
export interface DamagedBytes {
  readonly position: number;
  readonly bytes: number;
  /** What was expected and what was found. */
  readonly what: string;
}

export type ScannedPiece =
  | SoundBatch
  | { readonly position: number; readonly batch: null; readonly damage: DamagedBytes };

const WINDOW_BYTES = 4 * 1024 * 1024;

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

/**
 * Every byte of a segment in order: batches that are sound by themselves, and what lies between them. Where a batch cannot be
 * trusted, not even its length is: the next sound one is looked for byte by byte.
 */
export async function* scanSegment(segment: Segment): AsyncGenerator<ScannedPiece> {
  const window = new Window(segment);
  let offsetMin = segment.baseOffset;
  for (let position = 0; position < segment.sizeBytes; ) {
    const { batch, what } = await batchAt(window, segment, position);
    if (batch !== null) {
      offsetMin = Math.max(offsetMin, baseOffset(batch, 0));
      yield { position, batch, damage: null };
      position += batch.length;
    } else {
      const end = await nextSound(window, segment, position + 1, offsetMin);
      yield { position, batch: null, damage: { position, bytes: end - position, what } };
      position = end;
    }
  }
}

async function batchAt(
  window: Window,
  segment: Segment,
  position: number,
): Promise<{ batch: Buffer; what: null } | { batch: null; what: string }> {
  const left = segment.sizeBytes - position;
  const header = await window.at(position, BATCH_HEADER_BYTES);
  if (left < BATCH_HEADER_BYTES) return { batch: null, what: `expected a batch, found ${left} bytes before the end` };
  const size = batchBytes(header, 0);
  if (size > left) return { batch: null, what: `expected a batch of ${size} bytes, found ${left} before the end` };
  const plausible = size >= BATCH_HEADER_BYTES && magic(header, 0) === MAGIC;
  const bytes = plausible ? await window.at(position, size) : header;
  const fault = checkBatch(bytes, 0, bytes.length);
  if (fault !== null) return { batch: null, what: fault.message };
  return { batch: bytes.subarray(0, size), what: null };
}

/** Where, from `start` on, the next batch lies that is sound and continues the log; the file's end if none does. */
async function nextSound(window: Window, segment: Segment, start: number, offsetMin: number): Promise<number> {
  for (let position = start; segment.sizeBytes - position >= BATCH_HEADER_BYTES; position++) {
    const header = await window.at(position, BATCH_HEADER_BYTES);
    if (!mayStart(header, segment, position, offsetMin)) continue;
    if ((await batchAt(window, segment, position)).batch !== null) return position;
  }
  return segment.sizeBytes;
}

function mayStart(header: Buffer, segment: Segment, position: number, offsetMin: number): boolean {
  if (magic(header, 0) !== MAGIC) return false;
  const size = batchBytes(header, 0);
  if (size < BATCH_HEADER_BYTES || size > Math.min(segment.sizeBytes - position, limits.frameBytesMax)) return false;
  const offset = baseOffset(header, 0);
  // A segment spans at most 2^31 offsets: its indexes hold no more.
  return offset >= offsetMin && offset - segment.baseOffset <= 0x7fffffff;
}
