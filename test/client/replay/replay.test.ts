import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Millrace } from '../../../src/millrace.ts';
import { type RunningTarget, targets } from '../targets.ts';
import { replaySuite } from './replay-suite.ts';
import { resumeSuite } from './resume-suite.ts';

/** A JVM on a busy machine. */
const START_TIMEOUT_MS = 180_000;

for (const target of targets) {
  if (target.unavailable !== null) {
    test.skip(`replays with ${target.name}: ${target.unavailable}`, () => {});
    continue;
  }
  describe(`replays with ${target.name}`, () => {
    let running: RunningTarget;
    beforeAll(async () => {
      running = await target.start();
    }, START_TIMEOUT_MS);
    afterAll(() => running?.close());
    const client = (): Millrace => running.client;
    describe('in one go', () => replaySuite(client));
    describe('interrupted', () => resumeSuite(client));
  });
}
