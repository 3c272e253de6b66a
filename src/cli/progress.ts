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

  show(records: number, bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const seconds = (nowMs - this.#startMs) / 1000;
    const rate = `${Math.round(records / seconds).toLocaleString('en')} records/s`;
    process.stderr.write(
      `\r\x1b[K${this.#bar(bytes)}${records.toLocaleString('en')} records, ${bytesText(bytes)}, ${rate}`,
    );
  }

  /** Removes the line. */
  end(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }

  #bar(bytes: number): string {
    if (this.#totalBytes === null || this.#totalBytes === 0) return '';
    const share = Math.min(1, bytes / this.#totalBytes);
    const full = Math.floor(share * BAR_CELLS);
    return `[${'#'.repeat(full)}${' '.repeat(BAR_CELLS - full)}] ${String(Math.floor(share * 100)).padStart(3)} %  `;
  }
}
