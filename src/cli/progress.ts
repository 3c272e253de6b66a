import type { Clock } from '../base/clock.ts';
import { bytesText } from './table.ts';

const REDRAW_MS = 100;
/** Work shorter than this needs no bar. */
const QUIET_MS = 1_000;
const BAR_CELLS = 30;

/** One line at a terminal that says how far a long input has come. */
export class Progress {
  readonly #clock: Clock;
  readonly #totalBytes: number | null;
  readonly #startMs: number;
  #drawnMs: number;
  #drawn = false;

  /** `totalBytes` is null where the input's size is not known. */
  constructor(clock: Clock, totalBytes: number | null) {
    this.#clock = clock;
    this.#totalBytes = totalBytes;
    this.#startMs = clock.monotonicMs();
    this.#drawnMs = this.#startMs + QUIET_MS - REDRAW_MS;
  }

  /** `share` is how much is done, from 0 to 1; default by bytes. */
  show(records: number, bytes: number, share = this.#shareOf(bytes)): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const seconds = (nowMs - this.#startMs) / 1000;
    const rate = `${Math.round(records / seconds).toLocaleString('en')} records/s`;
    process.stderr.write(
      `\r\x1b[K${bar(share)}${records.toLocaleString('en')} records, ${bytesText(bytes)}, ${rate}${left(share, seconds)}`,
    );
  }

  /** Removes the line. */
  end(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }

  #shareOf(bytes: number): number | null {
    return this.#totalBytes === null || this.#totalBytes === 0 ? null : bytes / this.#totalBytes;
  }
}

function bar(share: number | null): string {
  if (share === null) return '';
  const full = Math.floor(Math.min(1, share) * BAR_CELLS);
  const percent = String(Math.floor(Math.min(1, share) * 100)).padStart(3);
  return `[${'#'.repeat(full)}${' '.repeat(BAR_CELLS - full)}] ${percent} %  `;
}

/** What is left takes as long for its share as what is done took. */
function left(share: number | null, seconds: number): string {
  if (share === null || share <= 0 || share >= 1) return '';
  const secondsLeft = Math.ceil((seconds * (1 - share)) / share);
  const [hours, minutes] = [Math.floor(secondsLeft / 3600), Math.floor(secondsLeft / 60) % 60];
  if (hours > 0) return `, ${hours} h ${minutes} min left`;
  return secondsLeft < 60 ? `, ${secondsLeft} s left` : `, ${minutes} min ${secondsLeft % 60} s left`;
}
