/** How far the wall clock may run from the monotonic one before that says anything: corrections of a clock that is roughly right. */
export const DRIFT_MS = 10 * 60 * 1000;
/** How much further behind a clock falls, as one that stands does, until the next start must know. */
const KEPT_STEP_MS = 60 * 60 * 1000;
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

/** What is kept of set-backs from one start to the next. */
export interface KnownSetBacks {
  /** That in which the clock is. `toMs` is not known. */
  readonly open: Omit<SetBack, 'toMs'> | null;
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
  #open: KnownSetBacks['open'];
  #closed: readonly SetBack[];
  #keptBehindMs = 0;
  /** Called when there is something to be kept for the next start. */
  onChange: () => void = () => {};

  /** `nowMs`: what is believed to be the time. `knownMs`: the last time that is known from before; null at the first start. */
  constructor(known: KnownSetBacks | null, knownMs: number | null, nowMs: number, wallMs: number, monotonicMs: number) {
    const open = known?.open ?? null;
    this.#atMonotonicMs = monotonicMs;
    this.#wallMs = wallMs;
    this.#open = open;
    this.#keptBehindMs = open?.behindMs ?? 0;
    this.#closed = known?.closed ?? [];
    this.#latestMs = Math.max(nowMs, knownMs ?? nowMs);
    if (open === null) return;
    if (wallMs < open.fromMs + open.behindMs - DRIFT_MS)
      this.#latestMs = Math.max(this.#latestMs, wallMs + open.behindMs);
    // It was set right meanwhile. How long it had been behind is the time that has passed since.
    else this.#wallMs = wallMs - open.behindMs;
  }

  get known(): KnownSetBacks {
    return { open: this.#open, closed: this.#closed };
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
      if (behindMs > this.#keptBehindMs + KEPT_STEP_MS) this.#change();
      return;
    }
    if (open === null && behindMs <= DRIFT_MS) return;
    if (open !== null) this.#close({ ...open, toMs: expectedMs });
    this.#open = behindMs > DRIFT_MS ? { fromMs: wallMs, behindMs } : null;
    this.#change();
  }

  #change(): void {
    this.#keptBehindMs = this.#open?.behindMs ?? 0;
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
