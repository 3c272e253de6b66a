import { describe, expect, test } from 'vitest';
import { type KnownSetBacks, SetBacks } from '../../src/base/set-backs.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
const START_MS = 1_800_000_000_000;

/** A broker and its clock: how far that is off can be set, and the broker started again. */
class Machine {
  setBacks: SetBacks;
  changes = 0;
  /** Since the start of all. */
  atMs = 0;
  offMs = 0;
  #startedAtMs = 0;

  constructor() {
    this.setBacks = this.#made(null, null);
  }

  get wallMs(): number {
    return START_MS + this.atMs + this.offMs;
  }

  #made(known: KnownSetBacks | null, knownMs: number | null): SetBacks {
    const setBacks = new SetBacks(known, knownMs, this.wallMs, this.wallMs, 0);
    setBacks.onChange = () => {
      this.changes += 1;
    };
    setBacks.look(this.wallMs, this.wallMs, 0);
    return setBacks;
  }

  /** Another broker, later; `known` is what was kept. */
  restart(known = this.setBacks.known, knownMs = this.wallMs, offForMs = HOUR_MS): void {
    this.atMs += offForMs;
    this.#startedAtMs = this.atMs;
    this.setBacks = this.#made(known, knownMs);
  }

  look(): void {
    this.setBacks.look(this.wallMs, this.wallMs, this.atMs - this.#startedAtMs);
  }

  /** What something is stamped with now. */
  stamp(): number {
    this.look();
    return this.wallMs;
  }

  run(forMs: number, everyMs = 5 * MINUTE_MS): void {
    for (const endMs = this.atMs + forMs; this.atMs < endMs; ) {
      this.atMs += everyMs;
      this.look();
    }
  }

  ageMs(stampMs: number): number {
    this.look();
    return this.setBacks.ageMs(stampMs, this.wallMs);
  }
}

test('age is by the wall clock, also when that runs a little slow', () => {
  const machine = new Machine();
  const stampMs = machine.stamp();
  for (let i = 0; i < 1000; i += 1) {
    machine.offMs -= 500;
    machine.run(5 * MINUTE_MS);
  }
  expect(machine.ageMs(stampMs)).toBe(machine.wallMs - stampMs);
  expect(machine.changes).toBe(0);
});

test.each([HOUR_MS, 10 * YEAR_MS])(
  'what was stamped while the clock was behind is as old as the time since, when it is right (%d ms)',
  (behindMs) => {
    const machine = new Machine();
    const before = machine.stamp();
    machine.offMs = -behindMs;
    const first = machine.stamp();
    machine.run(3 * DAY_MS);
    // By that clock itself in the meantime.
    expect(machine.ageMs(first)).toBe(3 * DAY_MS);
    const last = machine.stamp();
    machine.run(MINUTE_MS, MINUTE_MS);
    machine.offMs = 0;
    const after = machine.stamp();
    machine.run(DAY_MS);
    expect([first, last, after].map((stampMs) => machine.ageMs(stampMs))).toEqual([
      4 * DAY_MS + MINUTE_MS,
      DAY_MS + MINUTE_MS,
      DAY_MS,
    ]);
    // Which may have been stamped in that time as well, if it was that short.
    expect(machine.ageMs(before)).toBe(4 * DAY_MS + MINUTE_MS - (behindMs === HOUR_MS ? HOUR_MS : 0));
    // What is older than that time by far is as old as it says.
    expect(machine.ageMs(first - YEAR_MS)).toBe(machine.wallMs - first + YEAR_MS);
    // Also once a day.
    expect(machine.changes).toBe(4);
  },
);

test('a clock that comes back in two steps was behind by two times', () => {
  const machine = new Machine();
  machine.offMs = -10 * YEAR_MS;
  const first = machine.stamp();
  machine.run(HOUR_MS);
  machine.offMs = -YEAR_MS;
  const second = machine.stamp();
  expect(machine.ageMs(first)).toBe(HOUR_MS);
  machine.run(HOUR_MS);
  machine.offMs = 0;
  expect([first, second].map((stampMs) => machine.ageMs(stampMs))).toEqual([2 * HOUR_MS, HOUR_MS]);
});

test('what was stamped while the clock stood is not taken for older than it is; after a crash, for no more than an hour', () => {
  const machine = new Machine();
  const stamps: number[] = [];
  let kept = machine.setBacks.known;
  machine.setBacks.onChange = () => {
    kept = machine.setBacks.known;
  };
  for (let i = 0; i < 72 * 12; i += 1) {
    machine.offMs -= 5 * MINUTE_MS;
    machine.run(5 * MINUTE_MS);
    if (i >= 12) stamps.push(machine.stamp());
  }
  const keptAtCrash = kept;
  machine.offMs = 0;
  machine.look();
  for (const stampMs of stamps) expect(machine.ageMs(stampMs)).toBeLessThanOrEqual(0);
  machine.run(DAY_MS);
  for (const stampMs of stamps) expect(machine.ageMs(stampMs)).toBeLessThanOrEqual(DAY_MS);
  expect(kept.closed).toHaveLength(1);
  machine.restart(keptAtCrash);
  for (const stampMs of stamps) expect(machine.ageMs(stampMs)).toBeLessThanOrEqual(DAY_MS + 2 * HOUR_MS);
});

test('clocks that are set all the time fill no memory', () => {
  const machine = new Machine();
  for (let i = 0; i < 200; i += 1) {
    machine.offMs = -((i % 100) + 1) * DAY_MS;
    machine.run(HOUR_MS);
    machine.offMs = 0;
    machine.run(HOUR_MS);
  }
  expect(machine.setBacks.known.closed).toHaveLength(32);
});

describe('a start', () => {
  test('with the clock set right, or later: as if there had been none', () => {
    for (const isSetRightFirst of [true, false]) {
      const machine = new Machine();
      machine.offMs = -10 * YEAR_MS;
      const stampMs = machine.stamp();
      machine.run(2 * DAY_MS);
      if (isSetRightFirst) machine.offMs = 0;
      machine.restart();
      machine.offMs = 0;
      expect(machine.ageMs(stampMs)).toBe(2 * DAY_MS + HOUR_MS);
    }
  });

  test('after a crash knows by what was kept when the clock was set back', () => {
    const machine = new Machine();
    machine.offMs = -10 * YEAR_MS;
    const first = machine.stamp();
    const kept = machine.setBacks.known;
    machine.run(2 * DAY_MS);
    const last = machine.stamp();
    machine.offMs = 0;
    machine.restart(kept);
    expect([first, last].map((stampMs) => machine.ageMs(stampMs))).toEqual([2 * DAY_MS + HOUR_MS, HOUR_MS]);
  });

  test('with the clock set only about right knows all the same that it had been far behind', () => {
    const machine = new Machine();
    machine.offMs = HOUR_MS;
    const knownMs = machine.stamp();
    machine.offMs = -10 * YEAR_MS;
    machine.restart({ open: null, closed: [] }, knownMs, MINUTE_MS);
    const first = machine.stamp();
    const kept = machine.setBacks.known;
    machine.run(HOUR_MS);
    const last = machine.stamp();
    // An hour less than the clock showed before it was set back.
    machine.offMs = 0;
    machine.restart(kept, knownMs, MINUTE_MS);
    for (const stampMs of [first, last]) expect(machine.ageMs(stampMs)).toBeLessThanOrEqual(2 * HOUR_MS);
    machine.run(DAY_MS);
    for (const stampMs of [first, last]) {
      expect(machine.ageMs(stampMs)).toBeGreaterThan(DAY_MS - 2 * HOUR_MS);
      expect(machine.ageMs(stampMs)).toBeLessThanOrEqual(DAY_MS + 2 * HOUR_MS);
    }
  });

  test('with a clock that has leapt ahead, and is not believed, takes no more for stamped in that time', () => {
    const machine = new Machine();
    machine.offMs = -30 * DAY_MS;
    machine.stamp();
    const { known } = machine.setBacks;
    // What the clock should show is believed.
    const nowMs = START_MS + HOUR_MS;
    machine.setBacks = new SetBacks(known, START_MS, nowMs, nowMs + 5 * YEAR_MS, 0);
    machine.setBacks.look(nowMs, nowMs + 5 * YEAR_MS, 0);
    expect(machine.setBacks.known.closed).toMatchObject([{ toMs: START_MS - 29 * DAY_MS }]);
  });

  test('with the clock set back even further knows both times', () => {
    const machine = new Machine();
    machine.offMs = -YEAR_MS;
    const first = machine.stamp();
    machine.run(HOUR_MS);
    machine.offMs = -10 * YEAR_MS;
    machine.restart();
    const second = machine.stamp();
    machine.run(HOUR_MS);
    machine.offMs = 0;
    machine.look();
    expect(machine.ageMs(first)).toBeLessThanOrEqual(3 * HOUR_MS);
    expect(machine.ageMs(second)).toBeLessThanOrEqual(2 * HOUR_MS);
  });

  test('with a clock that shows an earlier time than is known begins with it', () => {
    const machine = new Machine();
    const knownMs = machine.stamp();
    machine.offMs = -10 * YEAR_MS;
    machine.restart({ open: null, closed: [] }, knownMs);
    const stampMs = machine.stamp();
    machine.run(HOUR_MS);
    machine.offMs = 0;
    // An hour more than nobody can know of.
    expect(machine.ageMs(stampMs)).toBe(2 * HOUR_MS);
  });
});

test('a clock that had been ahead, and is set right, makes nothing younger than it is', () => {
  const machine = new Machine();
  machine.offMs = 10 * YEAR_MS;
  machine.setBacks = new SetBacks(null, null, machine.wallMs, machine.wallMs, 0);
  machine.look();
  machine.offMs = 0;
  const stampMs = machine.stamp();
  for (let i = 1; i <= 5; i += 1) {
    machine.run(DAY_MS);
    expect(machine.ageMs(stampMs)).toBe(i * DAY_MS + (i - 1) * HOUR_MS);
    machine.restart();
  }
});
