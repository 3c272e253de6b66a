import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvariantError } from '../../src/base/invariant.ts';
import { Marks } from '../../src/log/marks.ts';

test('a log cannot start after its end', () => {
  expect(() => new Marks(5, 4)).toThrow(InvariantError);
});

test('whatever is asked, the marks keep their order, only the accepted one goes back, or the asker is told of its bug', () => {
  const moves = ['accept', 'written', 'durable', 'show', 'trim', 'rollBack'] as const;
  const anyMove = fc.record({ move: fc.constantFrom(...moves), to: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 60 }), (asked) => {
      const marks = new Marks(3, 5);
      for (const { move, to } of asked) {
        const { logStart, highWatermark, durableNext, writtenNext, acceptedNext } = marks;
        try {
          if (move === 'rollBack') marks.rollBack();
          else if (move === 'show') expect(marks.show(to)).toBe(to > highWatermark);
          else marks[move](to);
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantError);
          expect(marks.facts()).toEqual({ logStart, acceptedNext, writtenNext, durableNext, highWatermark });
        }
        expect(marks.logStart).toBeLessThanOrEqual(marks.highWatermark);
        expect(marks.highWatermark).toBeLessThanOrEqual(marks.writtenNext);
        expect(marks.durableNext).toBeLessThanOrEqual(marks.writtenNext);
        expect(marks.writtenNext).toBeLessThanOrEqual(marks.acceptedNext);
        expect(marks.logStart).toBeGreaterThanOrEqual(logStart);
        expect(marks.highWatermark).toBeGreaterThanOrEqual(highWatermark);
        expect(marks.durableNext).toBeGreaterThanOrEqual(durableNext);
        expect(marks.writtenNext).toBeGreaterThanOrEqual(writtenNext);
        if (move !== 'rollBack') expect(marks.acceptedNext).toBeGreaterThanOrEqual(acceptedNext);
      }
    }),
  );
});
