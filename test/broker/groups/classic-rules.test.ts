import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClassicModel, REBALANCE_MS } from './classic-model.ts';

/*
 * Any number of clients that join, leave, die, fall silent and commit at any time, over a disk that is full at times, a broker
 * that restarts and migrations that are refused: one generation has one division of the work, which is durable before it is told; nobody waits for
 * longer than a rebalance may take; no commit of who is out is taken; and when the churn ends, the group is at work after two
 * rebalances at most. The rules themselves are in classic-model.ts.
 */

const CLIENTS = 5;

const client = fc.nat(CLIENTS - 1);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant('join' as const), client, topics: fc.subarray(['x', 'y']) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('sync' as const), client }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('beat' as const), client }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('commit' as const), client }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), client }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), client }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('cutOff' as const), client }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('settle' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 500, 4000, 15_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('disk' as const), full: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('restart' as const, 'interrupt' as const) }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('round' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(model: ClassicModel, step: Step): void {
  switch (step.type) {
    case 'join':
      model.join(model.clients[step.client]!, step.topics);
      return;
    case 'sync':
    case 'beat':
    case 'commit':
    case 'leave':
    case 'crash':
    case 'cutOff':
      model[step.type](model.clients[step.client]!);
      return;
    case 'wait':
      model.wait(step.ms);
      return;
    case 'disk':
      model.diskFull = step.full;
      return;
    default:
      model[step.type]();
  }
}

test('whatever clients do, and whatever becomes of disk and broker', () => {
  let atWork = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const model = new ClassicModel(CLIENTS);
      for (const each of steps) take(model, each);
      if (model.workTold > 0) atWork += 1;
      // Some never come back. (Of two that share an instance each would take the other's place for ever.)
      model.clients.splice(3);
      model.diskFull = false;
      // What is left of before lapses: requests of the dead, ids that nobody joined with.
      for (let waited = 0; waited <= 2 * REBALANCE_MS; waited += 5000) {
        for (const each of model.clients) model.beat(each);
        model.wait(5000);
      }
      const { generation } = model.group;
      for (let rounds = 0; !model.round(); rounds += 1) expect(rounds, 'it settles').toBeLessThan(50);
      expect(model.group.generation - generation, 'rebalances until all are at work').toBeLessThanOrEqual(2);
      for (let i = 0; i < 5; i += 1) expect(model.round(), 'and stays so').toBe(true);
    }),
    { numRuns: 800 },
  );
  expect(atWork, 'runs in which clients came to work').toBeGreaterThan(300);
});
