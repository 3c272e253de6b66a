import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/faults.ts';
import type { Broker } from '../../../src/broker/broker.ts';
import { ConsumerGroups } from '../../../src/broker/groups/consumer/consumer-groups.ts';
import { GroupCoordinator } from '../../../src/broker/groups/group-coordinator.ts';
import { realDisk } from '../../../src/disk/real-disk.ts';
import { POWER_CUTS, SimulatedDisk } from '../../disk/simulated-disk.ts';
import { hookedDisk } from '../../log/hooked-disk.ts';
import { copyOf } from '../../log/support.ts';
import { SeededRandom } from '../../seeded-random.ts';
import { batch, openBroker, type TestBrokerSetup, tempFolder, until } from '../../server/support.ts';
import { atWork, commit, committed, join, sync } from './member.ts';

/* The coordinator of a whole broker over real files: what survives, what expires, and what a full disk does. */

const YEARS_MS = 10 * 365 * 24 * 3_600_000;
const open: Broker[] = [];

afterEach(async () => {
  for (const broker of open.splice(0)) await broker.close().catch(() => {});
});

async function brokerOn(setup: TestBrokerSetup): Promise<Broker> {
  const settings = { 'group.initial.rebalance.delay.ms': '0', ...setup.settings };
  const { broker } = await openBroker({ ...setup, settings });
  open.push(broker);
  return broker;
}

async function withTopic(setup: TestBrokerSetup): Promise<Broker> {
  const broker = await brokerOn(setup);
  await makeTopic(broker, 't');
  return broker;
}

function makeTopic(broker: Broker, name: string) {
  return broker.topics.create({ name, partitions: 1, replicationFactor: -1, settings: new Map() });
}

async function faultOf(operation: () => unknown): Promise<string | null> {
  try {
    await operation();
    return null;
  } catch (error) {
    if (error instanceof Fault) return error.fault;
    throw error;
  }
}

describe('a restart', () => {
  test.each(['a clean one', 'one after a kill'])('finds offsets, members and their work: %s', async (kind) => {
    const folder = tempFolder();
    const first = await withTopic({ folder });
    const member = await atWork(first, 'g');
    await commit(first, 'g', 't', 5, member);
    await commit(first, 'outside', 't', 7);
    const left = await atWork(first, 'left');
    await first.groups.leave('left', [{ memberId: left.memberId, instanceId: null }]);
    const killed = copyOf(folder);
    await first.close();
    const second = await brokerOn({ folder: kind === 'a clean one' ? folder : killed });
    expect([committed(second, 'g', 't'), committed(second, 'outside', 't')]).toEqual([5, 7]);
    const found = Array.from(
      second.groups.groups(),
      ({ id, stateName, protocolType }) => `${id} ${stateName} ${protocolType}`,
    );
    expect(found.sort()).toEqual(['g Stable consumer', 'left Empty consumer', 'outside Empty ']);
    // To the member nothing has happened.
    await second.groups.heartbeat('g', member.memberId, null, member.generation);
    await commit(second, 'g', 't', 6, member);
    expect(Buffer.from((await sync(second, 'g', member)).assignment).toString()).toBe('work');
    expect(await faultOf(() => commit(second, 'left', 't', 1, left))).toBe('unknownMember');
  });

  test('misses members that do not come back, after their sessions', async () => {
    const folder = tempFolder();
    const first = await withTopic({ folder });
    await atWork(first, 'g', { sessionTimeoutMs: 300 });
    await first.close();
    const second = await brokerOn({ folder });
    await until(() => second.groups.find('g')!.stateName === 'Empty');
  });

  test('keeps every commit that was answered, however the power goes', async () => {
    for (const [seed, cut] of POWER_CUTS.entries()) {
      const disk = new SimulatedDisk(new SeededRandom(seed));
      const first = await withTopic({ disk });
      const member = await atWork(first, 'g');
      let answered = -1;
      disk.cutPowerAfter(10 + seed * 5);
      const committing = (async () => {
        for (let offset = 0; ; offset += 10) {
          const ten = Array.from({ length: 10 }, async (_, i) => {
            await commit(first, 'g', 't', offset + i, member);
            answered = Math.max(answered, offset + i);
          });
          await Promise.all(ten);
          // Also a broker that answers at once lets the disk go on.
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      await Promise.race([disk.died, committing]);
      expect(answered).toBeGreaterThanOrEqual(0);
      const second = await brokerOn({ disk: disk.afterPowerCut(cut) });
      open.splice(open.indexOf(first), 1);
      expect(committed(second, 'g', 't') ?? -1, cut).toBeGreaterThanOrEqual(answered);
      expect(second.groups.find('g')!.stateName).toBe('Stable');
    }
  });
});

describe('a full disk', () => {
  test('refuses commits and rebalances for as long as it is full, and changes nothing', async () => {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const broker = await withTopic({ disk });
    const member = await atWork(broker, 'g');
    await commit(broker, 'g', 't', 5, member);
    disk.fail({
      fault: 'ENOSPC',
      of: (call, path) => call === 'write' && /ledger|journal/.test(path),
      from: 0,
      forEver: true,
    });
    expect(await faultOf(() => commit(broker, 'g', 't', 6, member))).toBe('coordinatorNotAvailable');
    expect(await faultOf(() => commit(broker, 'new', 't', 6))).toBe('coordinatorNotAvailable');
    expect(await faultOf(() => broker.groups.remove('new'))).toBe('groupNotFound');
    expect([committed(broker, 'g', 't'), committed(broker, 'new', 't')]).toEqual([5, null]);
    // A session is kept all the same.
    await broker.groups.heartbeat('g', member.memberId, null, member.generation);
    const again = await join(broker, 'g', { memberId: member.memberId });
    const refused = await sync(broker, 'g', again, 'other work');
    expect(refused.refused?.fault).toBe('coordinatorNotAvailable');
    expect(refused.refused?.retriable).toBe(true);

    disk.heal();
    await commit(broker, 'new', 't', 8);
    const third = await join(broker, 'g', { memberId: member.memberId });
    expect((await sync(broker, 'g', third, 'other work')).refused).toBeNull();
    await commit(broker, 'g', 't', 7, third);
    await broker.close();
    const next = await brokerOn({ disk: disk.afterKill() });
    expect([committed(next, 'g', 't'), committed(next, 'new', 't')]).toEqual([7, 8]);
    await next.groups.heartbeat('g', third.memberId, null, third.generation);
  });
});

test('a stop on a disk that is full for groups closes the topics all the same', async () => {
  const folder = tempFolder();
  const closed: string[] = [];
  let full = false;
  const disk = hookedDisk(realDisk(folder), ({ name, path }, proceed) => {
    if (full && name === 'write' && /ledger|journal/.test(path)) throw new Fault('diskFull');
    if (name === 'close') closed.push(path);
    return proceed();
  });
  const broker = await withTopic({ folder, disk });
  await commit(broker, 'g', 't', 1);
  await broker.produce(broker.topics.get('t'), 0, batch(), { acks: -1, version: 9 }).settled;
  full = true;
  await broker.close().catch(() => {});
  expect(closed.filter((path) => path.startsWith('topics/')).length).toBeGreaterThan(0);
});

/** A clock of which the test moves the two parts: what the wall says, and how long the broker has run. */
function movedClock() {
  const moved = { wallMs: 0, uptimeMs: 0 };
  const clock: Clock = {
    wallMs: () => Date.now() + moved.wallMs,
    monotonicMs: () => performance.now() + moved.uptimeMs,
    after: (delayMs, action) => systemClock.after(Math.min(delayMs, 20), action),
  };
  return { moved, clock };
}

const OFTEN = { 'offsets.retention.check.interval.ms': '1', 'offsets.retention.minutes': '60' };
const HOUR_MS = 3_600_000;

describe('time', () => {
  test.each([YEARS_MS, -YEARS_MS])(
    'a jump of the clock by %i ms ends no session and expires nothing',
    async (jumpMs) => {
      const { moved, clock } = movedClock();
      const broker = await withTopic({ clock, settings: OFTEN });
      const member = await atWork(broker, 'g', { sessionTimeoutMs: 60_000 });
      await commit(broker, 'outside', 't', 5);
      moved.wallMs = jumpMs;
      // Long enough for every timer to have run: a group with a session of its own ends by then.
      await atWork(broker, 'short', { sessionTimeoutMs: 200 });
      await until(() => broker.groups.find('short')?.stateName !== 'Stable');
      await broker.groups.heartbeat('g', member.memberId, null, member.generation);
      expect(committed(broker, 'outside', 't')).toBe(5);
    },
  );

  test('offsets expire when the broker has run for as long as they are kept, and the empty group goes with them', async () => {
    const { moved, clock } = movedClock();
    const folder = tempFolder();
    const broker = await withTopic({ folder, clock, settings: OFTEN });
    await commit(broker, 'old', 't', 5);
    moved.uptimeMs = 0.75 * HOUR_MS;
    await commit(broker, 'young', 't', 6);
    await broker.close();
    // The time in which it does not run does not count.
    const other = movedClock();
    other.moved.wallMs = YEARS_MS;
    const second = await brokerOn({ folder, clock: other.clock, settings: OFTEN });
    await atWork(second, 'short', { sessionTimeoutMs: 200 });
    await until(() => second.groups.find('short') === null);
    expect(committed(second, 'old', 't')).toBe(5);
    other.moved.uptimeMs = 0.5 * HOUR_MS;
    await until(() => second.groups.find('old') === null);
    expect(committed(second, 'young', 't')).toBe(6);
  });

  test('offsets of topics that members read do not expire; those of others do', async () => {
    const { moved, clock } = movedClock();
    const broker = await withTopic({ clock, settings: OFTEN });
    await makeTopic(broker, 'unread');
    const member = await atWork(broker, 'g', { sessionTimeoutMs: 2 * HOUR_MS });
    await commit(broker, 'g', 't', 5, member);
    await commit(broker, 'g', 'unread', 5, member);
    moved.uptimeMs = 1.5 * HOUR_MS;
    await until(() => committed(broker, 'g', 'unread') === null);
    expect(committed(broker, 'g', 't')).toBe(5);
  });

  test('an offset that its client wished to be kept for less expires then', async () => {
    const { moved, clock } = movedClock();
    const broker = await withTopic({ clock, settings: OFTEN });
    const outside = { memberId: '', generation: -1, instanceId: null, saysEpoch: false };
    const one = { topic: broker.topics.get('t'), partition: 0, offset: 5, leaderEpoch: -1, metadata: null };
    await broker.groups.commit('brief', outside, [one], 60_000);
    await commit(broker, 'long', 't', 6);
    moved.uptimeMs = 61_000;
    await until(() => committed(broker, 'brief', 't') === null);
    expect(committed(broker, 'long', 't')).toBe(6);
  });
});

/** A sign of life of a member of the new protocol. */
function beat(broker: Pick<Broker, 'groups'>, groupId: string, memberEpoch: number, memberId: string) {
  return broker.groups.consumers.heartbeat(
    {
      ...{ groupId, memberId, memberEpoch, instanceId: null, rackId: null, rebalanceTimeoutMs: 30_000 },
      ...{ topicNames: ['t'], topicRegex: null, serverAssignor: null, owned: new Map() },
      ...{ clientId: 'test', clientHost: '/127.0.0.1' },
    },
    true,
  );
}

test('a group that is joined while unused groups are removed stays, and the others of the round go', async () => {
  const folder = tempFolder();
  const first = await withTopic({ folder });
  for (const group of ['joined', 'unused']) {
    await beat(first, group, 0, 'member');
    await beat(first, group, -1, 'member');
  }
  await first.close();
  const { change } = GroupCoordinator.prototype;
  let removals = 0;
  // Before the broker opens: it looks for unused groups at once.
  const changing = vi.spyOn(GroupCoordinator.prototype, 'change').mockImplementation(async function (
    this: GroupCoordinator,
    id,
    decide,
  ) {
    // The removal is the first change of the group: the member is just faster.
    if (id === 'joined' && removals++ === 0) await beat({ groups: this }, 'joined', 0, 'late');
    return change.call(this, id, decide);
  });
  onTestFinished(() => changing.mockRestore());
  const { broker, warnings } = await openBroker({ folder, settings: OFTEN });
  open.push(broker);
  await until(() => broker.groups.find('unused') === null);
  expect(removals).toBeGreaterThan(0);
  expect([broker.groups.find('joined')?.isEmpty, warnings]).toEqual([false, []]);
});

test('a start that fails at the groups closes their ledger', async () => {
  const folder = tempFolder();
  await (await withTopic({ folder })).close();
  const files = { open: 0 };
  const disk = hookedDisk(realDisk(folder), async ({ name, path }, proceed) => {
    const result = await proceed();
    if (path.startsWith('ledger/groups')) files.open += name === 'open' ? 1 : name === 'close' ? -1 : 0;
    return result;
  });
  const failing = vi.spyOn(ConsumerGroups.prototype, 'open').mockImplementation(async () => {
    expect(files.open).toBeGreaterThan(0);
    throw new Error('no patterns');
  });
  try {
    await expect(brokerOn({ disk })).rejects.toThrow('no patterns');
  } finally {
    failing.mockRestore();
  }
  expect(files.open).toBe(0);
  await brokerOn({ folder });
});

test('members of the classic protocol who join a group that those of the new one have left find each other', async () => {
  const folder = tempFolder();
  const broker = await withTopic({ folder, settings: { 'group.initial.rebalance.delay.ms': '50' } });
  const { memberEpoch } = await beat(broker, 'g', 0, 'new-protocol');
  await commit(broker, 'g', 't', 5, { memberId: 'new-protocol', generation: memberEpoch });
  await beat(broker, 'g', -1, 'new-protocol');
  const joined = await Promise.all(Array.from({ length: 5 }, () => join(broker, 'g')));
  expect(joined.map(({ generation }) => generation)).toEqual([1, 1, 1, 1, 1]);
  expect(joined.find(({ members }) => members.length > 0)!.members.length).toBe(5);
  expect([broker.groups.find('g')!.kind, committed(broker, 'g', 't')]).toEqual(['classic', 5]);
});

describe('committed offsets', () => {
  test('of a deleted topic are gone, also for a new one of its name', async () => {
    const folder = tempFolder();
    const broker = await withTopic({ folder });
    await makeTopic(broker, 'stays');
    await commit(broker, 'g', 't', 5);
    await commit(broker, 'g', 'stays', 6);
    await broker.topics.delete('t');
    expect(committed(broker, 'g', 't')).toBeNull();
    await makeTopic(broker, 't');
    expect(committed(broker, 'g', 't')).toBeNull();
    await commit(broker, 'g', 't', 1);
    await broker.close();
    const second = await brokerOn({ folder });
    expect([committed(second, 'g', 't'), committed(second, 'g', 'stays')]).toEqual([1, 6]);
  });

  test('of many members share syncs; the last of a partition counts', async () => {
    const folder = tempFolder();
    let syncs = 0;
    const disk = hookedDisk(realDisk(folder), ({ name }, proceed) => {
      if (name === 'sync' || name === 'write') syncs += 1;
      return proceed();
    });
    const broker = await withTopic({ folder, disk });
    const before = syncs;
    await Promise.all(Array.from({ length: 2000 }, (_, offset) => commit(broker, `g${offset % 20}`, 't', offset)));
    expect(syncs - before).toBeLessThan(200);
    for (let group = 0; group < 20; group += 1) expect(committed(broker, `g${group}`, 't')).toBe(1980 + group);
  });

  test('outlive the shortening of their ledger, under commits and removals that go on', async () => {
    const folder = tempFolder();
    const broker = await withTopic({ folder });
    const word = 'x'.repeat(2000);
    const topic = broker.topics.get('t');
    const outside = { memberId: '', generation: -1, instanceId: null, saysEpoch: true };
    const at = (offset: number) => ({ topic, partition: 0, offset, leaderEpoch: -1, metadata: word });
    // Each goes on by itself, so that some are on their way at any moment. Every seventh group is removed in between.
    const goOn = async (group: number): Promise<void> => {
      for (let offset = 0; offset < 100; offset += 1) {
        await broker.groups.commit(`g${group}`, outside, [at(offset)], null);
        if (group % 7 === 0 && offset % 10 === 9) await broker.groups.remove(`g${group}`);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, group) => goOn(group)));
    await broker.close();
    const second = await brokerOn({ folder });
    for (let group = 0; group < 50; group += 1) {
      expect(committed(second, `g${group}`, 't'), `g${group}`).toBe(group % 7 === 0 ? null : 99);
    }
  });
});
