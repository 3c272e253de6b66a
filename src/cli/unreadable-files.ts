import { Fault, isFault } from '../base/faults.ts';
import type { ScannedPiece, StoppedFolder, StoredLog } from '../stopped-folder.ts';

/** A piece of a log file, or the rest of one that the disk cannot read further. */
export type ShownPiece = Sound | Unsound;
type Segment = StoredLog['segments'][number];
type Sound = Extract<ScannedPiece, { damage: null }>;
interface Unsound {
  readonly position: number;
  readonly batch: null;
  readonly damage: { readonly bytes: number; readonly what: string };
}

/** The log files that the disk cannot read: they keep nobody from looking at the others, and are what the command ends with. */
export class UnreadableFiles {
  readonly #faults = new Map<Segment, Fault>();

  /** Every byte of a segment in order. */
  async *piecesOf({ disk }: StoppedFolder, log: StoredLog, segment: Segment): AsyncGenerator<ShownPiece> {
    const { piecesOf } = await import('../stopped-folder.ts');
    let position = 0;
    try {
      // Also an empty one, which would not be read.
      await (await disk.open(segment.logPath, 'read')).close();
      for await (const piece of piecesOf(log, segment)) {
        position = piece.position + (piece.batch === null ? piece.damage.bytes : piece.batch.length);
        yield piece;
      }
    } catch (error) {
      if (!isFault(error, 'diskError')) throw error;
      this.#faults.set(segment, error);
      const bytes = Math.max(0, segment.sizeBytes - position);
      yield { position, batch: null, damage: { bytes, what: this.why(segment)! } };
    }
  }

  /** Null for a segment of which all could be read. */
  why(segment: Segment): string | null {
    const fault = this.#faults.get(segment);
    return fault === undefined ? null : `it cannot be read: ${fault.detail}`;
  }

  /** To be called when all was looked at. @throws Fault diskError */
  throwIfAny(): void {
    const [first, ...others] = this.#faults.values();
    if (first === undefined) return;
    if (others.length === 0) throw first;
    throw new Fault('diskError', { detail: `${first.detail}; the same of ${others.length} more`, cause: first });
  }
}
