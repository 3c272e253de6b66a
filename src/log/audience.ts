import type { Clock } from '../base/clock.ts';
import type { Fault } from '../base/faults.ts';
import type { AppendGroup } from './append-group.ts';
import type { LogSettings } from './log-settings.ts';
import type { Marks } from './marks.ts';
import { SyncTimer } from './sync-timer.ts';
import { WaitingAppends } from './waiting.ts';

/**
 * Those who wait for a log to come further: appenders for their batches, readers for what they may see. Moves the high
 * watermark as the settings say, and asks for a sync when somebody waits for one.
 */
export class Audience {
  readonly #marks: Marks;
  readonly #written = new WaitingAppends('written');
  readonly #visible = new WaitingAppends('visible');
  readonly #watchers = new Set<() => void>();
  readonly #timer: SyncTimer;
  #settings: LogSettings;
  #stopped: Fault | null = null;

  constructor(marks: Marks, settings: LogSettings, clock: Clock, requestSync: () => void) {
    this.#marks = marks;
    this.#settings = settings;
    this.#timer = new SyncTimer(clock, requestSync);
  }

  /** Whether an appender or a reader waits for what is not visible. */
  get isWaiting(): boolean {
    return this.#visible.length > 0 || this.#watchers.size > 0;
  }

  /** Reports to `group` when all before `nextOffset` has come as far as it wants. */
  add(nextOffset: number, group: AppendGroup): void {
    const { until } = group;
    const reached = until === 'written' ? this.#marks.writtenNext : this.#marks.highWatermark;
    if (nextOffset <= reached) group.reached(until);
    else if (this.#stopped !== null) group.failed(this.#stopped);
    else {
      (until === 'written' ? this.#written : this.#visible).add(nextOffset, group);
      this.considerSync();
    }
  }

  /** Calls back after each move of the high watermark, and when the log stops; returns what ends that. */
  watch(onMove: () => void): () => void {
    this.#watchers.add(onMove);
    this.considerSync();
    return () => this.#watchers.delete(onMove);
  }

  /** Takes over changed settings; what is written already feels them too. */
  changeSettings(settings: LogSettings): void {
    this.#settings = settings;
    this.#timer.cancel();
    this.moved();
    this.considerSync();
  }

  /** Asks for a sync, now or after a while, if the settings want one for what is written. */
  considerSync(): void {
    if (this.#stopped !== null) return;
    const { writtenNext, durableNext } = this.#marks;
    const { flushMessages, flushMs } = this.#settings;
    this.#timer.consider({ records: writtenNext - durableNext, flushMessages, flushMs, awaited: this.isWaiting });
  }

  /** All that is written now is being synced. */
  syncBegins(): void {
    this.#timer.cancel();
  }

  /** Answers those whose turn it is by what is written and durable now. */
  moved(): void {
    const { durableNext, writtenNext } = this.#marks;
    this.#written.reached(writtenNext);
    if (!this.#marks.show(this.#settings.flushMessages === 1 ? durableNext : writtenNext)) return;
    this.#visible.reached(this.#marks.highWatermark);
    this.#wake();
  }

  /** Refuses those that wait for what could not be written. */
  refuseUnwritten(error: unknown): void {
    for (const waiting of [this.#written, this.#visible]) waiting.refuseAfter(this.#marks.writtenNext, error);
    // The round that was to make what is written durable may have been that of what is refused.
    this.considerSync();
  }

  /** Refuses everyone, from now on. */
  stop(fault: Fault): void {
    this.#stopped ??= fault;
    this.#timer.cancel();
    for (const waiting of [this.#written, this.#visible]) waiting.refuseAfter(-1, fault);
    this.#wake();
  }

  #wake(): void {
    if (this.#watchers.size === 0) return;
    for (const onMove of [...this.#watchers]) onMove();
  }
}
