import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { History, Operation } from './history.ts';
import { okOfKind } from './partition-story.ts';
import { storyOf, type Violation } from './violation.ts';

const RUNS = 300;

/** A history with one wrong thing in it, one of those that `pick` chooses from; null where it has no place for that. */
export type Plant = (history: History, pick: number) => History | null;

/** What does as it promises is never accused by a check; one wrong thing in what it tells is found. */
export function modelSuite<Step>(
  what: string,
  {
    steps,
    historyOf,
    check,
    planted,
  }: {
    readonly steps: fc.Arbitrary<Step[]>;
    readonly historyOf: (steps: Step[]) => History;
    readonly check: (history: History) => Violation[];
    readonly planted: Readonly<Record<string, Plant>>;
  },
): void {
  test(`${what} that does what it promises is accused of nothing`, () => {
    let crashes = 0;
    fc.assert(
      fc.property(steps, (some) => {
        const history = historyOf(some);
        crashes += okOfKind(history.operations, 'crash').length;
        expect(check(history).flatMap(storyOf)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
    expect(crashes).toBeGreaterThan(RUNS / 10);
  });

  describe('it is found when', () => {
    test.each(Object.entries(planted))('%s', (_name, plant) => {
      let count = 0;
      fc.assert(
        fc.property(steps, fc.nat(), (some, pick) => {
          const wrong = plant(historyOf(some), pick);
          if (wrong === null) return;
          count += 1;
          expect(check(wrong)).not.toEqual([]);
        }),
        { numRuns: RUNS },
      );
      expect(count).toBeGreaterThan(RUNS / 100);
    });
  });
}

/** The history with one of its operations changed. */
export function put(history: History, changed: Operation): History {
  return { ...history, operations: history.operations.map((op) => (op.index === changed.index ? changed : op)) };
}
