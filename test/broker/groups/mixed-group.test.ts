import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../../src/base/faults.ts';
import type { TopicPartitions } from '../../../src/broker/groups/consumer/assignor.ts';
import { NO_PARTITIONS } from '../../../src/broker/groups/consumer/assignor.ts';
import { decodeAssignment } from '../../../src/broker/groups/consumer/embedded-protocol.ts';
import { owningMetadata } from './consumer-metadata.ts';
import { exchange, plain, TestGroup, TestMember } from './consumer-model.ts';

/*
 * A group of the new protocol with members of both protocols, under random joins, leaves, silence and restarts. As among
 * members of one protocol, no partition is in the hands of two; and when it calms down, everyone has its target.
 */

const TOPIC = 't';
const PARTITIONS = 7;

const joinRequest = (newMemberId: string, owned: readonly number[]) => ({
  ...{ memberId: '', newMemberId, instanceId: null, clientId: 'classic', clientHost: '/host' },
  ...{ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, protocolType: 'consumer' },
  protocols: [{ name: 'range', metadata: owningMetadata(TOPIC, owned) }],
  ...{ mustKnowId: false, maySkipAssignment: true },
});

/** A consumer of the classic protocol: cooperative ones keep what they have while they join, eager ones drop it all. */
class ClassicClient {
  readonly isEager: boolean;
  readonly group: TestGroup;
  memberId = '';
  owned: TopicPartitions = NO_PARTITIONS;
  #generation = -1;
  #next: 'join' | 'sync' | 'beat' = 'join';
  static #born = 0;

  constructor(group: TestGroup, isEager: boolean) {
    this.group = group;
    this.isEager = isEager;
  }

  get isSettled(): boolean {
    return this.#next === 'beat';
  }

  /** Does what is next for it. */
  step(): void {
    try {
      if (this.#next === 'join') this.#join();
      else if (this.#next === 'sync') this.#sync();
      else this.group.live.classic.heartbeat(this.memberId, null, this.#generation, this.group.nowMs);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      expect(['rebalanceInProgress', 'unknownMember', 'illegalGeneration']).toContain(error.fault);
      if (error.fault !== 'rebalanceInProgress') this.gone();
      this.#next = 'join';
    }
  }

  leave(): void {
    const leavers = [{ memberId: this.memberId, instanceId: null }];
    this.group.perform(this.group.live.classic.leave(leavers, this.group.nowMs));
    this.gone();
  }

  /** It is no member any more, and knows it. */
  gone(): void {
    this.owned = NO_PARTITIONS;
    this.memberId = '';
    this.#next = 'join';
  }

  #join(): void {
    if (this.isEager) this.owned = NO_PARTITIONS;
    const owned = [...this.owned.values()].flat();
    const { memberId, generation } = this.group.perform(
      this.group.live.classic.join(
        { ...joinRequest(`classic-${ClassicClient.#born++}`, owned), memberId: this.memberId },
        this.group.nowMs,
      ),
    );
    this.memberId = memberId;
    this.#generation = generation;
    this.#next = 'sync';
  }

  #sync(): void {
    const { memberId } = this;
    const said = { memberId, instanceId: null, generation: this.#generation };
    const rest = { protocolType: 'consumer', protocolName: 'range', assignments: [] };
    const { assignment } = this.group.live.classic.sync({ ...said, ...rest }, this.group.nowMs);
    const { id } = this.group.topics.find(TOPIC)!;
    const given = decodeAssignment(assignment)!.flatMap(([, partitions]) => partitions);
    const drops = [...this.owned.values()].flat().some((partition) => !given.includes(partition));
    this.owned = given.length === 0 ? NO_PARTITIONS : new Map([[id, given]]);
    // A cooperative member joins again at once when it has dropped something.
    this.#next = drops ? 'join' : 'beat';
  }
}

type Action =
  | { readonly type: 'step' | 'leave'; readonly client: number }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'restart' };

const CLIENTS = 5;
const client = fc.nat(CLIENTS - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ type: fc.constant('step' as const), client }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), client }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 15_000 }) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
);

class MixedWorld {
  readonly group = new TestGroup();
  readonly clients: (TestMember | ClassicClient)[];

  constructor() {
    this.group.topics.make(TOPIC, PARTITIONS);
    const classic = [false, true, false].map((isEager) => new ClassicClient(this.group, isEager));
    this.clients = [new TestMember('m0', [TOPIC], null), new TestMember('m1', [TOPIC], null), ...classic];
    // A classic member alone would find a classic group.
    exchange(this.group, this.clients[0] as TestMember);
  }

  act(action: Action): void {
    if (action.type === 'restart') this.group.restart();
    else if (action.type === 'pass') this.#pass(action.ms);
    else {
      const client = this.clients[action.client]!;
      if (action.type === 'step') this.#step(client);
      else if (client instanceof ClassicClient) client.leave();
      else if (this.group.group.members.has(client.memberId)) {
        this.group.leave({ ...client.beat(), memberEpoch: -1 });
        client.fenced();
      }
    }
  }

  #step(client: TestMember | ClassicClient): void {
    if (client instanceof ClassicClient) client.step();
    else {
      exchange(this.group, client);
      client.takeUp();
    }
  }

  /** Who is removed for its silence stops to read by its own clock. */
  #pass(ms: number): void {
    for (const id of this.group.pass(ms)) {
      const client = this.clients.find(({ memberId }) => memberId === id);
      if (client instanceof ClassicClient) client.gone();
      else client?.fenced();
    }
  }

  check(): void {
    const hands = new Map<number, string>();
    for (const { memberId, owned } of this.clients) {
      for (const [topic, partitions] of owned) {
        for (const partition of partitions) {
          expect(hands.get(partition), `${partition} is in the hands of two`).toBeUndefined();
          hands.set(partition, memberId);
          expect(this.group.group.owner(topic, partition)).toBe(memberId);
        }
      }
    }
    expect(plain(this.group.folded(this.group.events))).toEqual(plain(this.group.group));
  }

  settle(): void {
    for (let round = 0; round < 40; round++) {
      for (const client of this.clients) {
        this.#step(client);
        this.check();
      }
      this.#pass(1000);
      const { group } = this.group;
      const atRest = this.clients.every((client) => !(client instanceof ClassicClient) || client.isSettled);
      if (atRest && group.stateName === 'Stable' && group.members.size === CLIENTS) return;
    }
    throw new Error('it does not settle');
  }
}

test('members of both protocols never have one partition, and all come to their target', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const world = new MixedWorld();
      for (const action of actions) {
        world.act(action);
        world.check();
      }
      world.settle();
      const counts = world.clients.map(({ owned }) => [...owned.values()].flat().length).sort();
      expect(counts).toEqual([1, 1, 1, 2, 2]);
    }),
    { numRuns: 100 },
  );
});

test('a classic member has its whole time for the sync, however long the disk took to store its join', () => {
  const group = new TestGroup();
  group.topics.make(TOPIC, PARTITIONS);
  exchange(group, new TestMember('m0', [TOPIC], null));
  const request = { ...joinRequest('late', []), sessionTimeoutMs: 5000, rebalanceTimeoutMs: 1000 };
  const joining = group.live.classic.join(request, group.nowMs);
  group.nowMs += 1500;
  group.perform(joining);
  expect(group.pass(999)).toEqual([]);
  expect(group.pass(1)).toEqual(['late']);
});
