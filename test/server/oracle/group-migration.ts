import { consumerAssignment, owningMetadata } from '../../broker/groups/consumer-metadata.ts';
import { Group } from './consumer-groups.ts';
import { join } from './groups.ts';
import type { Place, Scenario, Side } from './scenario.ts';

/*
 * Groups that go from the classic protocol to the new one and back, with members of both. Kafka gives classic members their
 * ids, which are told by the names that the scenario has for them.
 */

const JOIN_VERSION = 7;

/** A classic consumer whose metadata (version 1) says what it owns. */
class Classic {
  readonly side: Side;
  readonly groupId: string;
  readonly instanceId: string | undefined;
  memberId = '';
  generationId = -1;

  constructor(side: Side, groupId: string, instanceId?: string) {
    this.side = side;
    this.groupId = groupId;
    this.instanceId = instanceId;
  }

  async join(owned: readonly number[] = [], protocols = ['range']) {
    const { groupId, memberId, instanceId } = this;
    const metadata = owningMetadata(groupId, owned);
    const ask = (id: string) => ({
      ...{ groupId, memberId: id, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, protocolType: 'consumer' },
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      protocols: protocols.map((name) => ({ name, metadata })),
    });
    let answer = (await this.side.ask('JoinGroup', JOIN_VERSION, ask(memberId)))!;
    if (answer.errorCode === 79) answer = (await this.side.ask('JoinGroup', JOIN_VERSION, ask(answer.memberId)))!;
    const { errorCode, generationId, protocolType, protocolName, members } = answer;
    if (errorCode === 0) {
      this.memberId = answer.memberId;
      this.generationId = generationId;
    }
    const leads = answer.leader === '' ? 'nobody' : answer.leader === answer.memberId;
    return { errorCode, generationId, protocolType, protocolName, leads, members: members.length };
  }

  /** `given`: what it gives out as the leader, to itself. */
  async sync(given: readonly number[] | null = null) {
    const { groupId, memberId, generationId, instanceId } = this;
    const assignment = given && consumerAssignment(groupId, given);
    const { errorCode, ...answer } = (await this.side.ask('SyncGroup', 5, {
      ...{ groupId, memberId, generationId, protocolType: 'consumer', protocolName: 'range' },
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      assignments: assignment === null ? [] : [{ memberId, assignment }],
    }))!;
    return {
      errorCode,
      protocolName: answer.protocolName,
      assignment: answer.assignment.toString('hex').replace(Buffer.from(groupId).toString('hex'), 'topic '),
    };
  }

  async heartbeat(generationId = this.generationId) {
    const { groupId, memberId } = this;
    return (await this.side.ask('Heartbeat', 3, { groupId, memberId, generationId }))!.errorCode;
  }

  async leave() {
    const { groupId, memberId } = this;
    const { errorCode, members } = (await this.side.ask('LeaveGroup', 4, { groupId, members: [{ memberId }] }))!;
    return [errorCode, members[0]?.errorCode];
  }

  async commit(generation = this.generationId) {
    const { groupId, memberId } = this;
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }];
    const { topics } = (await this.side.ask('OffsetCommit', 8, {
      ...{ groupId, memberId, generationIdOrMemberEpoch: generation },
      topics: [{ name: groupId, partitions }],
    }))!;
    return topics[0]!.partitions[0]!.errorCode;
  }
}

/** Names the classic members in what was seen. */
function plain(seen: unknown, ...members: Classic[]): unknown {
  const text = members.reduce(
    (json, { memberId }, i) => json.replaceAll(memberId, `classic ${i}`),
    JSON.stringify(seen),
  );
  return JSON.parse(text);
}

const scenario = (says: string, run: (group: Group, side: Side, place: Place) => Promise<unknown>): Scenario => ({
  api: 'ConsumerGroupHeartbeat',
  says,
  versions: [1],
  run: async (side, place) => run(await Group.on(side, place), side, place),
});

export const groupMigrationScenarios: Scenario[] = [
  scenario('a classic group whose members go over to the new protocol, and back', async (group, side) => {
    const classic = new Classic(side, group.id);
    const seen: unknown[] = [await classic.join(), await classic.sync([0, 1, 2, 3])];
    seen.push(await group.join('new'));
    seen.push(await group.list(), await group.describe());
    seen.push(await classic.heartbeat(), await classic.commit(), await classic.sync());
    seen.push(await classic.join([0, 1, 2, 3]), await classic.sync(), await group.describe());
    seen.push(await classic.heartbeat(), await classic.join([0, 1]), await classic.sync(), await classic.heartbeat());
    seen.push(await group.beat({ memberId: 'new', memberEpoch: classic.generationId }), await group.describe());
    seen.push(await classic.commit(), await classic.commit(1), await classic.heartbeat(99));
    seen.push(await group.beat({ memberId: 'new', memberEpoch: -1 }));
    seen.push(await group.list(), await classic.heartbeat(), await classic.commit());
    seen.push(await classic.join([0, 1]), await classic.sync([3]), await classic.heartbeat());
    return plain(seen, classic);
  }),
  {
    ...scenario(
      'a member of the new protocol that comes while a classic one is to give something up',
      async (group, side) => {
        const classic = new Classic(side, group.id);
        const seen: unknown[] = [await classic.join(), await classic.sync([0, 1, 2, 3])];
        seen.push(await classic.join([0, 1, 2, 3]), await classic.sync([0, 1]));
        return plain([...seen, await group.join('new')], classic);
      },
    ),
    differs: 'Kafka gives the new member at once what the classic one may not have given up yet',
  },
  scenario('a classic member that joins a group of the new protocol, and leaves it', async (group, side) => {
    const seen: unknown[] = [await group.join('new')];
    const classic = new Classic(side, group.id);
    seen.push(await classic.join(), await classic.sync(), await group.describe());
    seen.push(await group.beat({ memberId: 'new', memberEpoch: 2 }));
    seen.push(await group.beat({ memberId: 'new', memberEpoch: 2, owns: [0, 1] }));
    seen.push(await classic.heartbeat(), await classic.join(), await classic.sync(), await group.describe());
    const strange = new Classic(side, group.id);
    seen.push(await strange.join([], ['sticky']));
    seen.push(await classic.leave(), await classic.leave(), await group.describe());
    return plain(seen, classic);
  }),
  scenario(
    'an empty group of the new protocol that becomes classic, and one of the classic that becomes new',
    async (group, side) => {
      const classic = new Classic(side, group.id);
      const seen: unknown[] = [await group.join('new'), await group.beat({ memberId: 'new', memberEpoch: -1 })];
      seen.push(await classic.join(), await group.list(), await classic.sync([0]), await classic.leave());
      seen.push(await group.list(), await group.join('new'), await group.list());
      return plain(seen, classic);
    },
  ),
  scenario('a classic group that is no group of consumers', async (group, side) => {
    const { memberId } = (await join(side, group.id, 5, { protocolType: 'connect' }))!;
    return [memberId !== '', await group.join('new'), (await group.list())[0]!.groupType];
  }),
  scenario('a static member that changes its protocol', async (group, side) => {
    const classic = new Classic(side, group.id, 'i');
    const seen: unknown[] = [await classic.join(), await classic.sync([0, 1, 2, 3])];
    seen.push(await group.join('new', { instanceId: 'i' }), await group.describe(), await classic.heartbeat());
    const again = new Classic(side, group.id, 'i');
    seen.push(await again.join(), await group.list());
    return plain(seen, classic, again);
  }),
];
