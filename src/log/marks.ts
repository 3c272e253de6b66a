import { invariant } from '../base/invariant.ts';

/**
 * How far a partition has come, as the offset after the last one concerned:
 *
 *   logStart <= highWatermark <= writtenNext <= acceptedNext
 *               durableNext   <= writtenNext
 *
 * accepted: an offset is given. written: the bytes are in the file, and survive the process. durable: synced, and survive
 * a power cut. Readers see what lies below the high watermark. Only acceptedNext may go back, when a write fails.
 */
export class Marks {
  #logStart: number;
  #acceptedNext: number;
  #writtenNext: number;
  #durableNext: number;
  #highWatermark: number;

  constructor(logStart: number, endNext: number) {
    invariant(logStart <= endNext, 'a log starts after its end', { logStart, endNext });
    this.#logStart = logStart;
    this.#acceptedNext = this.#writtenNext = this.#durableNext = this.#highWatermark = endNext;
  }

  get logStart(): number {
    return this.#logStart;
  }
  get acceptedNext(): number {
    return this.#acceptedNext;
  }
  get writtenNext(): number {
    return this.#writtenNext;
  }
  get durableNext(): number {
    return this.#durableNext;
  }
  get highWatermark(): number {
    return this.#highWatermark;
  }

  accept(next: number): void {
    this.#must(next > this.#acceptedNext, 'an offset was given twice', next);
    this.#acceptedNext = next;
  }

  /** Takes back the offsets of what could not be written. */
  rollBack(): void {
    this.#acceptedNext = this.#writtenNext;
  }

  written(next: number): void {
    this.#must(next <= this.#acceptedNext && next >= this.#writtenNext, 'written ran wild', next);
    this.#writtenNext = next;
  }

  durable(next: number): void {
    this.#must(next <= this.#writtenNext, 'durable ran ahead', next);
    this.#durableNext = Math.max(this.#durableNext, next);
  }

  /** Moves the high watermark; true when it moved. It never goes back, also when a setting changes what it follows. */
  show(next: number): boolean {
    this.#must(next <= this.#writtenNext, 'the high watermark ran ahead', next);
    if (next <= this.#highWatermark) return false;
    this.#highWatermark = next;
    return true;
  }

  trim(logStart: number): void {
    this.#must(logStart <= this.#highWatermark, 'trimmed past the high watermark', logStart);
    this.#logStart = Math.max(this.#logStart, logStart);
  }

  #must(holds: boolean, message: string, next: number): void {
    if (!holds) invariant(false, message, { next, ...this.facts() });
  }

  facts(): object {
    const { logStart, acceptedNext, writtenNext, durableNext, highWatermark } = this;
    return { logStart, acceptedNext, writtenNext, durableNext, highWatermark };
  }
}
