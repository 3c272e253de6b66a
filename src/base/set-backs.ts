/** How far the wall clock may run from the monotonic one before that says anything: corrections of a clock that is roughly right. */
export const DRIFT_MS = 10 * 60 * 1000;
/** How long a clock that has leapt ahead is not believed, in time that really passes. */
export const DISBELIEF_MS = 24 * 60 * 60 * 1000;
/** How much further behind a clock falls, as one that stands does, until the next start must know. */
const KEPT_STEP_MS = 60 * 60 * 1000;
/** How much further a clock that is behind goes until the next start must know: what was stamped since lies within. */
const KEPT_RUN_MS = 24 * 60 * 60 * 1000;
/** How many are remembered. A clock that is set back more often than that is not to be helped. */
const SET_BACKS_MAX = 32;

/** A time for which the wall clock was behind. */
export interface SetBack {
  /** What it showed first, and last. */
  readonly fromMs: number;
  readonly toMs: number;
  /** How far it was behind, at most. */
  readonly behindMs: number;
}

/** That in which the clock is. */
export interface OpenSetBack extends Omit<SetBack, 'toMs'> {
  /** What it showed when this was kept. */
  readonly lastMs?: number;
}

/** What is kept of set-backs from one start to the next. */
export interface KnownSetBacks {
  readonly open: OpenSetBack | null;
  /** Oldest first. */
  readonly closed: readonly SetBack[];
}

/**
 * Remembers when the wall clock was behind, by the monotonic one. What the broker stamped in such a time looks old when the
 * clock is set right; what it should have been stamped with is told here.
 */
export class SetBacks {
  /** The wall clock's latest time, going on as the monotonic clock does; what a set-back is measured by. */
  #latestMs: number;
  #atMonotonicMs: number;
  #wallMs: number;
  #open: Omit<SetBack, 'toMs'> | null = null;
  #closed: readonly SetBack[];
  #keptBehindMs = 0;
  #keptLastMs = 0;
  /** Called when there is something to be kept for the next start. */
  onChange: () => void = () => {};

  /** `nowMs`: what is believed to be the time. `knownMs`: the last time that is known from before; null at the first start. */
  constructor(known: KnownSetBacks | null, knownMs: number | null, nowMs: number, wallMs: number, monotonicMs: number) {
    this.#atMonotonicMs = monotonicMs;
    this.#wallMs = wallMs;
    this.#closed = known?.closed ?? [];
    this.#latestMs = Math.max(nowMs, knownMs ?? nowMs);
    if (known?.open != null) this.#goOnFrom(known.open, nowMs, wallMs);
  }

  #goOnFrom({ fromMs, behindMs, lastMs = fromMs }: OpenSetBack, nowMs: number, wallMs: number): void {
    this.#latestMs = Math.max(this.#latestMs, lastMs + behindMs);
    if (isStillBehind({ fromMs, behindMs, lastMs }, wallMs)) {
      this.#latestMs = Math.max(this.#latestMs, wallMs + behindMs);
      this.#open = { fromMs, behindMs };
      this.#keptBehindMs = behindMs;
      this.#keptLastMs = lastMs;
      return;
    }
    // Set since, or to another wrong time: what was stamped by then lies in what was kept, or in the time that has passed.
    this.#close({ fromMs, behindMs, toMs: Math.max(lastMs + KEPT_RUN_MS, nowMs - behindMs) });
  }

  get known(): KnownSetBacks {
    const open = this.#open && { ...this.#open, lastMs: this.#wallMs };
    return { open, closed: this.#closed };
  }

  /** `nowMs` is what is believed to be the time: a wall clock that leaps ahead is not, for a while. */
  look(nowMs: number, wallMs: number, monotonicMs: number): void {
    const elapsedMs = monotonicMs - this.#atMonotonicMs;
    const expectedMs = this.#wallMs + elapsedMs;
    this.#atMonotonicMs = monotonicMs;
    this.#wallMs = wallMs;
    this.#latestMs = Math.max(nowMs, this.#latestMs + elapsedMs);
    const behindMs = this.#latestMs - wallMs;
    const open = this.#open;
    if (open !== null && Math.abs(wallMs - expectedMs) <= DRIFT_MS && behindMs > open.behindMs - DRIFT_MS) {
      // A clock that stands falls behind all the time.
      if (behindMs > open.behindMs) this.#open = { fromMs: open.fromMs, behindMs };
      const isFurther = behindMs > this.#keptBehindMs + KEPT_STEP_MS || wallMs > this.#keptLastMs + KEPT_RUN_MS;
      if (isFurther) this.#change();
      return;
    }
    if (open === null && behindMs <= DRIFT_MS) return;
    if (open !== null) this.#close({ ...open, toMs: expectedMs });
    this.#open = behindMs > DRIFT_MS ? { fromMs: wallMs, behindMs } : null;
    this.#change();
  }

  #change(): void {
    this.#keptBehindMs = this.#open?.behindMs ?? 0;
    this.#keptLastMs = this.#wallMs;
    this.onChange();
  }

  #close(ended: SetBack): void {
    const others = this.#closed.filter(
      ({ fromMs, toMs, behindMs }) => fromMs < ended.fromMs || toMs > ended.toMs || behindMs > ended.behindMs,
    );
    this.#closed = [...others, ended].slice(-SET_BACKS_MAX);
  }

  /** How much time has passed, at least, since the broker stamped something so; `nowMs` as of the last look. */
  ageMs(stampMs: number, nowMs: number): number {
    let ageMs = nowMs - stampMs;
    for (const { fromMs, toMs, behindMs } of this.#closed) {
      if (fromMs <= stampMs && stampMs <= toMs) ageMs = Math.min(ageMs, this.#latestMs - stampMs - behindMs);
    }
    return ageMs;
  }
}

/**
 * Whether a clock that was behind when a broker ended still is, where the next one starts. A start some time later is usual; one so much
 * later that half of what it was behind has passed is less likely than a clock that was set, if only to about the right time. Both are guesses: a
 * clock that was set to a third time, within these bounds, makes what is stamped from then on look older than it is.
 */
function isStillBehind({ fromMs, behindMs, lastMs }: Required<OpenSetBack>, wallMs: number): boolean {
  const latestMs = lastMs + KEPT_RUN_MS + Math.max(DISBELIEF_MS, behindMs / 2);
  return wallMs >= lastMs - DRIFT_MS && wallMs <= latestMs && wallMs < fromMs + behindMs - DRIFT_MS;
}
