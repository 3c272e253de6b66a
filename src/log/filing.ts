import type { CancelTimer, Clock } from '../base/clock.ts';

/** How long a batch may be in the journal and in memory alone: what comes meanwhile goes into the same write. */
const FILE_AFTER_MS = 100;
/** In memory for all logs together, before the time is over … */
const FILE_AFTER_BYTES = 4 * 1024 * 1024;
/** … and at most. What is appended then goes into the segment's file at once, with all of its log that waits. */
const UNFILED_BYTES_MAX = 16 * 1024 * 1024;
/** How long to wait before another attempt at what a full disk has refused. */
const RETRY_AFTER_MS = 1000;

/** A log of which the journal may have more than the segment's file. */
export interface UnfiledLog {
  /** Writes all of it; false when the disk has no room. Never rejects: any other failure ends the broker. */
  file(): Promise<boolean>;
}

/**
 * Brings what was acknowledged because the journal has it into the segment files, in the background: one log after the
 * other, each with one write, so that threads and disk stay free for the journal.
 */
export class Filing {
  readonly #clock: Clock;
  /** With the bytes that wait; the log that waits longest first. */
  readonly #waiting = new Map<UnfiledLog, number>();
  #bytes = 0;
  #isRunning = false;
  /** A full disk has refused some of it: all of it waits for the next attempt. */
  #isRefused = false;
  #cancelTimer: CancelTimer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether so much waits that nothing may be added. */
  get isFull(): boolean {
    return this.#bytes >= UNFILED_BYTES_MAX;
  }

  /** Says how much of a log waits now. */
  note(log: UnfiledLog, bytes: number): void {
    this.#bytes += bytes - (this.#waiting.get(log) ?? 0);
    if (bytes === 0) this.#waiting.delete(log);
    else this.#waiting.set(log, bytes);
    this.#consider();
  }

  #consider(): void {
    if (this.#isRunning || this.#isRefused || this.#waiting.size === 0) return;
    if (this.#bytes >= FILE_AFTER_BYTES) void this.#run();
    else this.#runAfter(FILE_AFTER_MS);
  }

  #runAfter(delayMs: number): void {
    this.#cancelTimer ??= this.#clock.after(delayMs, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#isRunning = true;
    this.#isRefused = false;
    for (const log of [...this.#waiting.keys()]) {
      if (this.#waiting.has(log) && !(await log.file())) this.#isRefused = true;
    }
    this.#isRunning = false;
    if (this.#isRefused) this.#runAfter(RETRY_AFTER_MS);
    else this.#consider();
  }
}
