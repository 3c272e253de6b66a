import { describe, expect, test } from 'vitest';
import { type Leap, SteadyTime } from '../../src/base/steady-time.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
const START_MS = 1_800_000_000_000;

/** Looks every five minutes for so long, with the wall clock that far off. */
function run(time: SteadyTime, fromMs: number, forMs: number, offMs: number): number {
  let now = Number.NaN;
  for (let at = 0; at <= forMs; at += 5 * MINUTE_MS) now = time.now(START_MS + fromMs + at + offMs, fromMs + at);
  return now;
}

test('is the wall clock’s as long as that goes as time does, also when it runs a little fast or slow', () => {
  const time = new SteadyTime(null, START_MS, 0);
  for (let at = 0; at < 30 * DAY_MS; at += 5 * MINUTE_MS) {
    const wallMs = START_MS + at * 1.001;
    expect(time.now(wallMs, at)).toBe(wallMs);
  }
});

describe('a clock that leaps ahead', () => {
  test.each([HOUR_MS, 10 * YEAR_MS])('by %d ms is not believed for a day, and is told of', (leapMs) => {
    const time = new SteadyTime(null, START_MS, 0);
    run(time, 0, HOUR_MS, 0);
    expect(run(time, HOUR_MS, 23 * HOUR_MS, leapMs)).toBe(START_MS + DAY_MS);
    expect(time.aheadMs).toBe(leapMs);
    expect(run(time, DAY_MS, 2 * HOUR_MS, leapMs)).toBe(START_MS + DAY_MS + 2 * HOUR_MS + leapMs);
    expect(time.aheadMs).toBe(0);
  });

  test('and back is as if nothing had been', () => {
    const time = new SteadyTime(null, START_MS, 0);
    run(time, 0, HOUR_MS, 10 * YEAR_MS);
    expect(run(time, HOUR_MS, HOUR_MS, 0)).toBe(START_MS + 2 * HOUR_MS);
    // And the day begins again with the next one.
    expect(run(time, 3 * HOUR_MS, 23 * HOUR_MS, 10 * YEAR_MS)).toBe(START_MS + 26 * HOUR_MS);
  });
});

test('a clock that leaps back is followed, and is not taken to leap when it comes back', () => {
  const time = new SteadyTime(null, START_MS, 0);
  expect(run(time, 0, HOUR_MS, -10 * YEAR_MS)).toBe(START_MS + HOUR_MS - 10 * YEAR_MS);
  expect(run(time, HOUR_MS, HOUR_MS, 0)).toBe(START_MS + 2 * HOUR_MS);
  expect(time.aheadMs).toBe(0);
});

test('a frozen clock stands, and is followed when it goes on', () => {
  const time = new SteadyTime(null, START_MS, 0);
  for (let at = 0; at < DAY_MS; at += 5 * MINUTE_MS) expect(time.now(START_MS, at)).toBe(START_MS);
  expect(time.now(START_MS + DAY_MS, DAY_MS)).toBe(START_MS + DAY_MS);
});

describe('a start', () => {
  test('within a day of what is known is believed, also before it', () => {
    for (const awayMs of [0, DAY_MS, -YEAR_MS]) {
      const time = new SteadyTime({ timeMs: START_MS, leap: null }, START_MS + awayMs, 0);
      expect(time.now(START_MS + awayMs + 5, 5)).toBe(START_MS + awayMs + 5);
    }
  });

  test('years after it goes on from what is known, for a day', () => {
    const time = new SteadyTime({ timeMs: START_MS, leap: null }, START_MS + 10 * YEAR_MS, 0);
    expect(run(time, 0, 23 * HOUR_MS, 10 * YEAR_MS)).toBe(START_MS + 23 * HOUR_MS);
    expect(run(time, 23 * HOUR_MS, 2 * HOUR_MS, 10 * YEAR_MS)).toBe(START_MS + 25 * HOUR_MS + 10 * YEAR_MS);
  });

  describe('while a clock that leapt is not believed', () => {
    /** An hour with the clock ten years ahead, and then a stop. */
    function leapt(): { timeMs: number; leap: Leap | null } {
      const time = new SteadyTime(null, START_MS, 0);
      run(time, 0, HOUR_MS, 0);
      return { timeMs: run(time, HOUR_MS, HOUR_MS, 10 * YEAR_MS), leap: time.leap };
    }

    test('does not make it believed, nor does it begin the day anew', () => {
      const known = leapt();
      expect(known.timeMs).toBe(START_MS + 2 * HOUR_MS);
      const time = new SteadyTime(known, START_MS + 3 * HOUR_MS + 10 * YEAR_MS, 0);
      expect(time.now(START_MS + 3 * HOUR_MS + 10 * YEAR_MS, 0)).toBe(START_MS + 3 * HOUR_MS);
      expect(time.now(START_MS + 24 * HOUR_MS + 10 * YEAR_MS, 21 * HOUR_MS)).toBe(START_MS + 24 * HOUR_MS);
      const believedMs = START_MS + 25 * HOUR_MS + 10 * YEAR_MS;
      expect(time.now(believedMs, 22 * HOUR_MS)).toBe(believedMs);
    });

    test('believes it when it has shown a day more in the course of several starts', () => {
      let known = leapt();
      for (const atMs of [12 * HOUR_MS, 20 * HOUR_MS]) {
        const time = new SteadyTime(known, START_MS + atMs + 10 * YEAR_MS, 0);
        known = { timeMs: time.now(START_MS + atMs + 10 * YEAR_MS, 0), leap: time.leap };
        expect(known.timeMs).toBe(START_MS + atMs);
      }
      const wallMs = START_MS + 26 * HOUR_MS + 10 * YEAR_MS;
      expect(new SteadyTime(known, wallMs, 0).now(wallMs, 0)).toBe(wallMs);
    });

    test('takes a further leap for another: its day begins then', () => {
      const wallMs = START_MS + 2 * HOUR_MS + 20 * YEAR_MS;
      const time = new SteadyTime(leapt(), wallMs, 0);
      expect(time.now(wallMs + 23 * HOUR_MS, 23 * HOUR_MS)).toBe(START_MS + 25 * HOUR_MS);
      expect(time.now(wallMs + 24 * HOUR_MS, 24 * HOUR_MS)).toBe(wallMs + 24 * HOUR_MS);
    });
  });
});
