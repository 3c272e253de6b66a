import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Millrace } from '../../src/millrace.ts';
import { adminSuite } from './admin-suite.ts';
import { consumerSuite } from './consumer-suite.ts';
import { groupAdminSuite } from './group-admin-suite.ts';
import { producerSuite } from './producer-suite.ts';
import { readerSuite } from './reader-suite.ts';
import { type RunningTarget, targets } from './targets.ts';

/** A JVM on a busy machine. */
const START_TIMEOUT_MS = 180_000;

// One suite for every broker: what an application relies on must not depend on which of them it talks to.
for (const target of targets) {
  if (target.unavailable !== null) {
    test.skip(`the SDK with ${target.name}: ${target.unavailable}`, () => {});
    continue;
  }
  describe(`the SDK with ${target.name}`, () => {
    let running: RunningTarget;
    beforeAll(async () => {
      running = await target.start();
    }, START_TIMEOUT_MS);
    afterAll(() => running?.close());
    const client = (): Millrace => running.client;
    describe('admin', () => adminSuite(client));
    describe('groups', () => groupAdminSuite(client));
    describe('producer', () => producerSuite(client));
    describe('reader', () => readerSuite(client));
    describe('consumer, classic', () => consumerSuite(client, 'classic'));
    describe('consumer', () => consumerSuite(client, 'consumer'));
  });
}
