import { describe } from 'vitest';
import { adminSuite } from './admin-suite.ts';
import { consumerSuite } from './consumer-suite.ts';
import { groupAdminSuite } from './group-admin-suite.ts';
import { producerSuite } from './producer-suite.ts';
import { readerSuite } from './reader-suite.ts';
import { withEachTarget } from './targets.ts';

// One suite for every broker: what an application relies on must not depend on which of them it talks to.
withEachTarget('the SDK', (client) => {
  describe('admin', () => adminSuite(client));
  describe('groups', () => groupAdminSuite(client));
  describe('producer', () => producerSuite(client));
  describe('reader', () => readerSuite(client));
  describe('consumer, classic', () => consumerSuite(client, 'classic'));
  describe('consumer', () => consumerSuite(client, 'consumer'));
});
