import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Scheduler, type Task } from '../../../src/client/worker/scheduler.ts';

interface Numbered extends Task {
  readonly number: number;
}

const lanes = ['a', 'b', 'c', 'd', 'e'];
const events = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constant('add' as const),
        partition: fc.constantFrom('p0', 'p1'),
        lane: fc.constantFrom(...lanes),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ what: fc.constantFrom('finish' as const, 'aside' as const), which: fc.nat() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ what: fc.constantFrom('resume' as const, 'abandon' as const), which: fc.nat() }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('drop' as const), partition: fc.constantFrom('p0', 'p1') }) },
  ),
  { maxLength: 300, size: 'max' },
);

const laneOf = ({ partition, lane }: Task): string => `${partition}/${lane}`;

test('limits hold, each lane keeps its order, and all that is not dropped is worked', () => {
  fc.assert(
    fc.property(
      events,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 3 }),
      (script, concurrency, laneLimit) => {
        const scheduler = new Scheduler<Numbered>(concurrency);
        const waiting = new Map<string, Numbered[]>();
        let inWork: Numbered[] = [];
        let aside: Numbered[] = [];
        let resumed: Numbered[] = [];
        let numbers = 0;

        const pump = (): void => {
          for (let task = scheduler.next(); task !== null; task = scheduler.next()) {
            const lane = laneOf(task);
            if (resumed.includes(task)) resumed = resumed.filter((other) => other !== task);
            // In the order in which they were added; what had begun before goes on before a new one begins.
            else {
              expect(resumed.some((other) => laneOf(other) === lane)).toBe(false);
              expect(waiting.get(lane)?.shift()).toBe(task);
            }
            inWork.push(task);
            expect(inWork.length).toBeLessThanOrEqual(concurrency);
            const underWay = [...inWork, ...aside, ...resumed].filter((other) => laneOf(other) === lane);
            expect(underWay.length).toBeLessThanOrEqual(laneLimit);
          }
          // Nothing idles: either all places are taken, or every lane with waiting tasks is at its limit.
          if (inWork.length === concurrency) return;
          expect(resumed).toEqual([]);
          for (const [lane, tasks] of waiting) {
            const underWay = [...inWork, ...aside].filter((task) => laneOf(task) === lane);
            if (tasks.length > 0) expect(underWay).toHaveLength(laneLimit);
          }
        };
        const takeFrom = (tasks: Numbered[], which: number): Numbered | undefined =>
          tasks.splice(which % tasks.length, 1)[0];

        for (const event of script) {
          if (event.what === 'add') {
            const task = { partition: event.partition, lane: event.lane, laneLimit, number: numbers++ };
            waiting.set(laneOf(task), [...(waiting.get(laneOf(task)) ?? []), task]);
            scheduler.add(task);
          } else if (event.what === 'drop') {
            scheduler.drop(event.partition);
            for (const lane of lanes) waiting.delete(`${event.partition}/${lane}`);
            resumed = resumed.filter(({ partition }) => partition !== event.partition);
          } else if (event.what === 'finish' || event.what === 'aside') {
            const task = takeFrom(inWork, event.which);
            if (task === undefined) continue;
            if (event.what === 'finish') scheduler.finish(task);
            else {
              scheduler.putAside();
              aside.push(task);
            }
          } else {
            const task = takeFrom(aside, event.which);
            if (task === undefined) continue;
            if (event.what === 'abandon') scheduler.abandon(task);
            else {
              resumed.push(task);
              scheduler.resume(task);
            }
          }
          pump();
          expect(scheduler).toMatchObject({
            inWork: inWork.length,
            setAside: aside.length,
            waiting: [...waiting.values()].flat().length + resumed.length,
          });
        }
        // Everything ends.
        for (const task of aside) scheduler.abandon(task);
        aside = [];
        pump();
        while (inWork.length > 0) {
          scheduler.finish(inWork.shift()!);
          pump();
        }
        expect([...waiting.values()].flat()).toEqual([]);
        expect(scheduler).toMatchObject({ inWork: 0, setAside: 0, waiting: 0 });
        inWork = [];
      },
    ),
    { numRuns: 500 },
  );
});

test('a lane with much to do takes turns with the others', () => {
  const scheduler = new Scheduler<Task>(1);
  const add = (lane: string): void => scheduler.add({ partition: 'p', lane, laneLimit: 1 });
  for (let count = 0; count < 100; count++) add('busy');
  for (const lane of ['x', 'y', 'z']) add(lane);
  const order: string[] = [];
  for (let task = scheduler.next(); task !== null; task = scheduler.next()) {
    order.push(task.lane);
    scheduler.finish(task);
  }
  expect(order.slice(0, 5)).toEqual(['busy', 'x', 'y', 'z', 'busy']);
  expect(order).toHaveLength(103);
});

test('what was begun before comes soon, however much waits; and what waits is not starved by what fails at once again and again', () => {
  const scheduler = new Scheduler<Task>(1);
  for (let count = 0; count < 100; count++) scheduler.add({ partition: 'p', lane: `key ${count}`, laneLimit: 1 });
  const failing = scheduler.next()!;
  const order: string[] = [];
  scheduler.putAside();
  scheduler.resume(failing);
  for (let task = scheduler.next(); task !== null && order.length < 20; task = scheduler.next()) {
    order.push(task.lane);
    if (task !== failing) scheduler.finish(task);
    else {
      scheduler.putAside();
      scheduler.resume(task);
    }
  }
  expect(order.filter((lane) => lane === failing.lane)).toHaveLength(10);
  expect(new Set(order).size).toBe(11);
});
