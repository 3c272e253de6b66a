import type { ApiName } from '../../../src/wire/messages.generated.ts';
import { consumerMetadata } from '../../broker/groups/consumer-metadata.ts';
import { until } from '../support.ts';
import { CLOSED, type Scenario, type Side } from './scenario.ts';

export interface Member {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;
}

export interface JoinWish {
  readonly memberId?: string;
  readonly instanceId?: string;
  readonly topics?: readonly string[];
  readonly protocolType?: string;
  readonly protocols?: readonly string[];
  readonly sessionTimeoutMs?: number;
}

export function joinOf(groupId: string, version: number, wish: JoinWish = {}) {
  const { memberId = '', instanceId, topics = [], protocolType = 'consumer', protocols = ['range'] } = wish;
  return {
    groupId,
    sessionTimeoutMs: wish.sessionTimeoutMs ?? 30_000,
    rebalanceTimeoutMs: 30_000,
    memberId,
    ...(version >= 5 && instanceId !== undefined ? { groupInstanceId: instanceId } : {}),
    protocolType,
    protocols: protocols.map((name) => ({ name, metadata: consumerMetadata(topics) })),
  };
}

/** Joins as one who is given an id, and knows it then. */
export async function join(side: Side, groupId: string, version: number, wish: JoinWish = {}) {
  const first = await side.ask('JoinGroup', version, joinOf(groupId, version, wish));
  if (first?.errorCode !== 79) return first;
  return side.ask('JoinGroup', version, joinOf(groupId, version, { ...wish, memberId: first.memberId }));
}

/** A group with one member that has its work. */
export async function stable(side: Side, groupId: string, wish: JoinWish = {}): Promise<Member> {
  const joined = (await join(side, groupId, 5, wish))!;
  const { memberId, generationId } = joined;
  const member = { groupId, memberId, generationId };
  const assignments = [{ memberId, assignment: Buffer.from('work') }];
  await side.ask('SyncGroup', 3, { ...member, assignments });
  return member;
}

/** Member ids are random: each is told by its place, and lists of members are put in the order of these. */
export function plain<T>(answer: T, ...memberIds: string[]): unknown {
  if (answer === null) return CLOSED;
  const json = JSON.stringify(answer, (key, value) => (key === 'throttleTimeMs' ? undefined : value));
  const named = memberIds.reduce((text, id, i) => (id === '' ? text : text.replaceAll(id, `member ${i}`)), json);
  return JSON.parse(named.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '(id)'), (key, value) =>
    key === 'members' && Array.isArray(value)
      ? value.sort((a, b) => String(a.memberId).localeCompare(String(b.memberId)))
      : value,
  );
}

export const committed = (
  topic: string,
  id: string,
  version: number,
  partitionIndex: number,
  offset: number,
  word = '',
) => ({
  ...(version < 10 ? { name: topic } : { topicId: id }),
  partitions: [{ partitionIndex, committedOffset: offset, committedMetadata: word }],
});

/** Asks under each of several false names. */
async function asStrangers<T>(ask: (memberId: string, generationId: number, instanceId?: string) => Promise<T>) {
  return [
    await ask('', -1),
    await ask('', 3),
    await ask('nobody', -1),
    await ask('nobody', 1),
    await ask('nobody', 1, 'x'),
  ];
}

/** Kafka makes the log of its coordinator when it is first asked for. */
async function ready(side: Side): Promise<void> {
  const BUSY = [14, 15, 16];
  await until(async () => {
    const found = await side.ask('FindCoordinator', 2, { key: 'ready' });
    const fetched = await side.ask('OffsetFetch', 7, { groupId: 'ready', topics: null });
    return !BUSY.includes(found!.errorCode) && !BUSY.includes(fetched!.errorCode);
  });
}

export const scenario = (api: ApiName, says: string, run: Scenario['run']): Scenario => ({
  api,
  says,
  run: async (side, place) => {
    await ready(side);
    return run(side, place);
  },
});

export const groupScenarios: Scenario[] = [
  scenario(
    'OffsetCommit',
    'from outside: to a group that is not there, again, backwards, beyond the end',
    async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const answers: unknown[] = [];
      for (const [partition, offset] of [
        [0, 5],
        [0, 3],
        [0, 1_000_000],
        [7, 1],
        [0, -1],
      ] as const) {
        const wish = { groupId: topic, topics: [committed(topic, id, version, partition, offset)] };
        const { topics } = (await side.ask('OffsetCommit', version, wish)) ?? {};
        answers.push(topics?.map(({ partitions }) => partitions));
      }
      const all = { groupId: topic, topics: null };
      answers.push((await side.ask('OffsetFetch', 7, all))!.topics);
      return answers;
    },
  ),
  scenario(
    'OffsetCommit',
    'under false names, to no group and to a group at work',
    async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const ask = async (groupId: string, memberId: string, generationIdOrMemberEpoch: number, instanceId?: string) => {
        const wish = {
          groupId,
          memberId,
          generationIdOrMemberEpoch,
          ...(version >= 7 && instanceId !== undefined ? { groupInstanceId: instanceId } : {}),
          topics: [committed(topic, id, version, 0, 1), committed(topic, id, version, 0, 1, 'x'.repeat(5000))],
        };
        return (await side.ask('OffsetCommit', version, wish))?.topics.map(({ partitions }) => partitions);
      };
      const answers: unknown[] = await asStrangers((...who) => ask(`${topic}-none`, ...who));
      const { memberId, generationId } = await stable(side, topic);
      answers.push(await asStrangers((...who) => ask(topic, ...who)));
      answers.push(await ask(topic, memberId, generationId));
      answers.push(await ask(topic, memberId, generationId + 1));
      answers.push(await ask(topic, memberId, -1));
      answers.push(await ask('', '', -1));
      return answers;
    },
  ),
  scenario('OffsetCommit', 'to topics that are not there', async (side, { topic, version }) => {
    const strange = committed('no-such', 'Zm9vYmFyZm9vYmFyZm9vYg', version, 0, 1);
    const answer = await side.ask('OffsetCommit', version, { groupId: topic, topics: [strange] });
    return plain([answer, await side.ask('OffsetCommit', version, { groupId: topic, topics: [] })]);
  }),
  scenario(
    'OffsetFetch',
    'of no group, of what was committed and of what was not',
    async (side, { topic, version }) => {
      const id = await side.topic(topic, 2);
      await side.ask('OffsetCommit', 8, { groupId: topic, topics: [committed(topic, id, 8, 1, 4, 'word')] });
      const topics = [
        { ...(version < 10 ? { name: topic } : { topicId: id }), partitionIndexes: [0, 1, 9] },
        { ...(version < 10 ? { name: 'no-such' } : { topicId: 'Zm9vYmFyZm9vYmFyZm9vYg' }), partitionIndexes: [0] },
      ];
      const ask = (groupId: string, wanted: typeof topics | null) =>
        side.ask(
          'OffsetFetch',
          version,
          version < 8 ? { groupId, topics: wanted } : { groups: [{ groupId, topics: wanted }] },
        );
      const answers = [await ask(topic, topics), await ask('no-such', topics), await ask('', topics)];
      if (version >= 2) answers.push(await ask(topic, null), await ask('no-such', null));
      return plain(answers, id);
    },
  ),
  scenario('FindCoordinator', 'of groups, of transactions, of what nobody knows', async (side, { version }) => {
    const shape = (answer: Awaited<ReturnType<typeof ask>>) => {
      if (answer === null) return CLOSED;
      const found = version < 4 ? [answer] : answer.coordinators;
      return found.map(({ errorCode, nodeId, errorMessage }) => ({
        errorCode,
        nodeId,
        errorMessage: errorCode === 0 ? errorMessage : '',
      }));
    };
    const ask = (keyType: number, ...keys: string[]) =>
      side.ask('FindCoordinator', version, {
        ...(version < 1 ? {} : { keyType }),
        ...(version < 4 ? { key: keys[0]! } : { coordinatorKeys: keys }),
      });
    const types = version < 1 ? [0] : [0, 9];
    const answers: unknown[] = [];
    for (const type of types) answers.push(shape(await ask(type, 'a', 'b')), shape(await ask(type, '')));
    return answers;
  }),
  scenario('JoinGroup', 'new, known, unknown, again, and what cannot be', async (side, { topic, version }) => {
    const ask = (wish: JoinWish, groupId = topic) => side.ask('JoinGroup', version, joinOf(groupId, version, wish));
    const answers: unknown[] = [];
    for (const wish of [
      { sessionTimeoutMs: 1 },
      { sessionTimeoutMs: 1_800_001 },
      { protocols: [] },
      { protocolType: '' },
      { memberId: 'nobody' },
      { memberId: 'nobody', instanceId: 'x' },
    ]) {
      answers.push(plain(await ask(wish, `${topic}-${answers.length}`)));
    }
    answers.push(plain(await ask({}, '')));
    const first = await ask({});
    answers.push(plain(first, first?.memberId ?? ''));
    const memberId = first!.memberId;
    const joined = await ask({ memberId });
    answers.push(plain(joined, memberId));
    answers.push(plain(await ask({ memberId }), memberId));
    answers.push(plain(await ask({ memberId, protocols: ['other'] }), memberId));
    answers.push(plain(await ask({ memberId: 'nobody' }), memberId));
    answers.push(plain(await ask({ protocolType: 'connect' }), memberId));
    return answers;
  }),
  scenario('JoinGroup', 'a static member that comes back', async (side, { topic, version }) => {
    const { memberId } = await stable(side, topic, { instanceId: 'i' });
    const back = await join(side, topic, version, version < 5 ? { memberId } : { instanceId: 'i' });
    const ids = [memberId, back?.memberId ?? ''];
    const old = await side.ask('Heartbeat', 3, { groupId: topic, generationId: 1, memberId, groupInstanceId: 'i' });
    const told = await side.ask('DescribeGroups', 4, { groups: [topic] });
    return plain([back, old, told], ...ids);
  }),
  scenario('SyncGroup', 'of a generation, of another, of strangers', async (side, { topic, version }) => {
    const protocol = version < 5 ? {} : { protocolType: 'consumer', protocolName: 'range' };
    const ask = (memberId: string, generationId: number, more: object = {}, groupId = topic) =>
      side.ask('SyncGroup', version, { groupId, memberId, generationId, ...protocol, ...more });
    const answers: unknown[] = [plain(await ask('nobody', 1)), plain(await ask('nobody', 1, {}, ''))];
    const { memberId, generationId } = (await join(side, topic, 5))!;
    answers.push(plain(await ask(memberId, generationId + 1)), plain(await ask('nobody', generationId)));
    if (version >= 3) answers.push(plain(await ask(memberId, generationId, { groupInstanceId: 'x' })));
    if (version >= 5) answers.push(plain(await ask(memberId, generationId, { protocolName: 'other' })));
    if (version >= 5) answers.push(plain(await ask(memberId, generationId, { protocolType: null })));
    const assignments = [{ memberId, assignment: Buffer.from('work') }];
    answers.push(plain(await ask(memberId, generationId, { assignments })), plain(await ask(memberId, generationId)));
    return answers;
  }),
  scenario('Heartbeat', 'of a member, and of strangers', async (side, { topic, version }) => {
    const ask = (memberId: string, generationId: number, instanceId?: string, groupId = topic) =>
      side.ask('Heartbeat', version, {
        groupId,
        memberId,
        generationId,
        ...(version >= 3 && instanceId !== undefined ? { groupInstanceId: instanceId } : {}),
      });
    const answers: unknown[] = [plain(await ask('nobody', 1)), plain(await ask('nobody', 1, undefined, ''))];
    const { memberId, generationId } = await stable(side, topic);
    answers.push(plain(await ask(memberId, generationId)), plain(await ask(memberId, generationId - 1)));
    answers.push(plain(await asStrangers((...who) => ask(...who))));
    return answers;
  }),
  scenario('LeaveGroup', 'a member, a stranger, an instance by its name', async (side, { topic, version }) => {
    const ask = (groupId: string, ...members: { memberId: string; groupInstanceId?: string | null }[]) =>
      side.ask('LeaveGroup', version, version < 3 ? { groupId, memberId: members[0]!.memberId } : { groupId, members });
    const answers: unknown[] = [
      plain(await ask('no-such', { memberId: 'nobody' })),
      plain(await ask('', { memberId: 'nobody' })),
    ];
    const { memberId } = await stable(side, topic);
    answers.push(plain(await ask(topic, { memberId: 'nobody' }, { memberId }, { memberId }), memberId));
    answers.push(plain(await ask(topic, { memberId }), memberId));
    if (version >= 3) {
      const other = await stable(side, `${topic}-static`, { instanceId: 'i' });
      const wrong = { memberId: 'nobody', groupInstanceId: 'i' };
      answers.push(
        plain(
          await ask(
            other.groupId,
            wrong,
            { memberId: '', groupInstanceId: 'x' },
            { memberId: '', groupInstanceId: 'i' },
          ),
        ),
      );
    }
    answers.push(plain(await side.ask('DescribeGroups', 4, { groups: [topic] })));
    return answers;
  }),
  scenario(
    'DescribeGroups',
    'one that is not there, one that holds offsets, one at work, one that was left',
    async (side, { topic, version }) => {
      const id = await side.topic(topic);
      await side.ask('OffsetCommit', 8, { groupId: `${topic}-o`, topics: [committed(topic, id, 8, 0, 4)] });
      const { memberId } = await stable(side, topic);
      const left = await stable(side, `${topic}-l`);
      await side.ask('LeaveGroup', 3, { groupId: left.groupId, members: [{ memberId: left.memberId }] });
      const groups = [`${topic}-none`, `${topic}-o`, topic, `${topic}-l`, ''];
      const answer = await side.ask('DescribeGroups', version, {
        groups,
        ...(version < 3 ? {} : { includeAuthorizedOperations: true }),
      });
      answer?.groups.sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
      for (const group of answer?.groups ?? []) if (group.errorMessage !== null) group.errorMessage = '(said)';
      return plain(answer, memberId);
    },
  ),
  scenario('ListGroups', 'by state and type', async (side, { topic, version }) => {
    await stable(side, topic);
    const ask = async (states: string[], types: string[]) => {
      const filters = {
        ...(version < 4 ? {} : { statesFilter: states }),
        ...(version < 5 ? {} : { typesFilter: types }),
      };
      const answer = await side.ask('ListGroups', version, filters);
      return answer === null ? CLOSED : [answer.errorCode, answer.groups.filter(({ groupId }) => groupId === topic)];
    };
    return [
      await ask([], []),
      await ask(['stable'], ['CLASSIC']),
      await ask([' Stable ', 'Empty'], ['classic', 'consumer']),
      await ask(['Empty'], []),
      await ask(['nonsense'], []),
      await ask([], ['consumer']),
      await ask([], ['nonsense']),
    ];
  }),
  scenario(
    'DeleteGroups',
    'one that is not there, one at work, one that was left, twice',
    async (side, { topic, version }) => {
      const id = await side.topic(topic);
      const { memberId } = await stable(side, topic);
      await side.ask('OffsetCommit', 8, { groupId: `${topic}-o`, topics: [committed(topic, id, 8, 0, 4)] });
      const ask = async (...groupsNames: string[]) => {
        const answer = await side.ask('DeleteGroups', version, { groupsNames });
        return answer?.results.map(({ groupId, errorCode }) => `${groupId} ${errorCode}`).sort() ?? CLOSED;
      };
      const answers: unknown[] = [await ask('no-such', topic, `${topic}-o`), await ask(''), await ask(`${topic}-o`)];
      await side.ask('LeaveGroup', 3, { groupId: topic, members: [{ memberId }] });
      answers.push(await ask(topic), await ask(topic));
      answers.push((await side.ask('OffsetFetch', 7, { groupId: `${topic}-o`, topics: null }))?.topics);
      return answers;
    },
  ),
  scenario(
    'OffsetDelete',
    'of no group, of topics read and not read, of what is not there',
    async (side, { topic, version }) => {
      const id = await side.topic(topic, 2);
      const otherId = await side.topic(`${topic}-b`);
      const ask = async (groupId: string, ...names: string[]) => {
        const partitions = [{ partitionIndex: 0 }, { partitionIndex: 9 }];
        const answer = await side.ask('OffsetDelete', version, {
          groupId,
          topics: names.map((name) => ({ name, partitions })),
        });
        for (const each of answer?.topics ?? []) each.partitions.sort((x, y) => x.partitionIndex - y.partitionIndex);
        return plain(answer);
      };
      const answers: unknown[] = [await ask('no-such', topic), await ask('', topic)];
      const { memberId, generationId: generationIdOrMemberEpoch } = await stable(side, topic, { topics: [topic] });
      const topics = [committed(topic, id, 8, 0, 4), committed(`${topic}-b`, otherId, 8, 0, 4)];
      await side.ask('OffsetCommit', 8, { groupId: topic, memberId, generationIdOrMemberEpoch, topics });
      answers.push(await ask(topic, topic, `${topic}-b`, 'no-such'));
      answers.push((await side.ask('OffsetFetch', 7, { groupId: topic, topics: null }))?.topics);
      await side.ask('LeaveGroup', 3, { groupId: topic, members: [{ memberId }] });
      answers.push(await ask(topic, topic));
      answers.push((await side.ask('OffsetFetch', 7, { groupId: topic, topics: null }))?.topics);
      const connect = await stable(side, `${topic}-c`, { protocolType: 'connect' });
      answers.push(await ask(connect.groupId, topic));
      return answers;
    },
  ),
];
