import type { CancelTimer, Clock } from '../../base/clock.ts';
import type { Group } from './group.ts';
import type { GroupClock } from './group-clock.ts';

/** A timer that runs later than this after its time shows that the broker stood still. */
const STALLED_MS = 500;

/** Wakes groups in time: one timer for each group that waits for something. */
export class GroupAlarms {
  readonly #clock: Clock;
  readonly #uptime: GroupClock;
  readonly #ring: (id: string, nowMs: number) => void;
  readonly #alarms = new Map<string, { atMs: number; cancel: CancelTimer }>();
  #stopped = false;

  constructor(clock: Clock, uptime: GroupClock, ring: (id: string, nowMs: number) => void) {
    this.#clock = clock;
    this.#uptime = uptime;
    this.#ring = ring;
  }

  /** Sees to it that a group is woken in time. One that puts its deadline off is woken early once, which is cheaper. */
  watch({ id, wakeAtMs }: Group): void {
    const alarm = this.#alarms.get(id);
    if (this.#stopped || wakeAtMs >= (alarm?.atMs ?? Infinity)) return;
    alarm?.cancel();
    this.#set(id, wakeAtMs, wakeAtMs - this.#uptime.uptimeMs());
  }

  forget(id: string): void {
    this.#alarms.get(id)?.cancel();
    this.#alarms.delete(id);
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#alarms.values()) cancel();
    this.#alarms.clear();
  }

  #set(id: string, atMs: number, delayMs: number): void {
    const dueMs = this.#uptime.uptimeMs() + delayMs;
    const cancel = this.#clock.after(delayMs, () => {
      const nowMs = this.#uptime.uptimeMs();
      // A broker that stood still hears first what its members said meanwhile: they did not.
      if (nowMs - dueMs > STALLED_MS) {
        this.#set(id, atMs, STALLED_MS);
        return;
      }
      this.#alarms.delete(id);
      this.#ring(id, nowMs);
    });
    this.#alarms.set(id, { atMs, cancel });
  }
}
