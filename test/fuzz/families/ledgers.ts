import { encode } from 'msgpackr';
import { Fault } from '../../../src/base/faults.ts';
import { limits } from '../../../src/base/limits.ts';
import { decodeMessagePack } from '../../../src/base/message-pack.ts';
import { SteadyTime } from '../../../src/base/steady-time.ts';
import { BrokerSettings, brokerSettingSpecs, type OwnSettingName } from '../../../src/broker/broker-settings.ts';
import { type ClusterEvent, ClusterState } from '../../../src/broker/cluster-state.ts';
import { GroupSettings, groupSettingSpecs, isGroupSetting } from '../../../src/broker/group-settings.ts';
import { ClassicGroup } from '../../../src/broker/groups/classic-group.ts';
import { NO_PARTITIONS } from '../../../src/broker/groups/consumer/assignor.ts';
import type { ConsumerGroup } from '../../../src/broker/groups/consumer/consumer-group.ts';
import {
  type ConsumerGroupContext,
  type Decided,
  LiveConsumerGroup,
} from '../../../src/broker/groups/consumer/live-consumer-group.ts';
import type { Effect } from '../../../src/broker/groups/group.ts';
import type { GroupEvent } from '../../../src/broker/groups/group-events.ts';
import { GroupState } from '../../../src/broker/groups/group-state.ts';
import { expiredOffsets } from '../../../src/broker/groups/offset-expiry.ts';
import { Topic } from '../../../src/broker/topic.ts';
import type { Fold } from '../../../src/ledger/ledger.ts';
import { FrameWriter } from '../../../src/wire/frame-writer.ts';
import { consumerMetadata } from '../../broker/groups/consumer-metadata.ts';
import { beat, joinBeat, testSettings } from '../../broker/groups/consumer-model.ts';
import { contentMutated, messagePackCodec } from '../content-mutations.ts';
import type { Family, Seed } from '../family.ts';

/*
 * What a start makes of a ledger's events. An input is a list of them, in MessagePack; what is changed is what they say. The
 * state that those make which are taken must be good for everything that a broker does with it.
 */

const [ORDERS, MAILS] = ['oPdR3rsXQZ6kGq1vYb0w2A', '_mAiLsXQZ6-kGq1vYb0w2Q'];
const NOW_MS = 5_000;
const YEAR_MS = 366 * 24 * 60 * 60 * 1000;

/** Folds a list of events as a ledger does that is opened. */
function folded<Event, State extends Fold<Event>>(bytes: Buffer, state: State): State {
  const events = decodeMessagePack(bytes);
  if (!Array.isArray(events)) throw new Fault('damagedMetadata');
  fold(events as Event[], state);
  return state;
}

function fold<Event>(events: Iterable<Event>, state: Fold<Event>): void {
  for (const event of events) {
    if (typeof event !== 'object' || event === null) throw new Fault('damagedMetadata');
    state.check(event);
    state.apply(event);
  }
}

/** What is written again is read again by the next start. */
function checkLive<Event>(state: Fold<Event>, again: Fold<Event>): void {
  try {
    fold(state.live(), again);
  } catch (error) {
    throw new Error('what is told again of the state is refused', { cause: error });
  }
}

/** What is answered from the state must fit. */
const writer = new FrameWriter();

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

// The cluster's

const clusterEvents: readonly ClusterEvent[] = [
  { type: 'started', epoch: 0, leap: null, setBacks: { open: null, closed: [] }, made: 'groups' },
  {
    type: 'topic',
    id: ORDERS,
    name: 'orders',
    partitions: 3,
    replicationFactor: 1,
    settings: { 'segment.bytes': '1048576', 'cleanup.policy': 'compact,delete', 'min.cleanable.dirty.ratio': '0.3' },
  },
  { type: 'topic', id: MAILS, name: 'mails.eu', partitions: 1, replicationFactor: 3, settings: {}, made: 1 },
  {
    type: 'topic',
    id: MAILS,
    name: 'mails.eu',
    partitions: 4,
    replicationFactor: 3,
    settings: { 'retention.ms': '5' },
  },
  { type: 'brokerSetting', name: 'num.partitions', value: '4' },
  { type: 'brokerSetting', name: 'log.retention.ms', value: '86400000' },
  { type: 'brokerSetting', name: 'num.partitions', value: null },
  { type: 'groupSettings', group: 'g', settings: { 'consumer.session.timeout.ms': '50000' } },
  { type: 'producerIds', next: 1000 },
  { type: 'stopped', leap: { firstWallMs: 1.5, lastWallMs: 2.5 }, setBacks: null, made: 'all' },
  {
    type: 'started',
    epoch: 1,
    leap: null,
    setBacks: {
      open: { fromMs: 1, behindMs: 900_000, lastMs: 5_000 },
      closed: [{ fromMs: 1, toMs: 2, behindMs: 3_600_000 }],
    },
  },
  { type: 'topicDeleted', id: ORDERS },
];

function readCluster(bytes: Buffer): unknown {
  const settings = new BrokerSettings({});
  const state = folded<ClusterEvent, ClusterState>(bytes, new ClusterState(settings.changed));
  expect(state.partitions <= limits.partitionsMax, `${state.partitions} partitions`);
  for (const [id, record] of state.topics) {
    checkFolder(id);
    expect(!state.deletedTopics.has(id), 'the files of a topic are about to be removed');
    expect(state.collidingWith(record.name)?.id === id, 'a name is not found');
    checkNumbers(new Topic(record, settings).settings);
  }
  for (const id of state.deletedTopics) checkFolder(id);
  for (const [name, { type }] of brokerSettingSpecs) {
    if (['int', 'long', 'double'].includes(type)) checkNumbers(settings.number(name as OwnSettingName));
  }
  const groups = new GroupSettings(state, undefined as never, settings);
  for (const group of groups.groups()) {
    for (const name of Object.keys(groupSettingSpecs))
      if (isGroupSetting(name)) checkNumbers(groups.number(group, name));
  }
  checkClock(state);
  // As a start after a crash raises it.
  writer.begin();
  writer.int32(state.epoch + 1, 'leader epoch');
  expect(Number.isSafeInteger(state.producerIdNext + 1_000_000), 'producer ids end');
  checkLive(state, new ClusterState(new Map()));
  return [state.topics, state.groupSettings, state.brokerSettings];
}

function checkFolder(id: string): void {
  expect(/^[\w-]{22}$/.test(id), `a folder ${id}`);
  writer.begin();
  writer.uuid(id, 'topic id');
}

function checkNumbers(settings: unknown): void {
  if (typeof settings === 'number') expect(!Number.isNaN(settings), 'a setting is no number');
  else if (typeof settings === 'object' && settings !== null) Object.values(settings).forEach(checkNumbers);
}

function checkClock({ leap, setBacks }: ClusterState): void {
  const time = new SteadyTime({ timeMs: 1000, leap, setBacks }, 2000, 10);
  for (const [wallMs, monotonicMs] of [
    [2000, 11],
    [YEAR_MS, 20],
    [3000, 30],
  ] as const) {
    const nowMs = time.now(wallMs, monotonicMs);
    expect(Number.isFinite(nowMs) && Number.isFinite(time.stampAgeMs(500, nowMs)), 'no time is known');
  }
}

// The groups'

const member = {
  instanceId: null,
  rackId: null,
  rebalanceTimeoutMs: 30_000,
  clientId: 'client',
  clientHost: '/127.0.0.1',
  topicNames: ['mails', 'orders'],
  topicRegex: '',
  serverAssignor: 'uniform',
  classic: null,
  epoch: 3,
  previousEpoch: 2,
  state: 'stable',
  assigned: [[ORDERS, [0, 1], [3, 2]]],
  revoking: [],
} as const;
const classicMember = {
  clientId: 'client',
  clientHost: '/127.0.0.1',
  rebalanceTimeoutMs: 60_000,
  sessionTimeoutMs: 10_000,
  metadata: consumerMetadata(['orders']),
  assignment: Buffer.from('work'),
};

const groupEvents: readonly GroupEvent[] = [
  { type: 'uptime', ms: 4000 },
  {
    type: 'offsets',
    group: 'g',
    topic: 'orders',
    topicId: ORDERS,
    partitions: [
      [0, 41, -1, '', 3000, null],
      [2, 2 ** 40, 7, 'metadata', 3500, 90_000],
    ],
  },
  { type: 'offsets', group: 'only offsets', topic: 'gone', topicId: MAILS, partitions: [[0, 1, 0, '', 1, null]] },
  { type: 'offsetsRemoved', group: 'g', topic: 'orders', topicId: ORDERS, partitions: [0, 9], committedUntilMs: 3100 },
  {
    type: 'classicGroup',
    group: 'classic',
    generation: 4,
    protocolType: 'consumer',
    protocolName: 'range',
    leader: 'a',
    sinceMs: 2000,
    members: [
      { memberId: 'a', instanceId: null, ...classicMember },
      { memberId: 'b', instanceId: 'static', ...classicMember },
    ],
  },
  {
    type: 'classicGroup',
    group: 'empty',
    generation: 9,
    protocolType: 'connect',
    protocolName: null,
    leader: null,
    sinceMs: 1,
    members: [],
  },
  { type: 'consumerEpoch', group: 'new', epoch: 3, topics: [[ORDERS, 3]] },
  { type: 'consumerMember', group: 'new', member: { ...member, memberId: 'one' } },
  {
    type: 'consumerMember',
    group: 'new',
    member: {
      ...member,
      memberId: 'two',
      instanceId: 'static',
      topicRegex: 'ord.*',
      state: 'unrevoked',
      assigned: [],
      revoking: [[ORDERS, [2], [1]]],
      classic: { sessionTimeoutMs: 10_000, protocols: [{ name: 'range', metadata: consumerMetadata(['orders']) }] },
    },
  },
  {
    type: 'consumerTarget',
    group: 'new',
    epoch: 3,
    members: [
      ['one', [[ORDERS, [0, 1]]]],
      ['two', [[ORDERS, [2]]]],
    ],
  },
  { type: 'consumerEpoch', group: 'new', epoch: 4 },
  { type: 'consumerMember', group: 'left', member: { ...member, memberId: 'gone' } },
  { type: 'consumerMemberRemoved', group: 'left', memberId: 'gone' },
  { type: 'groupRemoved', group: 'left' },
  { type: 'allOffsetsRemoved', group: 'only offsets' },
];

const topics: ConsumerGroupContext['topics'] = {
  version: 2,
  find: (name) => {
    if (name === 'orders') return { id: ORDERS, partitions: 3 };
    return name === 'mails' ? { id: MAILS, partitions: 2 } : null;
  },
  nameOf: (id) => (id === ORDERS ? 'orders' : null),
  matching: () => ['orders'],
};
const context: ConsumerGroupContext = {
  topics,
  settings: () => testSettings,
  mayHaveClassicMembers: () => true,
  mayBecomeClassic: () => true,
};

function readGroups(bytes: Buffer): unknown {
  const state = folded<GroupEvent, GroupState>(bytes, new GroupState());
  expect(Number.isSafeInteger(state.uptimeMs + YEAR_MS), 'the uptime is no number');
  const groups = [
    ...Array.from(state.classicGroups, ([id, record]) =>
      useClassicGroup(ClassicGroup.load(id, record, classicSettings, NOW_MS)),
    ),
    ...Array.from(state.consumerGroups.values(), useConsumerGroup),
  ];
  for (const id of state.offsets.groupIds()) {
    const offsets = state.offsets.ofGroup(id)!;
    const group = groups.find((one) => one.id === id) ?? new ClassicGroup(id, classicSettings);
    expiredOffsets(group, offsets, NOW_MS, 1000, (topicId) => topicId === ORDERS);
    for (const { topicId, partitions } of offsets.values()) {
      writer.begin();
      writer.uuid(topicId, 'topic id');
      for (const [partition, { offset, leaderEpoch, metadata }] of partitions) {
        writer.int32(partition, 'partition');
        writer.int64(offset, 'offset');
        writer.int32(leaderEpoch, 'leader epoch');
        Buffer.from(metadata);
      }
    }
  }
  checkLive(state, new GroupState());
  return groups.length;
}

const classicSettings = { initialRebalanceDelayMs: 100, membersMax: 100 };

/** What a group wants done is done, and stored, and it goes on. */
function perform(effects: readonly Effect[], nowMs: number, depth = 0): void {
  for (const effect of effects) {
    if (effect.type === 'store' && depth < 5) perform(effect.then(null, nowMs), nowMs, depth + 1);
  }
}

/** A group of an earlier run is taken up, somebody joins it, and all who do not live leave it. */
function useClassicGroup(group: ClassicGroup): ClassicGroup {
  perform(group.takeUp(NOW_MS), NOW_MS);
  group.unusedSinceMs(0);
  group.isSubscribedTo('orders');
  const [protocolType, protocol] = [group.protocolType || 'consumer', group.protocolName || 'range'];
  const protocols = [{ name: protocol, metadata: consumerMetadata(['orders']) }];
  const request = {
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 30_000,
  };
  const join = {
    memberId: '',
    newMemberId: 'fresh',
    mustKnowId: false,
    maySkipAssignment: true,
    protocolType,
    protocols,
  };
  perform(group.join({ answered: () => {} }, { ...request, ...join }, NOW_MS), NOW_MS);
  for (const { protocols, assignment } of group.members) Buffer.concat([protocols[0]!.metadata, assignment]);
  for (let nowMs = NOW_MS; nowMs < YEAR_MS; nowMs *= 20) perform(group.wake(nowMs), nowMs);
  writer.begin();
  writer.int32(group.generation, 'generation');
  return group;
}

/** The members of a group send what they send, others join, and all who do not live leave it. */
function useConsumerGroup(state: ConsumerGroup): LiveConsumerGroup {
  const group = new LiveConsumerGroup(state, context, NOW_MS);
  const decide = (decided: () => Decided<unknown>): void => {
    try {
      // Not folded: the state that was read is what is looked at.
      decided();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
  };
  for (const { memberId, instanceId, epoch, rebalanceTimeoutMs } of [...state.members.values()]) {
    writer.begin();
    writer.int32(epoch, 'epoch');
    writer.int32(rebalanceTimeoutMs, 'rebalance timeout');
    decide(() => group.heartbeat(beat(memberId, { memberEpoch: epoch, instanceId }), memberId, NOW_MS));
    decide(() => group.leave(beat(memberId, { memberEpoch: -1 }), NOW_MS));
    if (instanceId !== null) {
      decide(() => group.heartbeat(joinBeat('again', ['orders'], { instanceId }), 'again', NOW_MS));
    }
  }
  decide(() => group.heartbeat(joinBeat('fresh', ['orders', 'mails'], { owned: NO_PARTITIONS }), 'fresh', NOW_MS));
  decide(() => group.expire(YEAR_MS));
  return group;
}

// Seeds

function seedsOf(events: readonly object[], read: Seed['read']): Seed[] {
  const seed = (name: string, some: readonly object[]): Seed => ({ name, bytes: encode(some), read });
  // Singly as well, so that more of the changes are of each kind.
  const single = events.map((event, i) => seed(`event ${i}, ${(event as { type: string }).type}`, [event]));
  return [seed('all', events), seed('the last ones', events.slice(-6)), ...single];
}

const mutate: Family['mutate'] = (...mutation) => contentMutated(messagePackCodec, ...mutation);

export const clusterLedger: Family = {
  name: 'cluster-ledger',
  allocatedBytesMax: 1024,
  mutate,
  seeds: seedsOf(clusterEvents, readCluster),
};

export const groupsLedger: Family = {
  name: 'groups-ledger',
  allocatedBytesMax: 1024,
  mutate,
  seeds: seedsOf(groupEvents, readGroups),
};
