import { UsageError } from './usage-error.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Cuts a stream of bytes into records at a delimiter, wherever the chunks break. The records are views of the chunks; one
 * that spans several is a copy.
 */
export class RecordSplitter {
  readonly #delimiter: Buffer;
  /** A single byte is looked for faster than a sequence. */
  readonly #needle: Buffer | number;
  readonly #bytesMax: number;
  /** The unfinished record: pieces in which no delimiter starts, then the bytes in which one may. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #tail: Buffer = NOTHING;

  /** `bytesMax` bounds a record, and so what is held. */
  constructor(delimiter: Buffer, bytesMax: number) {
    if (delimiter.length === 0) throw new UsageError('the delimiter must not be empty');
    this.#delimiter = delimiter;
    this.#needle = delimiter.length === 1 ? delimiter[0]! : delimiter;
    this.#bytesMax = bytesMax;
  }

  /** The records that end within the chunk. @throws UsageError for one that is too large */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const records: Buffer[] = [];
    let from = 0;
    for (let end = bytes.indexOf(this.#needle); end >= 0; end = bytes.indexOf(this.#needle, from)) {
      records.push(this.#finish(bytes.subarray(from, end)));
      from = end + this.#delimiter.length;
    }
    const held = Math.min(bytes.length - from, this.#delimiter.length - 1);
    this.#tail = bytes.subarray(bytes.length - held);
    this.#keep(bytes.subarray(from, bytes.length - held));
    return records;
  }

  /** What follows the last delimiter; null when nothing does. */
  end(): Buffer | null {
    const last = this.#finish(this.#tail);
    this.#tail = NOTHING;
    return last.length === 0 ? null : last;
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#piecesBytes += piece.length;
    if (this.#piecesBytes > this.#bytesMax) {
      throw new UsageError(`a record is larger than ${this.#bytesMax} bytes; check the delimiter (-D)`);
    }
    this.#pieces.push(piece);
  }

  #finish(last: Buffer): Buffer {
    if (this.#pieces.length === 0) return last;
    const record = Buffer.concat([...this.#pieces, last]);
    this.#pieces = [];
    this.#piecesBytes = 0;
    return record;
  }
}
