import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeGeneration,
  decodeStickyData,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  partitionsOfAssignment,
  type TopicPartitions,
  topicsOfSubscription,
} from '../../src/client/assignment-bytes.ts';
import { type AssignorMember, gathered, type Plan, spread } from '../../src/client/assignors/assignor.ts';
import { assignors } from '../../src/client/assignors/index.ts';
import type { AssignorName } from '../../src/client/consumer-options.ts';
import { faultOf } from '../record/fault-of.ts';

/** A round of a group, as Kafka's own assignors and clients see it: tools/golden/Assignors.java. */
interface Golden {
  assignor: AssignorName;
  counts: Record<string, number>;
  members: {
    memberId: string;
    instanceId: string | null;
    topics: string[];
    had: TopicPartitions[];
    generation: number;
    bytes: string;
  }[];
  plan: Record<string, { partitions: TopicPartitions[]; bytes: string }>;
}

const fixture = path.join(import.meta.dirname, 'fixtures/assignors.jsonl.gz');
const goldens = gunzipSync(readFileSync(fixture))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Golden);
const goldensOf = (name: AssignorName): Golden[] => goldens.filter(({ assignor }) => assignor === name);
const names = Object.keys(assignors) as AssignorName[];

const membersOf = (golden: Golden): AssignorMember[] =>
  golden.members.map(({ memberId, instanceId, bytes }) => ({
    memberId,
    instanceId,
    subscribed: decodeSubscription(Buffer.from(bytes, 'hex')),
  }));
const countsOf = (golden: Golden): Map<string, number> => new Map(Object.entries(golden.counts));
const javaPlan = (golden: Golden): Plan =>
  new Map(Object.entries(golden.plan).map(([memberId, { partitions }]) => [memberId, spread(partitions)]));

const keysOf = (partitions: readonly { topic: string; partition: number }[]): string[] =>
  partitions.map(({ topic, partition }) => `${topic}:${partition}`);
/** Kafka's own measure: the sum of the differences of all pairs. */
const unevenness = (plan: Plan): number => {
  const sizes = [...plan.values()].map(({ length }) => length);
  return sizes.reduce(
    (sum, size, at) => sum + sizes.slice(at).reduce((rest, other) => rest + Math.abs(size - other), 0),
    0,
  );
};
const kept = (golden: Golden, plan: Plan): number =>
  golden.members.reduce((sum, { memberId, had }) => {
    const has = new Set(keysOf(plan.get(memberId) ?? []));
    return sum + keysOf(spread(had)).filter((key) => has.has(key)).length;
  }, 0);

describe("the bytes are those of Kafka's own clients", () => {
  test.each(names)('of subscriptions and assignments under %s', (name) => {
    for (const golden of goldensOf(name)) {
      for (const { topics, had, generation, bytes } of golden.members) {
        const userData = assignors[name].userData(had, generation);
        const owned = assignors[name].isCooperative ? had : [];
        // Java writes the topics of sticky's own data in the order of a hash table.
        if (name === 'sticky' && had.length > 1) {
          const said = decodeSubscription(Buffer.from(bytes, 'hex'));
          const theirs = decodeStickyData(said.userData!);
          expect({ ...theirs, owned: gathered(spread(theirs.owned)) }).toEqual({ owned: had, generation });
        } else {
          expect(encodeSubscription({ topics, userData, owned, generation }).toString('hex')).toBe(bytes);
        }
        expect(topicsOfSubscription(Buffer.from(bytes, 'hex'))).toEqual(topics);
      }
      for (const { partitions, bytes } of Object.values(golden.plan)) {
        expect(encodeAssignment(partitions).toString('hex')).toBe(bytes);
        expect(partitionsOfAssignment(Buffer.from(bytes, 'hex'))).toEqual(partitions);
      }
    }
  });

  test('older versions are read too, and garbage is refused', () => {
    const newest = encodeSubscription({
      topics: ['t'],
      userData: null,
      owned: [{ topic: 't', partitions: [3] }],
      generation: 7,
    });
    const owned = [{ topic: 't', partitions: [3] }];
    const versions = [
      [0, 13, { owned: [], generation: -1 }],
      [1, 28, { owned, generation: -1 }],
      [2, 32, { owned, generation: 7 }],
    ] as const;
    for (const [version, size, rest] of versions) {
      const older = Buffer.from(newest.subarray(0, size));
      older.writeInt16BE(version);
      expect(decodeSubscription(older)).toEqual({ topics: ['t'], userData: null, ...rest });
    }
    for (let size = 0; size < 32; size++) {
      expect(faultOf(() => decodeSubscription(newest.subarray(0, size)))).toBe('malformedResponse');
    }
    for (const decode of [decodeGeneration, decodeStickyData]) {
      expect(faultOf(() => decode(Buffer.from([0x7f, 0xff])))).toBe('malformedResponse');
    }
  });
});

describe("plans are Kafka's own", () => {
  test.each(['range', 'roundrobin'] as const)('to the partition, under %s', (name) => {
    for (const golden of goldensOf(name)) {
      expect(assignors[name].assign(membersOf(golden), countsOf(golden))).toEqual(javaPlan(golden));
    }
  });

  // Which of several equally good plans Java takes depends on the order of a hash table.
  test('under sticky, as even and with no more moves', () => {
    for (const golden of goldensOf('sticky')) {
      const plan = assignors.sticky.assign(membersOf(golden), countsOf(golden));
      expect(unevenness(plan)).toBeLessThanOrEqual(unevenness(javaPlan(golden)));
      if (unevenness(plan) === unevenness(javaPlan(golden))) {
        expect(kept(golden, plan)).toBeGreaterThanOrEqual(kept(golden, javaPlan(golden)));
      }
    }
  });

  test('under cooperative-sticky, with no more given away at once', () => {
    for (const golden of goldensOf('cooperative-sticky')) {
      const plan = assignors['cooperative-sticky'].assign(membersOf(golden), countsOf(golden));
      expect(kept(golden, plan)).toBeGreaterThanOrEqual(kept(golden, javaPlan(golden)));
    }
  });

  test.each(['sticky', 'cooperative-sticky'] as const)('to the partition where all is new, under %s', (name) => {
    const isNew = ({ members }: Golden): boolean =>
      members.every(({ generation, topics }) => generation < 0 && topics.length === members[0]!.topics.length);
    const fresh = goldensOf(name).filter(isNew);
    expect(fresh.length).toBeGreaterThan(5);
    for (const golden of fresh) {
      expect(assignors[name].assign(membersOf(golden), countsOf(golden))).toEqual(javaPlan(golden));
    }
  });
});

interface Group {
  counts: ReadonlyMap<string, number>;
  members: {
    memberId: string;
    instanceId: string | null;
    topics: string[];
    owned: readonly TopicPartitions[];
    generation: number;
  }[];
}

const arbitraryGroup: fc.Arbitrary<Group> = fc
  .record({
    counts: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 4 }),
    members: fc.array(
      fc.record({ topics: fc.subarray(['t0', 't1', 't2', 't3'], { minLength: 1 }), isStatic: fc.boolean() }),
      { minLength: 1, maxLength: 6 },
    ),
    claims: fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 3 }), fc.nat({ max: 9 })), { maxLength: 20 }),
    generations: fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 6, maxLength: 6 }),
  })
  .map(({ counts, members, claims, generations }) => ({
    counts: new Map(counts.map((count, at) => [`t${at}`, count])),
    members: members.map(({ topics, isStatic }, at) => {
      const claimed = claims.filter(([member]) => member === at);
      const owned = gathered(claimed.map(([, topic, partition]) => ({ topic: `t${topic}`, partition })));
      const unique = owned.map(({ topic, partitions }) => ({ topic, partitions: [...new Set(partitions)] }));
      return {
        memberId: `m${at}`,
        instanceId: isStatic ? `i${at}` : null,
        topics,
        owned: unique,
        generation: generations[at]!,
      };
    }),
  }));

describe.each(names)('whatever members say they own, %s', (name) => {
  const assignor = assignors[name];
  const planOf = ({ counts, members }: Group): Plan =>
    assignor.assign(
      members.map(({ memberId, instanceId, topics, owned, generation }) => ({
        ...{ memberId, instanceId },
        subscribed: { topics, userData: assignor.userData(owned, generation), owned, generation },
      })),
      counts,
    );

  test('gives each partition to one member at most, who subscribes it; to exactly one unless it changes hands', () => {
    fc.assert(
      fc.property(arbitraryGroup, (group) => {
        const plan = planOf(group);
        const given = [...plan].flatMap(([memberId, partitions]) => partitions.map((one) => ({ memberId, ...one })));
        expect(new Set(keysOf(given)).size).toBe(given.length);
        for (const { memberId, topic, partition } of given) {
          expect(group.members.find((member) => member.memberId === memberId)!.topics).toContain(topic);
          expect(partition).toBeLessThan(group.counts.get(topic)!);
        }
        const wanted = [...group.counts].flatMap(([topic, count]) =>
          group.members.some(({ topics }) => topics.includes(topic))
            ? Array.from({ length: count }, (_, partition) => ({ topic, partition }))
            : [],
        );
        const missing = keysOf(wanted).filter((key) => !keysOf(given).includes(key));
        if (!assignor.isCooperative) expect(missing).toEqual([]);
        for (const key of missing) {
          expect(group.members.some(({ owned }) => keysOf(spread(owned)).includes(key))).toBe(true);
        }
      }),
    );
  });

  test('comes to rest: what it gave is given again', () => {
    fc.assert(
      fc.property(arbitraryGroup, (group) => {
        let plan = planOf(group);
        // What changes hands takes a second round, in which it is free.
        for (let generation = 10; generation < 12; generation++) {
          const members = group.members.map((member) => ({
            ...member,
            owned: gathered(plan.get(member.memberId) ?? []),
            generation,
          }));
          const before = plan;
          plan = planOf({ ...group, members });
          if (generation === 11) expect(plan).toEqual(before);
        }
      }),
    );
  });

  test('does not depend on the order in which members are told', () => {
    fc.assert(
      fc.property(arbitraryGroup, (group) => {
        const turned = { ...group, members: [...group.members].reverse() };
        const ordered = (plan: Plan): unknown => [...plan].sort(([a], [b]) => (a < b ? -1 : 1));
        expect(ordered(planOf(turned))).toEqual(ordered(planOf(group)));
      }),
    );
  });
});
