import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Draft } from '../../src/wire/codec.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import { consumerMetadata } from '../broker/groups/consumer-metadata.ts';
import { makeTopic, type RawClient, startBroker, type TestBroker, tempFolder, until } from './support.ts';

/*
 * Groups of the new protocol on a real broker, over sockets and files: what survives a restart, what removes a member and what
 * must not, and how members come and go.
 */

type Beat = Draft<Messages['ConsumerGroupHeartbeat']['request']>;

const GROUP_RESOURCE = 32;
const TEN_YEARS_MS = 10 * 365 * 24 * 3600_000;

/** A member as a client keeps it: it uses what it was told to have, and says when that changed. */
class Member {
  readonly client: RawClient;
  readonly groupId: string;
  readonly memberId: string;
  readonly subscription: Partial<Beat>;
  epoch = 0;
  owned: { topicId: string; partitions: readonly number[] }[] = [];
  #changed = false;

  constructor(client: RawClient, groupId: string, memberId: string, subscription: Partial<Beat>) {
    this.client = client;
    this.groupId = groupId;
    this.memberId = memberId;
    this.subscription = subscription;
  }

  async beat(): Promise<number> {
    const { groupId, memberId, epoch: memberEpoch } = this;
    const joins = memberEpoch === 0;
    const answer = await this.client.request('ConsumerGroupHeartbeat', 1, {
      ...{ groupId, memberId, memberEpoch },
      ...(joins ? { ...this.subscription, rebalanceTimeoutMs: 60_000 } : {}),
      topicPartitions: joins
        ? []
        : this.#changed
          ? this.owned.map((each) => ({ ...each, partitions: [...each.partitions] }))
          : null,
    });
    if (answer.errorCode !== 0) return answer.errorCode;
    this.epoch = answer.memberEpoch;
    this.#changed = answer.assignment !== null;
    if (answer.assignment !== null) this.owned = answer.assignment.topicPartitions;
    return 0;
  }

  async leave(): Promise<number> {
    const { groupId, memberId } = this;
    const answer = await this.client.request('ConsumerGroupHeartbeat', 1, { groupId, memberId, memberEpoch: -1 });
    this.owned = [];
    return answer.errorCode;
  }

  get partitions(): string[] {
    return this.owned.flatMap(({ topicId, partitions }) => partitions.map((partition) => `${topicId}-${partition}`));
  }
}

async function member(target: TestBroker, groupId: string, name: string, subscription: Partial<Beat>): Promise<Member> {
  return new Member(await target.client(), groupId, name, subscription);
}

async function describeGroup(client: RawClient, groupId: string) {
  const { groups } = await client.request('ConsumerGroupDescribe', 1, { groupIds: [groupId] });
  return groups[0]!;
}

/** Members send heartbeats in turn until the group is stable and each has been told all that it has. */
async function settle(client: RawClient, members: readonly Member[]): Promise<void> {
  await until(async () => {
    for (const each of members) expect(await each.beat()).toBe(0);
    const { groupState, members: known } = await describeGroup(client, members[0]!.groupId);
    return groupState === 'Stable' && known.length === members.length;
  });
}

function expectOneHandEach(members: readonly Member[], count: number | null = null): void {
  const all = members.flatMap(({ partitions }) => partitions);
  expect(new Set(all).size).toBe(all.length);
  if (count !== null) expect(all).toHaveLength(count);
}

test('clients are told that the new protocol is served, from the version on that tells of features', async () => {
  const client = await (await startBroker()).client();
  const told = await client.request('ApiVersions', 4, { clientSoftwareName: 'test', clientSoftwareVersion: '1' });
  expect(told.supportedFeatures).toEqual([{ name: 'group.version', minVersion: 0, maxVersion: 1 }]);
  expect(told.finalizedFeatures).toEqual([{ name: 'group.version', minVersionLevel: 1, maxVersionLevel: 1 }]);
  expect((await client.request('ApiVersions', 2, {})).finalizedFeatures).toEqual([]);
});

describe('a restart', () => {
  test('is not noticed: members, epochs, assignments, patterns and settings are as they were', async () => {
    const folder = tempFolder();
    const before = await startBroker({ folder });
    const client = await before.client();
    for (const name of ['orders-a', 'orders-b']) await makeTopic(client, name, 3);
    const members = [
      await member(before, 'g', 'm1', { subscribedTopicNames: ['orders-a'] }),
      await member(before, 'g', 'm2', { subscribedTopicRegex: 'orders-.*' }),
    ];
    await settle(client, members);
    const configs = [{ name: 'consumer.heartbeat.interval.ms', configOperation: 0, value: '7000' }];
    await client.request('IncrementalAlterConfigs', 1, {
      resources: [{ resourceType: GROUP_RESOURCE, resourceName: 'g', configs }],
    });
    const described = await describeGroup(client, 'g');
    await before.stop();

    const after = await startBroker({ folder });
    const again = await after.client();
    expect(await describeGroup(again, 'g')).toEqual(described);
    for (const { memberId, epoch } of members) {
      const answer = await again.request('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId, memberEpoch: epoch });
      expect(answer).toMatchObject({ errorCode: 0, memberEpoch: epoch, assignment: null, heartbeatIntervalMs: 7000 });
    }
    // The pattern is still at work.
    await makeTopic(again, 'orders-c', 2);
    const answer = await again.request('ConsumerGroupHeartbeat', 1, {
      groupId: 'g',
      memberId: 'm2',
      memberEpoch: members[1]!.epoch,
    });
    expect(answer.memberEpoch).toBeGreaterThan(members[1]!.epoch);
    expect(answer.assignment!.topicPartitions.length).toBeGreaterThan(members[1]!.owned.length);
  });

  test('keeps members of the classic protocol in a group of the new one', async () => {
    const folder = tempFolder();
    const before = await startBroker({ folder });
    const client = await before.client();
    await makeTopic(client, 't', 2);
    const consumer = await member(before, 'g', 'm', { subscribedTopicNames: ['t'] });
    await consumer.beat();
    const ask = (memberId: string) => ({
      ...{ groupId: 'g', memberId, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, protocolType: 'consumer' },
      protocols: [{ name: 'range', metadata: consumerMetadata(['t']) }],
    });
    const { memberId } = await client.request('JoinGroup', 9, ask(''));
    const joined = await client.request('JoinGroup', 9, ask(memberId));
    expect(joined).toMatchObject({ errorCode: 0, leader: '' });
    const described = await describeGroup(client, 'g');
    expect(described.members.map(({ memberType }) => memberType).sort()).toEqual([0, 1]);
    await before.stop();

    const after = await startBroker({ folder });
    const again = await after.client();
    expect(await describeGroup(again, 'g')).toEqual(described);
    const { generationId } = joined;
    expect((await again.request('Heartbeat', 4, { groupId: 'g', memberId, generationId })).errorCode).toBe(0);
  });
});

describe('time', () => {
  test('a member that goes silent is removed, and another has its partitions', async () => {
    const target = await startBroker({
      settings: { 'group.consumer.session.timeout.ms': '700', 'group.consumer.heartbeat.interval.ms': '50' },
    });
    const client = await target.client();
    await makeTopic(client, 't', 4);
    const [zombie, other] = [
      await member(target, 'g', 'zombie', { subscribedTopicNames: ['t'] }),
      await member(target, 'g', 'other', { subscribedTopicNames: ['t'] }),
    ];
    await zombie.beat();
    await other.beat();
    const topicId = zombie.owned[0]!.topicId;
    await until(async () => {
      if ((await other.beat()) !== 0) other.epoch = 0;
      return other.partitions.length === 4;
    });
    expect(await zombie.beat()).toBe(25);
    const commit = await client.request('OffsetCommit', 10, {
      ...{ groupId: 'g', memberId: 'zombie', generationIdOrMemberEpoch: zombie.epoch },
      topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset: 9, committedMetadata: '' }] }],
    });
    expect(commit.topics[0]!.partitions[0]!.errorCode).toBe(25);
  });

  test('a group that everyone left is forgotten, when it holds no offsets', async () => {
    const target = await startBroker({
      settings: {
        'group.consumer.session.timeout.ms': '200',
        'group.consumer.heartbeat.interval.ms': '50',
        'offsets.retention.check.interval.ms': '50',
      },
    });
    const client = await target.client();
    await makeTopic(client, 't', 1);
    const last = await member(target, 'g', 'm', { subscribedTopicNames: ['t'] });
    await last.beat();
    await last.leave();
    await until(async () => (await client.request('ListGroups', 5, {})).groups.length === 0);
    expect((await describeGroup(client, 'g')).errorCode).toBe(69);
  });

  test.each([TEN_YEARS_MS, -TEN_YEARS_MS])('a jump of the clock by %d ms removes nobody', async (jumpMs) => {
    let wallAheadMs = 0;
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + wallAheadMs };
    const target = await startBroker({ clock });
    const client = await target.client();
    await makeTopic(client, 't', 4);
    const members = [
      await member(target, 'g', 'm1', { subscribedTopicNames: ['t'] }),
      await member(target, 'g', 'm2', { subscribedTopicNames: ['t'] }),
    ];
    await settle(client, members);
    const described = await describeGroup(client, 'g');
    wallAheadMs = jumpMs;
    for (const each of members) expect(await each.beat()).toBe(0);
    wallAheadMs = 0;
    for (const each of members) expect(await each.beat()).toBe(0);
    expect(await describeGroup(client, 'g')).toEqual(described);
  });
});

describe('churn', () => {
  test('members that come and go all at once share out all partitions, each in one hand', async () => {
    const target = await startBroker();
    const client = await target.client();
    await makeTopic(client, 't', 24);
    const stay = await Promise.all(
      Array.from({ length: 4 }, (_, i) => member(target, 'g', `stay-${i}`, { subscribedTopicNames: ['t'] })),
    );
    for (let round = 0; round < 5; round++) {
      const guests = await Promise.all(
        Array.from({ length: 4 }, (_, i) =>
          member(target, 'g', `guest-${round}-${i}`, { subscribedTopicNames: ['t'] }),
        ),
      );
      const all = [...stay, ...guests];
      await Promise.all(all.map((each) => each.beat()));
      expectOneHandEach(all);
      await Promise.all(all.map((each) => each.beat()));
      expectOneHandEach(all);
      await settle(client, all);
      expectOneHandEach(all, 24);
      await Promise.all(guests.map((each) => each.leave()));
    }
    await settle(client, stay);
    expectOneHandEach(stay, 24);
  });
});

describe('patterns', () => {
  const join = (client: RawClient, subscribedTopicRegex: string) =>
    client.request('ConsumerGroupHeartbeat', 1, {
      ...{ groupId: 'g', memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 1000, topicPartitions: [] },
      subscribedTopicRegex,
    });

  test.each([
    ['an unclosed group', '('],
    ['a lookahead, which takes more than linear time', 'a(?=b)'],
    ['a back reference', '(a)\\1'],
    ['too many repetitions', '((a{100}){100}){100}'],
    ['one that is too long', 'a'.repeat(1001)],
    ['one that is too large', 'a{1000}'.repeat(30)],
  ])('are refused: %s', async (_, pattern) => {
    const target = await startBroker();
    expect((await join(await target.client(), pattern)).errorCode).toBe(128);
  });

  test('are matched against whole names, in linear time', async () => {
    const target = await startBroker();
    const client = await target.client();
    for (const name of ['aa', 'aab', 'b', `${'a'.repeat(200)}`]) await makeTopic(client, name, 1);
    expect((await join(client, '(a*)*')).assignment!.topicPartitions).toHaveLength(2);
  });
});
