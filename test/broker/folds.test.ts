import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ClusterEvent, ClusterState } from '../../src/broker/cluster-state.ts';
import type { GroupEvent } from '../../src/broker/groups/group-events.ts';
import { GroupState } from '../../src/broker/groups/group-state.ts';

/* A ledger that has grown is written again from the state that its events made. What is not told again is lost then. */

const id = fc.constantFrom('A', 'B', 'C', 'D');
const name = id.map((letter) => `topic-${letter}`);
const partitionIndex = fc.nat(3);
const settings = fc.dictionary(fc.constantFrom('retention.ms', 'flush.ms'), fc.constantFrom('1', '2'), { maxKeys: 2 });

const clockFacts = {
  leap: fc.option(fc.record({ firstWallMs: fc.nat(), lastWallMs: fc.nat() })),
  setBacks: fc.record({
    open: fc.option(fc.record({ fromMs: fc.nat(), behindMs: fc.nat() })),
    closed: fc.array(fc.record({ fromMs: fc.nat(), toMs: fc.nat(), behindMs: fc.nat() }), { maxLength: 2 }),
  }),
};
const mark = { made: fc.constantFrom('all' as const, 'groups' as const), ...clockFacts };

const clusterEvent: fc.Arbitrary<ClusterEvent> = fc.oneof(
  fc.record(
    { type: fc.constant('started' as const), epoch: fc.nat(100), ...mark },
    { requiredKeys: ['type', 'epoch'] },
  ),
  fc.record({ type: fc.constant('stopped' as const), ...mark }, { requiredKeys: ['type'] }),
  id.chain((letter) =>
    fc.record({
      type: fc.constant('topic' as const),
      id: fc.constant(letter),
      name: fc.constant(`topic-${letter}`),
      partitions: fc.integer({ min: 1, max: 9 }),
      replicationFactor: fc.constant(1),
      settings,
    }),
  ),
  fc.record({ type: fc.constant('topicDeleted' as const), id }),
  fc.record({
    type: fc.constant('brokerSetting' as const),
    name: fc.constantFrom('num.partitions', 'log.retention.ms'),
    value: fc.option(fc.constantFrom('1', '2')),
  }),
  fc.record({ type: fc.constant('groupSettings' as const), group: id, settings }),
  fc.record({ type: fc.constant('producerIds' as const), next: fc.nat(10_000) }),
);

const groupEvent: fc.Arbitrary<GroupEvent> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('offsets' as const),
      group: id,
      topic: name,
      topicId: id,
      partitions: fc.array(
        fc.tuple(partitionIndex, fc.nat(100), fc.nat(5), fc.constantFrom('', 'm'), fc.nat(50), fc.option(fc.nat(90))),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
  fc.record({
    type: fc.constant('offsetsRemoved' as const),
    group: id,
    topic: name,
    topicId: id,
    partitions: fc.option(fc.array(partitionIndex)),
    committedUntilMs: fc.option(fc.nat(50)),
  }),
  fc.record({ type: fc.constant('allOffsetsRemoved' as const), group: id }),
  fc.record({
    type: fc.constant('classicGroup' as const),
    group: id,
    generation: fc.nat(9),
    protocolType: fc.constant('consumer'),
    protocolName: fc.option(fc.constant('range')),
    leader: fc.option(fc.constant('m')),
    sinceMs: fc.nat(50),
    members: fc.constant([]),
  }),
  fc.record({ type: fc.constant('groupRemoved' as const), group: id }),
  fc.record({ type: fc.constant('uptime' as const), ms: fc.nat(100) }),
);

function factsOfCluster(state: ClusterState): object {
  const { topics, partitions, brokerSettings, groupSettings, deletedTopics, epoch, stoppedCleanly } = state;
  const { producerIdNext, partitionsMade, groupsMade, leap, setBacks } = state;
  const colliding = ['A', 'B', 'C', 'D'].map((letter) => state.collidingWith(`topic-${letter}`)?.id);
  const sets = { topics, brokerSettings, groupSettings, deletedTopics };
  const made = { partitionsMade, groupsMade };
  return { ...sets, ...made, partitions, epoch, stoppedCleanly, leap, setBacks, producerIdNext, colliding };
}

function factsOfGroups({ offsets, classicGroups, uptimeMs }: GroupState): object {
  const byGroup = new Map(Array.from(offsets.groupIds(), (group) => [group, offsets.ofGroup(group)]));
  return { byGroup, classicGroups, uptimeMs };
}

test('what the cluster’s state tells again makes the same state', () => {
  fc.assert(
    fc.property(fc.array(clusterEvent, { maxLength: 30 }), (events) => {
      const [state, again] = [new ClusterState(new Map()), new ClusterState(new Map())];
      for (const event of events) {
        // An id is never given again.
        if (event.type !== 'topic' || !state.deletedTopics.has(event.id)) state.apply(event);
      }
      for (const event of state.live()) again.apply(event);
      expect(factsOfCluster(again)).toEqual(factsOfCluster(state));
    }),
  );
});

test('what the groups’ state tells again makes the same state', () => {
  fc.assert(
    fc.property(fc.array(groupEvent, { maxLength: 30 }), (events) => {
      const [state, again] = [new GroupState(), new GroupState()];
      for (const event of events) state.apply(event);
      for (const event of state.live()) again.apply(event);
      expect(factsOfGroups(again)).toEqual(factsOfGroups(state));
    }),
  );
});

test('a removal that was decided before a commit leaves the commit, however late it comes', () => {
  fc.assert(
    fc.property(fc.nat(50), fc.nat(50), (committedAtMs, committedUntilMs) => {
      const { offsets } = new GroupState();
      const where = { group: 'A', topic: 'topic-A', topicId: 'A' };
      offsets.commit({ type: 'offsets', ...where, partitions: [[0, 7, -1, '', committedAtMs, null]] });
      offsets.remove({ type: 'offsetsRemoved', ...where, partitions: [0], committedUntilMs });
      expect(offsets.has('A')).toBe(committedAtMs > committedUntilMs);
    }),
  );
});
