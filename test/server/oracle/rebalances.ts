import type { Messages } from '../../../src/wire/messages.generated.ts';
import { connect, type RawClient, until } from '../support.ts';
import { committed, type JoinWish, joinOf, plain, scenario } from './groups.ts';
import type { Side } from './scenario.ts';

/** A member with a connection of its own, on which a request may wait. */
class Member {
  readonly #client: RawClient;
  readonly #group: string;
  readonly #wish: JoinWish;
  memberId = '';
  generationId = -1;

  private constructor(client: RawClient, group: string, wish: JoinWish) {
    this.#client = client;
    this.#group = group;
    this.#wish = wish;
  }

  static async of(side: Side, group: string, wish: JoinWish = {}): Promise<Member> {
    return new Member(await connect(side.port), group, wish);
  }

  /** Joins, if need be twice. Resolves when the group has answered. */
  async join(version: number, more: JoinWish = {}): Promise<Messages['JoinGroup']['response']> {
    const ask = () =>
      this.#client.request(
        'JoinGroup',
        version,
        joinOf(this.#group, version, { memberId: this.memberId, ...this.#wish, ...more }),
      );
    let answer = await ask();
    if (answer.errorCode === 79) {
      this.memberId = answer.memberId;
      answer = await ask();
    }
    if (answer.errorCode === 0) {
      this.memberId = answer.memberId;
      this.generationId = answer.generationId;
    }
    return answer;
  }

  get #who() {
    return { groupId: this.#group, memberId: this.memberId, generationId: this.generationId };
  }

  get #instance() {
    return this.#wish.instanceId === undefined ? {} : { groupInstanceId: this.#wish.instanceId };
  }

  sync(work: Record<string, string> = {}): Promise<Messages['SyncGroup']['response']> {
    const assignments = Object.entries(work).map(([memberId, each]) => ({ memberId, assignment: Buffer.from(each) }));
    return this.#client.request('SyncGroup', 3, { ...this.#who, ...this.#instance, assignments });
  }

  async beat(): Promise<number> {
    return (await this.#client.request('Heartbeat', 3, { ...this.#who, ...this.#instance })).errorCode;
  }

  async commit(topic: string, generationId = this.generationId): Promise<number> {
    const { groupId, memberId } = this.#who;
    const { topics } = await this.#client.request('OffsetCommit', 7, {
      ...{ groupId, memberId, generationIdOrMemberEpoch: generationId, ...this.#instance },
      topics: [committed(topic, '', 7, 0, 5)],
    });
    return topics[0]!.partitions[0]!.errorCode;
  }

  async leave(): Promise<unknown> {
    const { groupId, memberId } = this.#who;
    const answer = await this.#client.request('LeaveGroup', 3, { groupId, members: [{ memberId, ...this.#instance }] });
    return [answer.errorCode, answer.members.map(({ errorCode }) => errorCode)];
  }
}

async function stateOf(side: Side, group: string): Promise<string> {
  return (await side.ask('DescribeGroups', 4, { groups: [group] }))!.groups[0]!.groupState;
}

/** Two members in one generation, of which the first leads, with their work. */
async function pair(side: Side, group: string, version: number, wishes: readonly [JoinWish, JoinWish] = [{}, {}]) {
  const [a, b] = [await Member.of(side, group, wishes[0]), await Member.of(side, group, wishes[1])];
  await a.join(version);
  const joining = b.join(version);
  await until(async () => (await stateOf(side, group)) === 'PreparingRebalance');
  await a.join(version);
  await joining;
  const syncing = b.sync();
  await a.sync({ [a.memberId]: 'work of a', [b.memberId]: 'work of b' });
  await syncing;
  return [a, b] as const;
}

export const rebalanceScenarios = [
  scenario('JoinGroup', 'a second member: what the first is told in each state', async (side, { topic, version }) => {
    await side.topic(topic);
    const a = await Member.of(side, topic);
    const first = await a.join(version);
    const alone = [
      await stateOf(side, topic),
      await a.beat(),
      await a.commit(topic),
      await a.sync({ [a.memberId]: 'all' }),
    ];
    const b = await Member.of(side, topic);
    const joining = b.join(version);
    await until(async () => (await a.beat()) === 27);
    const preparing = [await stateOf(side, topic), await a.commit(topic), await a.commit(topic, 7), await a.sync()];
    const [again, second] = [await a.join(version), await joining];
    const completing = [await stateOf(side, topic), await a.beat(), await a.commit(topic), await a.commit(topic, 1)];
    const syncing = b.sync();
    const synced = [await a.sync({ [a.memberId]: 'half', [b.memberId]: 'other half' }), await syncing];
    const stable = [await stateOf(side, topic), await a.beat(), await b.beat(), await b.commit(topic), await b.sync()];
    const unchanged = await b.join(version);
    const left = [await b.leave(), await b.beat(), await b.commit(topic), await b.sync(), await b.leave()];
    const behind = [await a.beat(), await stateOf(side, topic), await a.join(version)];
    const rejoined = await b.join(version);
    return plain(
      { first, alone, preparing, again, second, completing, synced, stable, unchanged, left, behind, rejoined },
      a.memberId,
      b.memberId,
    );
  }),
  scenario(
    'JoinGroup',
    'other metadata of a follower, and what a leader that joins again brings about',
    async (side, { topic, version }) => {
      const [a, b] = await pair(side, topic, version);
      const joining = b.join(version, { topics: ['other'] });
      await until(async () => (await a.beat()) === 27);
      const told = [await a.join(version), await joining];
      const sames = [await b.join(version, { topics: ['other'] }), await a.join(version)];
      const changing = b.join(version, { topics: ['third'] });
      await until(async () => (await a.beat()) === 27);
      told.push(await a.join(version), await changing);
      const syncing = b.sync();
      const synced = [await a.sync({ [b.memberId]: 'all' }), await syncing];
      const leading = a.join(version);
      await until(async () => (await b.beat()) === 27);
      told.push(await b.join(version, { topics: ['third'] }), await leading);
      return plain({ told, sames, synced }, a.memberId, b.memberId);
    },
  ),
  scenario('JoinGroup', 'protocols: the one with the most votes, none in common', async (side, { topic, version }) => {
    const wishes = [{ protocols: ['x', 'range'] }, { protocols: ['range', 'x', 'y'] }] as const;
    const [a, b] = await pair(side, topic, version, wishes);
    const c = await Member.of(side, topic);
    const refused = [await c.join(version, { protocols: ['y'] }), await c.join(version, { protocolType: 'connect' })];
    const joining = c.join(version, { protocols: ['range', 'x'] });
    await until(async () => (await a.beat()) === 27);
    const rejoining = a.join(version);
    const told = [await b.join(version), await rejoining, await joining];
    return plain({ refused, told }, a.memberId, b.memberId, c.memberId);
  }),
  {
    ...scenario(
      'JoinGroup',
      'a static member twice: the old one is fenced in all that it does',
      async (side, { topic, version }) => {
        await side.topic(topic);
        const [a, b] = await pair(side, topic, version, [{ instanceId: 'i' }, { instanceId: 'j' }]);
        const next = await Member.of(side, topic, { instanceId: 'j' });
        const taken = await next.join(version);
        const fenced = [await b.beat(), await b.sync(), await b.commit(topic), await b.leave(), await b.join(version)];
        const fine = [
          await stateOf(side, topic),
          await a.beat(),
          await next.beat(),
          await next.sync(),
          await next.commit(topic),
        ];
        const leader = await Member.of(side, topic, { instanceId: 'i' });
        const led = [await leader.join(version), await leader.sync(), await stateOf(side, topic)];
        const gone = [await next.leave(), await leader.beat()];
        return plain({ taken, fenced, fine, led, gone }, a.memberId, b.memberId, next.memberId, leader.memberId);
      },
    ),
    versions: [5, 6, 7, 8, 9],
  },
  {
    ...scenario(
      'Heartbeat',
      'a member that falls silent, and an id that nobody joins with',
      async (side, { topic }) => {
        await side.topic(topic);
        const a = await Member.of(side, topic, { sessionTimeoutMs: 6000 });
        await a.join(5);
        await a.sync({ [a.memberId]: 'all' });
        const given = await side.ask('JoinGroup', 5, joinOf(topic, 5, { sessionTimeoutMs: 6000 }));
        const before = [await stateOf(side, topic), await a.beat(), await a.commit(topic)];
        await until(async () => (await stateOf(side, topic)) === 'Empty');
        const late = await side.ask('JoinGroup', 5, joinOf(topic, 5, { memberId: given!.memberId }));
        const after = [await a.beat(), await a.commit(topic), await a.sync(), await a.leave(), await a.join(5)];
        return plain({ given, before, late, after }, a.memberId, given!.memberId);
      },
    ),
    versions: [3],
  },
];
