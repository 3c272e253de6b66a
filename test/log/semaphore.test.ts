import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Semaphore } from '../../src/base/semaphore.ts';

test('no more run at once than permitted, all run, in the order in which they came, also when some fail', async () => {
  const anyOperation = fc.record({ pauses: fc.nat(4), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(anyOperation), async (permits, operations) => {
      const semaphore = new Semaphore(permits);
      const started: number[] = [];
      let running = 0;
      const outcomes = await Promise.allSettled(
        operations.map(({ pauses, fails }, i) =>
          semaphore.run(async () => {
            started.push(i);
            running += 1;
            expect(running).toBeLessThanOrEqual(permits);
            for (let pause = 0; pause < pauses; pause += 1) await null;
            running -= 1;
            if (fails) throw new Error(String(i));
            return i;
          }),
        ),
      );
      expect(started).toEqual(operations.map((_, i) => i));
      expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(operations.map(({ fails }) => fails));
      // All permits are back: as many as there are start at once, one more does not.
      let free = 0;
      const release = Promise.withResolvers<void>();
      const held = Array.from({ length: permits + 1 }, () =>
        semaphore.run(async () => {
          free += 1;
          await release.promise;
        }),
      );
      await null;
      expect(free).toBe(permits);
      release.resolve();
      await Promise.all(held);
    }),
  );
});
