import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { consumerAssignment, owningMetadata } from '../broker/groups/consumer-metadata.ts';
import { hookedDisk } from '../log/hooked-disk.ts';
import { makeTopic, type RawClient, startBroker, tempFolder } from './support.ts';

/*
 * Groups that go from the classic protocol to the new one and back while they work, without and with a restart of the broker in
 * between. What Apache Kafka answers is compared in oracle/group-migration.ts.
 */

const TOPIC = 't';
const PARTITIONS = 4;
const COORDINATOR_NOT_AVAILABLE = 15;
const UNKNOWN_MEMBER = 25;
const REBALANCE_IN_PROGRESS = 27;
const INCONSISTENT_PROTOCOL = 23;
const GROUP_NOT_FOUND = 69;

interface Classic {
  readonly memberId: string;
  readonly generationId: number;
}

const joinRequest = (memberId: string, owned: readonly number[]) => ({
  ...{ groupId: 'g', memberId, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, protocolType: 'consumer' },
  protocols: [{ name: 'range', metadata: owningMetadata(TOPIC, owned) }],
});

async function joinClassic(client: RawClient, memberId = '', owned: readonly number[] = []): Promise<Classic> {
  const { errorCode, ...joined } = await client.request('JoinGroup', 3, joinRequest(memberId, owned));
  expect(errorCode).toBe(0);
  return joined;
}

/** Returns the partitions that the member is given. `given`: how it divides them, as a leader. */
async function syncClassic(
  client: RawClient,
  { memberId, generationId }: Classic,
  given: ReadonlyMap<string, readonly number[]> = new Map(),
): Promise<Buffer> {
  const assignments = Array.from(given, ([id, some]) => ({
    memberId: id,
    assignment: consumerAssignment(TOPIC, some),
  }));
  const { errorCode, assignment } = await client.request('SyncGroup', 3, {
    groupId: 'g',
    memberId,
    generationId,
    assignments,
  });
  expect(errorCode).toBe(0);
  return assignment;
}

async function heartbeat(client: RawClient, { memberId, generationId }: Classic): Promise<number> {
  return (await client.request('Heartbeat', 3, { groupId: 'g', memberId, generationId })).errorCode;
}

const joinNew = (client: RawClient, memberId: string) =>
  client.request('ConsumerGroupHeartbeat', 1, {
    ...{ groupId: 'g', memberId, memberEpoch: 0, rebalanceTimeoutMs: 30_000 },
    ...{ subscribedTopicNames: [TOPIC], topicPartitions: [] },
  });

/** What a member of the new protocol is told to have. */
const partitionsOf = ({ assignment }: Awaited<ReturnType<typeof joinNew>>): readonly number[] =>
  assignment!.topicPartitions.flatMap(({ partitions }) => partitions);

const leaveNew = (client: RawClient, memberId: string) =>
  client.request('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId, memberEpoch: -1 });

async function typeOf(client: RawClient): Promise<string> {
  const { groups } = await client.request('ListGroups', 5, {});
  return groups.find(({ groupId }) => groupId === 'g')!.groupType;
}

/** A classic group with one member that has everything. */
async function classicGroup(client: RawClient): Promise<Classic> {
  await makeTopic(client, TOPIC, PARTITIONS);
  const member = await joinClassic(client);
  await syncClassic(client, member, new Map([[member.memberId, [0, 1, 2, 3]]]));
  return member;
}

test('a classic group takes in members of the new protocol, across a restart, and is classic again when they left', async () => {
  const folder = tempFolder();
  let target = await startBroker({ folder });
  let client = await target.client();
  let classic = await classicGroup(client);
  expect((await joinNew(client, 'new')).errorCode).toBe(0);
  expect(await typeOf(client)).toBe('consumer');
  await target.stop();

  target = await startBroker({ folder });
  client = await target.client();
  expect(await heartbeat(client, classic)).toBe(REBALANCE_IN_PROGRESS);
  classic = await joinClassic(client, classic.memberId, [0, 1, 2, 3]);
  expect(await syncClassic(client, classic)).toEqual(consumerAssignment(TOPIC, [0, 1]));
  classic = await joinClassic(client, classic.memberId, [0, 1]);
  expect(await syncClassic(client, classic)).toEqual(consumerAssignment(TOPIC, [0, 1]));
  expect(await heartbeat(client, classic)).toBe(0);

  expect((await leaveNew(client, 'new')).errorCode).toBe(0);
  expect(await typeOf(client)).toBe('classic');
  await target.stop();

  // Nobody has divided the partitions anew yet: that is still to be done after another restart.
  target = await startBroker({ folder });
  client = await target.client();
  expect(await typeOf(client)).toBe('classic');
  const again = await joinClassic(client, classic.memberId, [0, 1]);
  expect(again.generationId).toBeGreaterThan(classic.generationId);
  const all = new Map([[again.memberId, [0, 1, 2, 3]]]);
  expect(await syncClassic(client, again, all)).toEqual(consumerAssignment(TOPIC, [0, 1, 2, 3]));
});

test('who waits in a rebalance when the group goes over is told to join again', async () => {
  const target = await startBroker();
  const [client, other] = [await target.client(), await target.client()];
  const member = await classicGroup(client);
  const waiting = other.request('JoinGroup', 3, joinRequest('', []));
  await expect.poll(() => heartbeat(client, member), { timeout: 60_000 }).toBe(REBALANCE_IN_PROGRESS);
  expect((await joinNew(client, 'new')).errorCode).toBe(0);
  expect((await waiting).errorCode).toBe(REBALANCE_IN_PROGRESS);
});

test('a leader that gave one partition to two, or one that there is not, does not do so in a group of the new protocol', async () => {
  const target = await startBroker();
  const [client, other] = [await target.client(), await target.client()];
  await makeTopic(client, TOPIC, PARTITIONS);
  const first = await joinClassic(client);
  const joining = other.request('JoinGroup', 3, joinRequest('', []));
  await expect.poll(() => heartbeat(client, first), { timeout: 60_000 }).toBe(REBALANCE_IN_PROGRESS);
  const [leader, follower] = [await joinClassic(client, first.memberId), await joining];
  const following = syncClassic(other, follower);
  await syncClassic(
    client,
    leader,
    new Map([
      [leader.memberId, [0, 1, 99]],
      [follower.memberId, [1, 2, -1]],
    ]),
  );
  await following;
  expect((await joinNew(client, 'new')).errorCode).toBe(0);
  const { groups } = await client.request('ConsumerGroupDescribe', 1, { groupIds: ['g'] });
  const owned = groups[0]!.members.flatMap(({ assignment }) =>
    assignment.topicPartitions.flatMap((each) => each.partitions),
  );
  expect([...new Set(owned)].sort()).toEqual(owned.sort());
  expect(owned).toEqual([0, 1, 2, 3].filter((partition) => owned.includes(partition)));
});

test('what a member was told to give up is given to nobody before it has, also when the group goes over meanwhile', async () => {
  const target = await startBroker();
  const [client, other] = [await target.client(), await target.client()];
  const first = await classicGroup(client);
  const joining = other.request('JoinGroup', 3, joinRequest('', []));
  await expect.poll(() => heartbeat(client, first), { timeout: 60_000 }).toBe(REBALANCE_IN_PROGRESS);
  // A cooperative member: it keeps what it has until it hears what it is to give up.
  const [leader, follower] = [await joinClassic(client, first.memberId, [0, 1, 2, 3]), await joining];
  await syncClassic(client, leader, new Map([[leader.memberId, [0, 1]]]));
  await syncClassic(other, follower);

  const joined = await joinNew(client, 'new');
  expect(partitionsOf(joined)).toEqual([]);
  const beat = { groupId: 'g', memberId: 'new', memberEpoch: joined.memberEpoch, topicPartitions: [] };
  expect(await heartbeat(client, leader)).toBe(REBALANCE_IN_PROGRESS);
  await joinClassic(client, leader.memberId, [0, 1]);
  const given = partitionsOf(await client.request('ConsumerGroupHeartbeat', 1, beat));
  expect(given.length).toBeGreaterThan(0);
  expect([2, 3]).toEqual(expect.arrayContaining([...given]));
});

test('a classic member is not told that it is one while its removal is on its way to the disk', async () => {
  const target = await startBroker();
  const client = await target.client();
  const classic = await classicGroup(client);
  expect((await joinNew(client, 'new')).errorCode).toBe(0);
  const leaving = client.request('LeaveGroup', 3, { groupId: 'g', members: [{ memberId: classic.memberId }] });
  expect(await heartbeat(client, classic)).toBe(UNKNOWN_MEMBER);
  expect((await leaving).errorCode).toBe(0);
});

/** A broker on a disk that can be made full. */
async function startOnDisk() {
  const folder = tempFolder();
  const fullness = { isFull: false };
  const disk = hookedDisk(realDisk(folder), async (call, proceed) => {
    if (fullness.isFull && call.name === 'write') throw new Fault('diskFull');
    return proceed();
  });
  return { target: await startBroker({ folder, disk }), fullness };
}

test('a disk that refuses does not take back a generation that members were told', async () => {
  const { target, fullness } = await startOnDisk();
  const [client, other] = [await target.client(), await target.client()];
  const first = await classicGroup(client);
  const joining = other.request('JoinGroup', 3, joinRequest('', []));
  await expect.poll(() => heartbeat(client, first), { timeout: 60_000 }).toBe(REBALANCE_IN_PROGRESS);
  const [leader, follower] = [await joinClassic(client, first.memberId), await joining];
  const { memberId, generationId } = follower;
  // On the connection of what comes next, so that it waits by then.
  const waiting = client.request('SyncGroup', 3, { groupId: 'g', memberId, generationId, assignments: [] });

  fullness.isFull = true;
  expect((await joinNew(client, 'new')).errorCode).toBe(COORDINATOR_NOT_AVAILABLE);
  fullness.isFull = false;
  expect((await waiting).errorCode).toBe(REBALANCE_IN_PROGRESS);
  expect(await heartbeat(client, leader)).toBe(0);
  const syncing = joinClassic(other, memberId).then((again) => syncClassic(other, again));
  const given = new Map([
    [leader.memberId, [0, 1]],
    [memberId, [2, 3]],
  ]);
  expect(await syncClassic(client, leader, given)).toEqual(consumerAssignment(TOPIC, [0, 1]));
  expect(await syncing).toEqual(consumerAssignment(TOPIC, [2, 3]));
});

test('a disk that refuses leaves the group as it was, of either kind; when it takes writes again all goes on', async () => {
  const { target, fullness } = await startOnDisk();
  const client = await target.client();
  const classic = await classicGroup(client);
  const member = { groupId: 'g', memberId: 'new', memberEpoch: 0 };

  fullness.isFull = true;
  expect((await joinNew(client, 'new')).errorCode).toBe(COORDINATOR_NOT_AVAILABLE);
  expect(await typeOf(client)).toBe('classic');
  fullness.isFull = false;
  expect(await heartbeat(client, classic)).toBe(0);

  const { memberEpoch } = await joinNew(client, 'new');
  expect(await typeOf(client)).toBe('consumer');
  const before = await client.request('ConsumerGroupDescribe', 1, { groupIds: ['g'] });
  fullness.isFull = true;
  const change = { ...member, memberEpoch, subscribedTopicNames: [] };
  expect((await client.request('ConsumerGroupHeartbeat', 1, change)).errorCode).toBe(COORDINATOR_NOT_AVAILABLE);
  expect((await leaveNew(client, 'new')).errorCode).toBe(COORDINATOR_NOT_AVAILABLE);
  expect(await client.request('ConsumerGroupDescribe', 1, { groupIds: ['g'] })).toEqual(before);
  fullness.isFull = false;
  expect((await leaveNew(client, 'new')).errorCode).toBe(0);
  expect(await typeOf(client)).toBe('classic');
});

test('a classic member is removed that does not sync in time; none whose join the disk refused', async () => {
  const { target, fullness } = await startOnDisk();
  const [client, other] = [await target.client(), await target.client()];
  const refused = await classicGroup(client);
  expect((await joinNew(client, 'new')).errorCode).toBe(0);
  const inHaste = (memberId: string) => ({ ...joinRequest(memberId, [0, 1, 2, 3]), rebalanceTimeoutMs: 100 });

  fullness.isFull = true;
  const { errorCode } = await client.request('JoinGroup', 3, inHaste(refused.memberId));
  expect(errorCode).toBe(COORDINATOR_NOT_AVAILABLE);
  fullness.isFull = false;
  // It is to sync later than the other would have had to.
  const late = await other.request('JoinGroup', 3, inHaste(''));
  expect(late.errorCode).toBe(0);
  await expect.poll(() => heartbeat(other, late), { timeout: 60_000 }).toBe(UNKNOWN_MEMBER);
  expect(await heartbeat(client, refused)).toBe(REBALANCE_IN_PROGRESS);
});

test.each([
  ['disabled', GROUP_NOT_FOUND, INCONSISTENT_PROTOCOL],
  ['downgrade', GROUP_NOT_FOUND, 0],
  ['upgrade', 0, 0],
])('with the policy %s', async (policy, upgrading, mixing) => {
  const target = await startBroker({ settings: { 'group.consumer.migration.policy': policy } });
  const client = await target.client();
  const classic = await classicGroup(client);
  expect((await joinNew(client, 'new')).errorCode).toBe(upgrading);
  expect(await typeOf(client)).toBe(upgrading === 0 ? 'consumer' : 'classic');
  if (upgrading !== 0) {
    const leaver = { groupId: 'g', members: [{ memberId: classic.memberId }] };
    await client.request('LeaveGroup', 3, leaver);
    expect((await joinNew(client, 'new')).errorCode).toBe(0);
    expect((await client.request('JoinGroup', 3, joinRequest('', []))).errorCode).toBe(mixing);
  }
  await leaveNew(client, 'new');
  const staysClassic = policy === 'downgrade';
  expect(await typeOf(client)).toBe(staysClassic ? 'classic' : 'consumer');
});
