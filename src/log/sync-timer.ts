import type { CancelTimer, Clock } from '../base/clock.ts';

/** What nobody waits for, neither an appender nor a reader, shares its sync with what comes within this time. */
const UNAWAITED_SYNC_DELAY_MS = 10;

export interface Unsynced {
  /** Records written and not durable. */
  readonly records: number;
  readonly flushMessages: number;
  readonly flushMs: number;
  /** Whether an appender or a reader waits for them. */
  readonly awaited: boolean;
}

/** Asks for a sync of one log when its settings want one: at once, or after a while. */
export class SyncTimer {
  readonly #clock: Clock;
  readonly #request: () => void;
  #cancelTimer: CancelTimer | null = null;

  constructor(clock: Clock, request: () => void) {
    this.#clock = clock;
    this.#request = request;
  }

  consider(unsynced: Unsynced): void {
    if (unsynced.records === 0) return;
    const delayMs = syncDelayMs(unsynced);
    if (delayMs === 0) {
      this.#request();
    } else if (this.#cancelTimer === null && delayMs < Number.MAX_SAFE_INTEGER) {
      this.#cancelTimer = this.#clock.after(delayMs, () => {
        this.#cancelTimer = null;
        this.#request();
      });
    }
  }

  cancel(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

function syncDelayMs({ records, flushMessages, flushMs, awaited }: Unsynced): number {
  if (records < flushMessages) return flushMs;
  return awaited || flushMessages > 1 ? 0 : Math.min(UNAWAITED_SYNC_DELAY_MS, flushMs);
}
