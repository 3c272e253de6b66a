import { afterAll, beforeAll, describe, test } from 'vitest';
import { type RunningTarget, targets } from '../targets.ts';
import { workerSuite } from './worker-suite.ts';

/** A JVM on a busy machine. */
const START_TIMEOUT_MS = 180_000;

for (const target of targets) {
  if (target.unavailable !== null) {
    test.skip(`the worker with ${target.name}: ${target.unavailable}`, () => {});
    continue;
  }
  describe(`the worker with ${target.name}`, () => {
    let running: RunningTarget;
    beforeAll(async () => {
      running = await target.start();
    }, START_TIMEOUT_MS);
    afterAll(() => running?.close());
    workerSuite(() => running.client);
  });
}
