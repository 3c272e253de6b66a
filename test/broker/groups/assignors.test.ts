import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AssignorMember, TopicPartitions } from '../../../src/broker/groups/consumer/assignor.ts';
import { assignors, NO_PARTITIONS } from '../../../src/broker/groups/consumer/assignor.ts';

/*
 * The assignors of the new protocol. Whatever the members and topics: every partition of a subscribed topic has one owner, who
 * subscribes to it. Beyond that, uniform is even and moves as little as it can, and range splits each topic in order.
 */

interface Wish {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly topics: readonly string[];
}

const topicNames = ['a', 'b', 'c', 'd'];
const counts = fc.record(Object.fromEntries(topicNames.map((name) => [name, fc.integer({ min: 1, max: 12 })])));
const memberIds = fc.uniqueArray(fc.stringMatching(/^[a-z]{3}$/), { minLength: 1, maxLength: 8 });
const alike = fc
  .tuple(memberIds, fc.subarray(topicNames))
  .map(([ids, topics]) => ids.map((memberId): Wish => ({ memberId, instanceId: null, topics })));
const unlike = memberIds.chain((ids) =>
  fc.tuple(
    ...ids.map((memberId) =>
      fc.record({
        memberId: fc.constant(memberId),
        instanceId: fc.constantFrom(null, `i-${memberId}`),
        topics: fc.subarray(topicNames),
      }),
    ),
  ),
);
const groups = fc.oneof(alike, unlike);

type Assigned = ReadonlyMap<string, TopicPartitions>;

/** Members who subscribe alike share their array, as the broker makes it. */
function members(wishes: readonly Wish[], before: Assigned = new Map()): AssignorMember[] {
  const arrays = new Map<string, readonly string[]>();
  return wishes.map(({ memberId, instanceId, topics }) => {
    const key = topics.join();
    if (!arrays.has(key)) arrays.set(key, topics);
    return { memberId, instanceId, topics: arrays.get(key)!, target: before.get(memberId) ?? NO_PARTITIONS };
  });
}

function countsOf(wishes: readonly Wish[], all: Record<string, number>): Map<string, number> {
  return new Map(wishes.flatMap(({ topics }) => topics.map((topic) => [topic, all[topic]!] as const)));
}

const sizeOf = (partitions: TopicPartitions | undefined) =>
  [...(partitions?.values() ?? [])].reduce((sum, { length }) => sum + length, 0);

function ownersIn(assigned: Assigned): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [memberId, partitions] of assigned) {
    for (const [topic, some] of partitions) {
      expect(some).toEqual([...new Set(some)].sort((a, b) => a - b));
      for (const partition of some) {
        expect(owners.has(`${topic}-${partition}`), `${topic}-${partition} has two owners`).toBe(false);
        owners.set(`${topic}-${partition}`, memberId);
      }
    }
  }
  return owners;
}

function checkComplete(
  wishes: readonly Wish[],
  partitionCounts: ReadonlyMap<string, number>,
  assigned: Assigned,
): void {
  const wished = new Map(wishes.map(({ memberId, topics }) => [memberId, topics]));
  let total = 0;
  for (const count of partitionCounts.values()) total += count;
  expect(ownersIn(assigned).size).toBe(total);
  for (const [memberId, partitions] of assigned) {
    for (const [topic, some] of partitions) {
      expect(wished.get(memberId)).toContain(topic);
      expect(some.every((partition) => partition < partitionCounts.get(topic)!)).toBe(true);
    }
  }
}

describe.each(['uniform', 'range'] as const)('%s', (name) => {
  test('gives each partition to exactly one subscriber, from whatever target before', () => {
    fc.assert(
      fc.property(groups, counts, groups, counts, (wishes, all, wishesBefore, allBefore) => {
        const before = assignors[name](members(wishesBefore), countsOf(wishesBefore, allBefore));
        const partitionCounts = countsOf(wishes, all);
        checkComplete(wishes, partitionCounts, assignors[name](members(wishes, before), partitionCounts));
      }),
    );
  });

  test('gives what it gave when nothing changed, in whatever order the members come', () => {
    fc.assert(
      fc.property(groups, counts, (wishes, all) => {
        const partitionCounts = countsOf(wishes, all);
        const first = assignors[name](members(wishes), partitionCounts);
        const again = assignors[name](members([...wishes].reverse(), first), partitionCounts);
        expect(ownersIn(again)).toEqual(ownersIn(first));
      }),
    );
  });
});

describe('uniform', () => {
  test('members who subscribe alike differ by one partition at most', () => {
    fc.assert(
      fc.property(alike, counts, alike, counts, (wishes, all, wishesBefore, allBefore) => {
        const before = assignors.uniform(members(wishesBefore), countsOf(wishesBefore, allBefore));
        const assigned = assignors.uniform(members(wishes, before), countsOf(wishes, all));
        const sizes = wishes.map(({ memberId }) => sizeOf(assigned.get(memberId)));
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('moves nothing between members who stay: what one left is divided, and what one gets the others give', () => {
    const several = alike.filter(({ length }) => length > 1);
    fc.assert(
      fc.property(several, counts, (wishes, all) => {
        const partitionCounts = countsOf(wishes, all);
        const fewer = wishes.slice(1);
        const { memberId } = wishes[0]!;
        const before = assignors.uniform(members(wishes), partitionCounts);
        const left = ownersIn(assignors.uniform(members(fewer, before), partitionCounts));
        for (const [partition, owner] of ownersIn(before))
          if (owner !== memberId) expect(left.get(partition)).toBe(owner);
        const without = assignors.uniform(members(fewer), partitionCounts);
        const joined = ownersIn(assignors.uniform(members(wishes, without), partitionCounts));
        for (const [partition, owner] of ownersIn(without)) expect([owner, memberId]).toContain(joined.get(partition));
      }),
    );
  });

  test('no partition could go to a subscriber with two fewer, whatever each subscribes to', () => {
    fc.assert(
      fc.property(unlike, counts, (wishes, all) => {
        const assigned = assignors.uniform(members(wishes), countsOf(wishes, all));
        for (const [memberId, partitions] of assigned) {
          for (const topic of partitions.keys()) {
            for (const other of wishes.filter(({ topics }) => topics.includes(topic))) {
              expect(sizeOf(assigned.get(memberId)) - sizeOf(assigned.get(other.memberId))).toBeLessThanOrEqual(1);
            }
          }
        }
      }),
    );
  });
});

describe('range', () => {
  const given = (wishes: readonly Wish[], counts: Record<string, number>) =>
    Array.from(assignors.range(members(wishes), new Map(Object.entries(counts))), ([memberId, partitions]) => [
      memberId,
      Object.fromEntries(partitions),
    ]);

  test('splits each topic in the order of its subscribers, the first ones with one more', () => {
    const wishes = ['m3', 'm1', 'm2'].map((memberId): Wish => ({ memberId, instanceId: null, topics: ['a', 'b'] }));
    expect(given(wishes, { a: 7, b: 2 })).toEqual([
      ['m1', { a: [0, 1, 2], b: [0] }],
      ['m2', { a: [3, 4], b: [1] }],
      ['m3', { a: [5, 6] }],
    ]);
  });

  test('takes static members first, by the name of their instance', () => {
    const wishes = [
      { memberId: 'm1', instanceId: null, topics: ['a'] },
      { memberId: 'm2', instanceId: 'i2', topics: ['a'] },
      { memberId: 'm3', instanceId: 'i1', topics: ['a'] },
    ];
    expect(given(wishes, { a: 3 })).toEqual([
      ['m3', { a: [0] }],
      ['m2', { a: [1] }],
      ['m1', { a: [2] }],
    ]);
  });
});
