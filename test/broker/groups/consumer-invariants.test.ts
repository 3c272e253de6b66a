import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ConsumerGroupEvent } from '../../../src/broker/groups/consumer/consumer-events.ts';
import { exchange, plain, TestGroup, TestMember } from './consumer-model.ts';

/*
 * A group of the new protocol under random members, lost answers, a disk that refuses, silence, topics that come and go, restarts.
 * Whatever happens: no partition is in the hands of two members, no epoch goes back, and the events make the state. When it
 * calms down, everyone reaches the target within a bounded number of rounds.
 */

type Action =
  | { readonly type: 'beat' | 'takeUp' | 'lose' | 'refuse' | 'leave' | 'pause' | 'crash'; readonly member: number }
  | { readonly type: 'subscribe'; readonly member: number; readonly topics: readonly string[] }
  | { readonly type: 'topic'; readonly name: string; readonly partitions: number }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'restart' | 'rewrite' };

const MEMBERS = 5;
const names = ['a', 'b', 'c'];
const member = fc.nat(MEMBERS - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ type: fc.constant('beat' as const), member }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('takeUp' as const), member }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('lose' as const, 'refuse' as const), member }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('leave' as const, 'pause' as const, 'crash' as const), member }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('subscribe' as const), member, topics: fc.subarray(names) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('topic' as const),
      name: fc.constantFrom(...names),
      partitions: fc.nat(6),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'restart' as const }, { type: 'rewrite' as const }) },
);

class World {
  readonly group = new TestGroup();
  readonly members: TestMember[];
  #born = MEMBERS;
  #rewriting: { live: Generator<ConsumerGroupEvent>; events: ConsumerGroupEvent[]; readFrom: number } | null = null;

  constructor() {
    for (const name of names) this.group.topics.make(name, 3);
    // The last two are static.
    this.members = Array.from(
      { length: MEMBERS },
      (_, i) => new TestMember(`m${i}`, names, i >= MEMBERS - 2 ? `i${i}` : null),
    );
  }

  act(action: Action): void {
    switch (action.type) {
      case 'beat':
      case 'lose':
      case 'refuse': {
        const fate = { beat: 'answered', lose: 'lost', refuse: 'refused' } as const;
        exchange(this.group, this.members[action.member]!, fate[action.type]);
        return;
      }
      case 'takeUp':
        this.members[action.member]!.takeUp();
        return;
      case 'leave':
      case 'pause':
        this.#leave(action.member, action.type === 'pause');
        return;
      case 'crash':
        // Its process is gone, and with it its hands on any partition; another begins with its name.
        this.#replace(action.member);
        return;
      case 'subscribe':
        this.members[action.member]!.topics = action.topics;
        return;
      case 'topic':
        if (action.partitions === 0) this.group.topics.delete(action.name);
        else {
          const known = this.group.topics.find(action.name)?.partitions ?? 0;
          this.group.topics.make(action.name, Math.max(known, action.partitions));
        }
        return;
      case 'pass':
        // Who is removed for its silence learns it before it reads on: its own clock tells it as well.
        for (const id of this.group.pass(action.ms)) this.members.find(({ memberId }) => memberId === id)?.fenced();
        return;
      case 'rewrite':
        this.#rewriting = { live: this.group.group.live(), events: [], readFrom: this.group.events.length };
        return;
      case 'restart':
        this.#rewriting = null;
        this.group.restart();
    }
  }

  #leave(index: number, returns: boolean): void {
    const { memberId, instanceId } = this.members[index]!;
    const known = this.group.group.members.get(memberId);
    if (known === undefined) return;
    const memberEpoch = returns && instanceId !== null ? -2 : -1;
    this.group.leave({ ...this.members[index]!.beat(), memberEpoch });
    this.#replace(index);
  }

  #replace(index: number): void {
    const { topics, instanceId } = this.members[index]!;
    this.members[index] = new TestMember(`m${this.#born++}`, topics, instanceId);
  }

  /** The ledger writes the live state anew in slices, between the events that come meanwhile: together they make the state. */
  #rewrite(slice: number): void {
    const { group } = this;
    if (this.#rewriting === null) return;
    const { live, events, readFrom } = this.#rewriting;
    events.push(...group.events.slice(readFrom));
    this.#rewriting.readFrom = group.events.length;
    for (let i = 0; i < slice; i++) {
      const next = live.next();
      if (next.done === true) {
        expect(plain(group.folded(events))).toEqual(plain(group.group));
        this.#rewriting = null;
        return;
      }
      events.push(next.value);
    }
  }

  check(): void {
    const { group } = this;
    this.#rewrite(1);
    const hands = new Map<string, string>();
    for (const { memberId, owned } of this.members) {
      for (const [topic, partitions] of owned) {
        for (const partition of partitions) {
          const key = `${topic}-${partition}`;
          expect(hands.get(key), `${key} is in the hands of two`).toBeUndefined();
          hands.set(key, memberId);
          // Nobody else can get it as long as this one has it.
          expect(group.group.owner(topic, partition)).toBe(memberId);
        }
      }
    }
    expect(plain(group.folded(group.events))).toEqual(plain(group.group));
    expect(plain(group.folded(group.group.live()))).toEqual(plain(group.group));
  }

  /** Everyone sends heartbeats in turn, and who went silent for good is removed. Returns after how many rounds all is well. */
  settle(): number {
    for (let round = 1; round <= 20; round++) {
      this.act({ type: 'pass', ms: 5000 });
      for (const member of this.members) {
        exchange(this.group, member);
        member.takeUp();
      }
      this.check();
      const { group } = this.group;
      if (group.stateName === 'Stable' && group.members.size === MEMBERS) return round;
    }
    throw new Error('it does not settle');
  }
}

test('two members never have one partition, epochs only rise, events make the state, and calm comes', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const world = new World();
      for (const action of actions) {
        world.act(action);
        world.check();
      }
      world.settle();
      const { group, topics } = world.group;
      for (const { memberId, owned } of world.members) {
        expect(new Map(owned)).toEqual(new Map(group.target(memberId)));
      }
      // Nothing that somebody subscribes to lies idle.
      for (const name of names) {
        const topic = topics.find(name);
        if (topic === null || !world.members.some((each) => each.topics.includes(name))) continue;
        for (let partition = 0; partition < topic.partitions; partition++) {
          expect(group.owner(topic.id, partition)).not.toBeNull();
        }
      }
    }),
    { numRuns: 300 },
  );
});
