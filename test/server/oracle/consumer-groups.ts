import type { Draft } from '../../../src/wire/codec.ts';
import type { Messages } from '../../../src/wire/messages.generated.ts';
import { CLOSED, type Place, type Scenario, type Side } from './scenario.ts';
import { alter } from './settings.ts';

/*
 * Groups of the new protocol. Members name themselves, so that both brokers are asked the same; topic ids, which differ, are
 * told by their topics' names.
 */

type Beat = Draft<Messages['ConsumerGroupHeartbeat']['request']>;
type Beating = Omit<Beat, 'groupId' | 'topicPartitions'> & { readonly owns?: readonly number[] | null };

const GROUP_RESOURCE = 32;

/** One group of a scenario: of the topic's name, of which each member's heartbeat is told in short. */
export class Group {
  readonly side: Side;
  readonly version: number;
  readonly id: string;
  topicId = '';

  private constructor(side: Side, { topic, version }: Place) {
    this.side = side;
    this.version = version;
    this.id = topic;
  }

  static async on(side: Side, place: Place, partitions = 4): Promise<Group> {
    const group = new Group(side, place);
    group.topicId = await side.topic(place.topic, partitions);
    await coordinated(side, place.topic);
    // Kafka computes a new target once a second else, and answers hang on the time.
    await alter(side, 1, [[GROUP_RESOURCE, place.topic, [['consumer.assignment.interval.ms', '0']]]]);
    await until(async () => {
      const { results } = (await side.ask('DescribeConfigs', 4, {
        resources: [{ resourceType: GROUP_RESOURCE, resourceName: place.topic, configurationKeys: null }],
      }))!;
      return results[0]!.configs.find(({ name }) => name === 'consumer.assignment.interval.ms')?.value === '0';
    });
    return group;
  }

  async beat({ owns, ...beat }: Beating) {
    const topicPartitions = owns && (owns.length === 0 ? [] : [{ topicId: this.topicId, partitions: [...owns] }]);
    const request = { groupId: this.id, ...beat, topicPartitions: topicPartitions ?? null };
    const answer = await this.side.ask('ConsumerGroupHeartbeat', this.version, request);
    if (answer === null) return CLOSED;
    // The interval is shorter here by default.
    const { errorCode, memberId, memberEpoch, assignment } = answer;
    const has = assignment && this.#partitions(assignment.topicPartitions);
    return { errorCode, memberId, memberEpoch, has };
  }

  join(memberId: string, more: Partial<Beating> = {}) {
    const subscribedTopicNames = [this.id];
    return this.beat({ memberId, memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames, owns: [], ...more });
  }

  async describe() {
    const answer = await this.side.ask('ConsumerGroupDescribe', this.version, { groupIds: [this.id] });
    const { errorCode, groupState, groupEpoch, assignmentEpoch, assignorName, members } = answer!.groups[0]!;
    const told = members
      .map(({ memberId, instanceId, rackId, memberEpoch, subscribedTopicRegex, memberType, ...more }) => ({
        ...{ memberId, instanceId, rackId, memberEpoch, subscribedTopicRegex, memberType },
        subscribedTopicNames: more.subscribedTopicNames,
        has: this.#partitions(more.assignment.topicPartitions),
        target: this.#partitions(more.targetAssignment.topicPartitions),
      }))
      .sort((a, b) => a.memberType - b.memberType || (a.memberId < b.memberId ? -1 : 1));
    return { errorCode, groupState, groupEpoch, assignmentEpoch, assignorName, members: told };
  }

  async list() {
    const { groups } = (await this.side.ask('ListGroups', 5, {}))!;
    return groups.filter(({ groupId }) => groupId === this.id);
  }

  #partitions(topics: readonly { topicId: string; partitions: readonly number[] }[]) {
    return topics.map(({ topicId, partitions }) => [topicId === this.topicId, [...partitions].sort((a, b) => a - b)]);
  }
}

/** Kafka makes the topic that its groups live in when it is first asked, and takes its time. */
async function coordinated(side: Side, groupId: string): Promise<void> {
  await until(async () => {
    await side.ask('FindCoordinator', 4, { coordinatorKeys: [groupId] });
    const { groups } = (await side.ask('OffsetFetch', 8, { groups: [{ groupId, topics: null }] }))!;
    return groups[0]!.errorCode === 0;
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > 600) throw new Error('it does not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const heartbeat = (says: string, run: (group: Group, place: Place) => Promise<unknown>): Scenario => ({
  api: 'ConsumerGroupHeartbeat',
  says,
  run: async (side, place) => run(await Group.on(side, place), place),
});

/** What a request may lack or have too much of, each with what a first join has else. */
const strange: readonly [says: string, beat: Partial<Beating>][] = [
  ['no member id', { memberId: '', memberEpoch: 1 }],
  ['a blank member id', { memberId: '  ' }],
  ['a blank instance', { instanceId: ' ' }],
  ['a blank rack', { rackId: '' }],
  ['no rebalance timeout', { rebalanceTimeoutMs: -1 }],
  ['no word of what it owns', { owns: null }],
  ['partitions that it owns', { owns: [1] }],
  ['no topics', { subscribedTopicNames: null }],
  ['an empty list of topics', { subscribedTopicNames: [] }],
  ['a topic that is not there', { subscribedTopicNames: ['no-such-topic'] }],
  ['a name that no topic can have', { subscribedTopicNames: ['no such topic'] }],
  ['a topic twice', { subscribedTopicNames: ['no-such', 'no-such'] }],
  ['an unknown assignor', { serverAssignor: 'sticky' }],
  ['an empty assignor', { serverAssignor: '' }],
  ['the range assignor', { serverAssignor: 'range' }],
  ['epoch 1', { memberEpoch: 1 }],
  ['epoch -1', { memberEpoch: -1 }],
  ['epoch -2 and no instance', { memberEpoch: -2 }],
  ['epoch -2', { memberEpoch: -2, instanceId: 'i' }],
  ['epoch -3', { memberEpoch: -3 }],
];

const patterns: readonly string[] = ['', '.*', 'no-such.*', '(', 'a{1001}', '(?=x)', '\\d+', '[[:alpha:]-]+'];

export const consumerGroupScenarios: Scenario[] = [
  ...strange.map(([says, beat]) => heartbeat(`a join with ${says}`, (group) => group.join('m', beat))),
  ...strange.map(([says, beat]) =>
    heartbeat(`a join of a second member with ${says}`, async (group) => {
      await group.join('first', { subscribedTopicNames: ['other'] });
      return [await group.join('m', beat), await group.describe()];
    }),
  ),
  heartbeat('one member from its join to its leave', async (group) => [
    await group.join('m', { rackId: 'r' }),
    await group.describe(),
    await group.list(),
    await group.beat({ memberId: 'm', memberEpoch: 1, owns: [0, 1, 2, 3] }),
    await group.beat({ memberId: 'm', memberEpoch: 1 }),
    await group.beat({ memberId: 'm', memberEpoch: 2 }),
    await group.beat({
      memberId: 'm',
      memberEpoch: 0,
      owns: [],
      rebalanceTimeoutMs: 5,
      subscribedTopicNames: [group.id],
    }),
    await group.beat({ memberId: 'm', memberEpoch: -1 }),
    await group.describe(),
    await group.list(),
    await group.beat({ memberId: 'm', memberEpoch: -1 }),
    await group.join('n'),
  ]),
  heartbeat('two members that divide a topic between them', async (group) => [
    await group.join('a'),
    await group.join('b'),
    await group.describe(),
    await group.beat({ memberId: 'a', memberEpoch: 1 }),
    await group.beat({ memberId: 'b', memberEpoch: 2 }),
    await group.describe(),
    await group.beat({ memberId: 'a', memberEpoch: 1, owns: [0, 1] }),
    await group.beat({ memberId: 'b', memberEpoch: 2 }),
    await group.describe(),
    await group.beat({ memberId: 'a', memberEpoch: -1 }),
    await group.describe(),
    await group.beat({ memberId: 'b', memberEpoch: 2, owns: [2, 3] }),
  ]),
  heartbeat('an answer that was lost', async (group) => [
    await group.join('a'),
    await group.join('b', { subscribedTopicNames: [] }),
    await group.beat({ memberId: 'a', memberEpoch: 1, owns: [0, 1, 2, 3] }),
    await group.beat({ memberId: 'a', memberEpoch: 1, owns: [0, 1, 2, 3] }),
    await group.beat({ memberId: 'a', memberEpoch: 1 }),
    await group.beat({ memberId: 'a', memberEpoch: 1, owns: [9] }),
    await group.describe(),
  ]),
  heartbeat('a static member that leaves to come back, and another in its place', async (group) => [
    await group.join('a', { instanceId: 'i' }),
    await group.join('b', { instanceId: 'i' }),
    await group.beat({ memberId: 'b', memberEpoch: 1, instanceId: 'i' }),
    await group.beat({ memberId: 'a', memberEpoch: 1, instanceId: 'j' }),
    await group.beat({ memberId: 'a', memberEpoch: -2, instanceId: 'i' }),
    await group.describe(),
    await group.beat({ memberId: 'a', memberEpoch: 1, instanceId: 'i' }),
    await group.join('b', { instanceId: 'i' }),
    await group.describe(),
    await group.beat({ memberId: 'a', memberEpoch: 1, instanceId: 'i' }),
    await group.beat({ memberId: 'a', memberEpoch: -1, instanceId: 'i' }),
    await group.beat({ memberId: 'b', memberEpoch: -1, instanceId: 'i' }),
    await group.describe(),
  ]),
  heartbeat('a subscription that changes while partitions are on their way', async (group, { topic }) => {
    const other = `${topic}-other`;
    await group.side.topic(other, 1);
    return [
      await group.join('a'),
      await group.beat({ memberId: 'a', memberEpoch: 1, subscribedTopicNames: [other], owns: [0, 1, 2, 3] }),
      await group.describe(),
      await group.beat({ memberId: 'a', memberEpoch: 1, owns: [] }),
      await group.describe(),
      await group.beat({ memberId: 'a', memberEpoch: 2, subscribedTopicNames: [] }),
      await group.describe(),
    ];
  }),
  heartbeat('the assignor that most name', async (group) => [
    await group.join('a', { serverAssignor: 'range' }),
    await group.describe(),
    await group.join('b', { serverAssignor: 'uniform' }),
    await group.join('c', { serverAssignor: 'uniform' }),
    (await group.describe()).assignorName,
  ]),
  heartbeat('the range assignor with three members', async (group) => {
    for (const member of ['c', 'a', 'b']) await group.join(member, { serverAssignor: 'range' });
    for (const member of ['c', 'a', 'b'])
      await group.beat({
        memberId: member,
        memberEpoch: 0,
        owns: [],
        rebalanceTimeoutMs: 5,
        subscribedTopicNames: [group.id],
      });
    return group.describe();
  }),
  heartbeat('partitions that are added and a topic that is deleted', async (group, { topic }) => {
    const seen: unknown[] = [await group.join('a')];
    await group.side.ask('CreatePartitions', 3, {
      topics: [{ name: topic, count: 6, assignments: null }],
      timeoutMs: 10_000,
    });
    const epochs = async (last: number) => {
      let answer = await group.beat({ memberId: 'a', memberEpoch: last });
      await until(async () => {
        if (typeof answer === 'string' || answer.memberEpoch !== last) return true;
        answer = await group.beat({ memberId: 'a', memberEpoch: last });
        return false;
      });
      seen.push(answer);
    };
    await epochs(1);
    await group.side.ask('DeleteTopics', 6, {
      topics: [{ name: topic, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }],
      timeoutMs: 10_000,
    });
    return seen;
  }),
  ...patterns.map(
    (pattern): Scenario => ({
      ...heartbeat(`a join with the pattern ${JSON.stringify(pattern)}`, async (group) => {
        const answer = await group.join('m', { subscribedTopicNames: null, subscribedTopicRegex: pattern });
        return typeof answer === 'string' ? answer : { errorCode: answer.errorCode };
      }),
      versions: [1],
    }),
  ),
  {
    api: 'ConsumerGroupDescribe',
    says: 'groups that are not there, and one twice',
    run: async (side, { topic, version }) => {
      await coordinated(side, topic);
      const { groups } = (await side.ask('ConsumerGroupDescribe', version, { groupIds: ['no-such', '', 'no-such'] }))!;
      return groups.map(({ groupId, errorCode }) => ({ groupId, errorCode })).sort((a, b) => a.errorCode - b.errorCode);
    },
  },
  {
    api: 'OffsetCommit',
    says: 'commits of members of the new protocol, by their epochs',
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      await group.join('a');
      await group.join('b');
      await group.beat({ memberId: 'a', memberEpoch: 1 });
      await group.beat({ memberId: 'a', memberEpoch: 1, owns: [0, 1] });
      const { members } = await group.describe();
      const topicId = group.topicId;
      const commit = async (memberId: string, epoch: number, partitions: readonly number[]) => {
        const answer = await side.ask('OffsetCommit', place.version, {
          groupId: group.id,
          generationIdOrMemberEpoch: epoch,
          memberId,
          topics: [
            {
              ...(place.version < 10 ? { name: place.topic } : { topicId }),
              partitions: partitions.map((partitionIndex) => ({
                partitionIndex,
                committedOffset: 1,
                committedMetadata: '',
              })),
            },
          ],
        });
        return answer!.topics[0]!.partitions.map(({ errorCode }) => errorCode);
      };
      const outcomes: unknown[] = [members];
      for (const memberId of ['a', 'b', 'stranger', '']) {
        for (const epoch of [-1, 0, 1, 2, 3, 4]) {
          for (const partitions of [[0], [3], [0, 3]]) {
            outcomes.push([memberId, epoch, partitions, await commit(memberId, epoch, partitions)]);
          }
        }
      }
      return outcomes;
    },
  },
  {
    api: 'OffsetFetch',
    says: 'fetches of members of the new protocol, by their epochs',
    versions: [9, 10],
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      await group.join('a');
      const fetch = async (memberId: string | null, memberEpoch: number) => {
        const groups = [{ groupId: group.id, memberId, memberEpoch, topics: [] }];
        const answer = (await side.ask('OffsetFetch', place.version, { groups }))!;
        return [memberId, memberEpoch, answer.groups[0]!.errorCode];
      };
      const outcomes: unknown[] = [];
      for (const memberId of ['a', 'stranger', '']) {
        for (const epoch of [-1, 0, 1, 2]) outcomes.push(await fetch(memberId, epoch));
      }
      // With an epoch and no member Kafka has an error of its own making.
      outcomes.push(await fetch(null, -1));
      return outcomes;
    },
  },
  {
    api: 'ConsumerGroupDescribe',
    says: 'what may be done with a group',
    run: async (side, place) => {
      const group = await Group.on(side, place);
      await group.join('a');
      const wanted = { groupIds: [group.id, 'no-such'], includeAuthorizedOperations: true };
      const { groups } = (await side.ask('ConsumerGroupDescribe', place.version, wanted))!;
      // Kafka keeps no order among them.
      return groups.map(({ groupId, authorizedOperations }) => `${groupId} ${authorizedOperations}`).sort();
    },
  },
  {
    api: 'JoinGroup',
    says: 'an empty group of the new protocol, with a member id and without',
    versions: [5],
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      await group.join('a');
      await group.beat({ memberId: 'a', memberEpoch: -1 });
      const ask = async (memberId: string) => {
        const { errorCode } = (await side.ask('JoinGroup', 5, {
          ...{
            groupId: group.id,
            memberId,
            sessionTimeoutMs: 10_000,
            rebalanceTimeoutMs: 1000,
            protocolType: 'consumer',
          },
          protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
        }))!;
        return errorCode;
      };
      return [await ask('stranger'), await ask('')];
    },
  },
  {
    api: 'DescribeGroups',
    says: 'groups of the new protocol, which it does not know',
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      const describe = async () => {
        const { groups } = (await side.ask('DescribeGroups', place.version, { groups: [group.id] }))!;
        return groups.map(({ errorMessage: _, ...more }) => more);
      };
      await group.join('a');
      const seen = await describe();
      await group.beat({ memberId: 'a', memberEpoch: -1 });
      return [seen, await describe()];
    },
  },
  {
    api: 'DeleteGroups',
    says: 'groups of the new protocol, with members and without',
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      const remove = async () => {
        const { results } = (await side.ask('DeleteGroups', place.version, { groupsNames: [group.id] }))!;
        return results[0]!.errorCode;
      };
      await group.join('a');
      const seen: unknown[] = [await remove()];
      await group.beat({ memberId: 'a', memberEpoch: -1 });
      seen.push(await remove(), await remove(), await group.list());
      return [...seen, await group.join('a')];
    },
  },
  {
    api: 'OffsetDelete',
    says: 'offsets of groups of the new protocol, of topics that they read and of others',
    run: async (side, place) => {
      const group = await Group.on(side, { ...place, version: 1 });
      const other = `${place.topic}-other`;
      await side.topic(other, 1);
      const remove = async (name: string) => {
        const topics = [{ name, partitions: [{ partitionIndex: 0 }] }];
        const answer = (await side.ask('OffsetDelete', place.version, { groupId: group.id, topics }))!;
        return [answer.errorCode, answer.topics[0]?.partitions[0]?.errorCode];
      };
      await group.join('a');
      const seen = [await remove(place.topic), await remove(other)];
      await group.beat({ memberId: 'a', memberEpoch: -1 });
      return [...seen, await remove(place.topic)];
    },
  },
  {
    api: 'DescribeConfigs',
    says: 'settings of a group, as they are and as they were set',
    run: async (side, { topic, version }) => {
      // Not the heartbeats' interval, which is shorter here by default.
      const names = ['consumer.session.timeout.ms'];
      const describe = async (resourceName: string) => {
        const { results } = (await side.ask('DescribeConfigs', version, {
          resources: [{ resourceType: GROUP_RESOURCE, resourceName, configurationKeys: names }],
          includeSynonyms: true,
        }))!;
        const { errorCode, configs } = results[0]!;
        const told = configs.map(({ documentation: _, ...config }) => config);
        return { errorCode, configs: told.sort((a, b) => (a.name < b.name ? -1 : 1)) };
      };
      const before = await describe(topic);
      await alter(side, 1, [[GROUP_RESOURCE, topic, [['consumer.session.timeout.ms', '50000']]]]);
      await until(async () => (await describe(topic)).configs.some(({ value }) => value === '50000'));
      const listed = (await side.ask('ListConfigResources', 1, { resourceTypes: [GROUP_RESOURCE] }))!;
      const own = listed.configResources.filter(({ resourceName }) => resourceName === topic);
      return [before, await describe(topic), await describe(''), own];
    },
  },
  {
    api: 'IncrementalAlterConfigs',
    says: 'settings of a group',
    run: async (side, { topic, version }) => {
      const outcomes: unknown[] = [];
      for (const [name, value, op = 0] of [
        ['consumer.heartbeat.interval.ms', '6000'],
        ['consumer.heartbeat.interval.ms', '1'],
        ['consumer.heartbeat.interval.ms', '15001'],
        ['consumer.session.timeout.ms', '50000'],
        ['consumer.session.timeout.ms', '44999'],
        ['consumer.session.timeout.ms', '60001'],
        ['consumer.session.timeout.ms', 'long'],
        ['consumer.session.timeout.ms', '50000', 2],
        ['consumer.assignment.interval.ms', '15000'],
        ['consumer.assignment.interval.ms', '15001'],
        ['consumer.assignment.interval.ms', '-1'],
        ['no.such', '1'],
        ['consumer.session.timeout.ms', null, 1],
      ] as const) {
        outcomes.push([name, value, await alter(side, version, [[GROUP_RESOURCE, topic, [[name, value, op]]]])]);
      }
      outcomes.push(await alter(side, version, [[GROUP_RESOURCE, '', [['consumer.session.timeout.ms', '50000']]]]));
      return outcomes;
    },
  },
];
