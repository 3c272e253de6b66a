import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { Pace } from '../../src/base/pace.ts';

const SLICE_BYTES = 256 * 1024;
const ASKED_AFTER_MS = 500;

/** Time goes by when somebody waits, and then at once. */
class WaitedClock implements Clock {
  nowMs = 5000;

  wallMs(): number {
    return 0;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    setImmediate(() => {
      this.nowMs += delayMs;
      action();
    });
    return () => {};
  }
}

test('work comes no faster than it may, waits for no more than that, and is asked often whether to go on', async () => {
  const anyWork = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 1 << 20 }), tookMs: fc.constantFrom(0, 0, 0, 1, 900) }),
    { minLength: 1, maxLength: 40 },
  );
  let waits = 0;
  await fc.assert(
    fc.asyncProperty(anyWork, fc.integer({ min: 20_000, max: 1 << 30 }), async (work, bytesPerSecondMax) => {
      const clock = new WaitedClock();
      const startMs = clock.nowMs;
      let askedMs = startMs;
      let longestMs = 0;
      const ask = (): void => {
        longestMs = Math.max(longestMs, clock.nowMs - askedMs);
        askedMs = clock.nowMs;
      };
      const pace = new Pace(clock, bytesPerSecondMax, ask);
      let total = 0;
      for (const { bytes, tookMs } of work) {
        clock.nowMs += tookMs;
        askedMs = clock.nowMs;
        const beforeMs = clock.nowMs;
        await pace.io(bytes);
        total += bytes;
        const dueMs = (total / bytesPerSecondMax) * 1000;
        // Less than a slice may be ahead of its time: it was not worth a pause.
        const slackMs = (SLICE_BYTES / bytesPerSecondMax) * 1000;
        expect(clock.nowMs - startMs).toBeGreaterThan(dueMs - slackMs - 0.001);
        if (clock.nowMs === beforeMs) continue;
        waits += 1;
        expect(clock.nowMs - startMs).toBeLessThan(dueMs + 0.001);
      }
      expect(longestMs).toBeLessThan(ASKED_AFTER_MS + 0.001);
    }),
    { numRuns: 50 },
  );
  expect(waits).toBeGreaterThan(50);
});

test('without a limit work only lets others have a turn, now and then, be it bytes or items', async () => {
  const clock = new WaitedClock();
  let asked = 0;
  const pace = new Pace(clock, Number.MAX_VALUE, () => {
    asked += 1;
  });
  for (let i = 0; i < 64; i += 1) await pace.io(SLICE_BYTES / 16);
  expect(asked).toBe(4);
  for (let i = 0; i < 10; i += 1) await pace.items(1000);
  expect(asked).toBeGreaterThan(8);
  expect(clock.nowMs).toBe(5000);
});

test('what is thrown when it is asked whether to go on ends the work', async () => {
  const pace = new Pace(new WaitedClock(), 1, () => {
    throw new Error('enough');
  });
  expect(pace.io(SLICE_BYTES - 1)).toBeNull();
  await expect(pace.io(1)).rejects.toThrow('enough');
});
