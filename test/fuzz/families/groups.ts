import { subscribedTopics } from '../../../src/broker/groups/classic-subscription.ts';
import * as broker from '../../../src/broker/groups/consumer/embedded-protocol.ts';
import * as client from '../../../src/client/assignment-bytes.ts';
import { decodeFinished, encodeFinished } from '../../../src/client/worker/finished-beyond.ts';
import type { Family, Seed } from '../family.ts';

const owned = [
  { topic: 'orders', partitions: [0, 1, 5] },
  { topic: 'payments', partitions: [] },
];

const subscription = client.encodeSubscription({
  topics: ['orders', 'payments', 'ü'],
  userData: client.encodeStickyData(owned, 3),
  owned,
  generation: 7,
});
const assignment = client.encodeAssignment(owned);
const finished = Buffer.from(
  encodeFinished(
    100,
    [
      { start: 103, endNext: 120 },
      { start: 130, endNext: 5000 },
    ],
    4000,
  ),
);

const readers: [name: string, bytes: Buffer, read: Seed['read']][] = [
  ['subscription, by the broker', subscription, broker.decodeSubscription],
  ['assignment, by the broker', assignment, broker.decodeAssignment],
  ['topics of a subscription, by the broker', subscription, subscribedTopics],
  ['subscription, by a leader', subscription, client.decodeSubscription],
  ['topics of a subscription, by a tool', subscription, client.topicsOfSubscription],
  ['assignment, by a member', assignment, client.partitionsOfAssignment],
  ['sticky data', client.encodeStickyData(owned, 3), client.decodeStickyData],
  ['generation', client.encodeGeneration(3), client.decodeGeneration],
  ['what a worker has finished', finished, (bytes) => decodeFinished(100, bytes.toString('latin1'))],
];

export const groupBytes: Family = {
  name: 'groups',
  allocatedBytesMax: 1024,
  seeds: readers.map(([name, bytes, read]) => ({ name, bytes, read })),
};
