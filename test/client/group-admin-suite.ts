import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { text } from '../../src/client/codecs.ts';
import type { GroupDescription } from '../../src/client/group-description.ts';
import type { Millrace } from '../../src/millrace.ts';
import { beatConsumer, joinClassic, joinConsumer } from './group-members.ts';
import { newTopic } from './targets.ts';

/** What administering groups promises, whatever broker it talks to. */
export function groupAdminSuite(client: () => Millrace): void {
  /** A topic whose records have the timestamps 0, 1000, 2000, …: 10 in partition 0, 5 in 1, none in 2. */
  async function filledTopic(what: string): Promise<string> {
    const topic = newTopic(what);
    await client().admin.createTopic({ name: topic, partitions: 3, settings: { 'retention.ms': -1 } });
    const partitions = [...Array<number>(10).fill(0), ...Array<number>(5).fill(1)];
    await using producer = client().producer({ value: text });
    await producer.sendMany(
      partitions.map((partition, index) => ({ topic, value: 'x', partition, timestampMs: (index % 10) * 1000 })),
    );
    return topic;
  }

  async function described(group: string): Promise<GroupDescription> {
    const found = (await client().admin.groups.describe([group])).get(group);
    if (found === undefined || found instanceof Fault) throw new Error(`${group}: ${found}`);
    return found;
  }

  test('offsets are set, read back in order with their metadata, moved and deleted', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('set');
    const group = newTopic('group-set');
    const outcomes = await groups.setOffsets(group, [
      { topic, partition: 1, offset: 2, metadata: 'by hand' },
      { topic, partition: 0, offset: 7, leaderEpoch: 0 },
    ]);
    expect(outcomes).toEqual([
      { topic, partition: 0, fault: null },
      { topic, partition: 1, fault: null },
    ]);
    expect((await groups.offsets([group])).get(group)).toEqual([
      { topic, partition: 0, offset: 7, leaderEpoch: 0, metadata: '', fault: null },
      { topic, partition: 1, offset: 2, leaderEpoch: -1, metadata: 'by hand', fault: null },
    ]);
    await groups.setOffsets(group, [{ topic, partition: 0, offset: 3 }]);
    const chosen = await groups.offsets([group], { partitions: [{ topic, partitions: [0, 2] }], requireStable: true });
    expect(chosen.get(group)).toMatchObject([
      { partition: 0, offset: 3 },
      { partition: 2, offset: -1 },
    ]);
    expect(await groups.deleteOffsets(group, [{ topic, partition: 0 }])).toEqual([
      { topic, partition: 0, fault: null },
    ]);
    expect((await groups.offsets([group])).get(group)).toMatchObject([{ partition: 1, offset: 2 }]);
  });

  test('several groups are asked at once, and one that is not there fails no other', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('several');
    const names = [newTopic('group-one'), newTopic('group-two'), newTopic('group-none')];
    for (const group of names.slice(0, 2)) await groups.setOffsets(group, [{ topic, partition: 0, offset: 1 }]);
    const offsets = await groups.offsets(names);
    expect([...offsets.keys()]).toEqual(names);
    expect(offsets.get(names[1]!)).toMatchObject([{ topic, partition: 0, offset: 1 }]);
    expect(offsets.get(names[2]!)).toEqual([]);
    const found = await groups.describe(names);
    expect(found.get(names[0]!)).toMatchObject({ group: names[0], type: 'classic', state: 'Empty', members: [] });
    expect(found.get(names[2]!)).toMatchObject({ kafka: 'GROUP_ID_NOT_FOUND' });
    const deleted = await groups.delete([names[2]!, names[0]!]);
    expect(deleted.get(names[0]!)).toBeNull();
    expect(deleted.get(names[2]!)).toMatchObject({ kafka: 'GROUP_ID_NOT_FOUND' });
    expect((await groups.offsets(names)).get(names[0]!)).toEqual([]);
  });

  test('a partition that does not exist fails alone', async () => {
    const topic = await filledTopic('partly');
    const group = newTopic('group-partly');
    const outcomes = await client().admin.groups.setOffsets(group, [
      { topic, partition: 0, offset: 1 },
      { topic, partition: 99, offset: 1 },
    ]);
    expect(outcomes.map(({ partition, fault }) => [partition, fault?.kafka ?? null])).toEqual([
      [0, null],
      [99, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ]);
    const wrong = client().admin.groups.setOffsets(group, [{ topic, partition: 0, offset: -1 }]);
    await expect(wrong).rejects.toMatchObject({ fault: 'invalidArgument' });
  });

  test('a classic group with a static member is listed, described, guarded, and emptied by removing the member', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('classic');
    const group = newTopic('group-classic');
    await groups.setOffsets(group, [{ topic, partition: 1, offset: 4 }]);
    const { memberId } = await joinClassic(client(), group, topic, [0, 2], 'desk-1');
    expect(await groups.list()).toContainEqual(
      expect.objectContaining({ group, type: 'classic', state: 'Stable', protocolType: 'consumer' }),
    );
    expect(await groups.list({ states: ['Empty'] })).not.toContainEqual(expect.objectContaining({ group }));
    expect(await described(group)).toMatchObject({
      group,
      type: 'classic',
      state: 'Stable',
      assignor: 'range',
      groupEpoch: null,
      members: [
        {
          memberId,
          instanceId: 'desk-1',
          clientId: 'test',
          protocol: 'classic',
          subscribedTopics: [topic],
          assignment: [{ topic, partitions: [0, 2] }],
          targetAssignment: null,
        },
      ],
    });
    const moved = groups.setOffsets(group, [{ topic, partition: 0, offset: 0 }]);
    await expect(moved).rejects.toMatchObject({ fault: 'nonEmptyGroup', kafka: 'UNKNOWN_MEMBER_ID' });
    expect((await groups.delete([group])).get(group)).toMatchObject({ kafka: 'NON_EMPTY_GROUP' });
    expect((await groups.deleteOffsets(group, [{ topic, partition: 1 }]))[0]).toMatchObject({
      fault: { kafka: 'GROUP_SUBSCRIBED_TO_TOPIC' },
    });
    expect(await groups.removeMembers(group, [{ instanceId: 'desk-1' }, { instanceId: 'nobody' }])).toMatchObject([
      { instanceId: 'desk-1', fault: null },
      { instanceId: 'nobody', fault: { kafka: 'UNKNOWN_MEMBER_ID' } },
    ]);
    expect(await described(group)).toMatchObject({ state: 'Empty', members: [] });
    expect(await groups.removeMembers(group)).toEqual([]);
  });

  test('a group of the consumer protocol is described with its epochs and what its members are to have', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('consumer');
    const group = newTopic('group-consumer');
    const memberId = 'Zm9vYmFyZm9vYmFyZm9vYg';
    const joinedAt = await joinConsumer(client(), group, topic, memberId);
    expect(await groups.list({ types: ['consumer'] })).toContainEqual(
      expect.objectContaining({ group, type: 'consumer' }),
    );
    const everything = [{ topic, partitions: [0, 1, 2] }];
    // The broker may take its time to make the assignment.
    await expect
      .poll(
        async () => {
          const { members } = await described(group);
          for (const { memberEpoch } of members) await beatConsumer(client(), group, memberId, memberEpoch!);
          return members;
        },
        { timeout: 50_000 },
      )
      .toMatchObject([
        {
          memberId,
          memberEpoch: expect.any(Number),
          protocol: 'consumer',
          subscribedTopics: [topic],
          targetAssignment: everything,
        },
      ]);
    const found = await described(group);
    expect(found).toMatchObject({ type: 'consumer', assignor: 'uniform', protocolType: 'consumer' });
    expect(found.groupEpoch).toBeGreaterThan(0);
    expect(found.members[0]!.memberEpoch).toBeGreaterThanOrEqual(joinedAt);
    expect((await groups.delete([group])).get(group)).toMatchObject({ kafka: 'NON_EMPTY_GROUP' });
  });

  test('members of the consumer protocol are removed by an operator too, static ones by their names', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('consumer-removal');
    const group = newTopic('group-consumer-removal');
    const [memberId, desk] = ['Zm9vYmFyZm9vYmFyZm9vYg', 'YmFyZm9vYmFyZm9vYmFyYg'];
    await joinConsumer(client(), group, topic, memberId);
    await joinConsumer(client(), group, topic, desk, 'desk-1');
    const named = [{ instanceId: 'desk-1' }, { memberId }, { instanceId: 'nobody' }];
    expect(await groups.removeMembers(group, named)).toMatchObject([
      { instanceId: 'desk-1', fault: null },
      { memberId, fault: null },
      { instanceId: 'nobody', fault: { kafka: 'UNKNOWN_MEMBER_ID' } },
    ]);
    expect(await described(group)).toMatchObject({ state: 'Empty', members: [] });
    expect(await groups.removeMembers(group)).toEqual([]);
  });

  test('lag is counted in records and in time, for each partition and its member', async () => {
    const { groups } = client().admin;
    const topic = await filledTopic('lag');
    const group = newTopic('group-lag');
    await groups.setOffsets(group, [
      { topic, partition: 0, offset: 4 },
      { topic, partition: 1, offset: 5 },
    ]);
    await client().admin.trim(topic, new Map([[0, 6]]));
    await joinClassic(client(), group, topic, [0, 2]);
    const startedMs = Date.now();
    const [first, second, third] = await groups.lag(group);
    // The oldest record that is still there has offset 6, and so the time 6000.
    expect(first).toMatchObject({
      offset: 4,
      earliest: 6,
      latest: 10,
      records: 6,
      waitingSinceMs: 6000,
      newestMs: 9000,
    });
    expect(first!.behindMs).toBeGreaterThanOrEqual(startedMs - 6000);
    expect(first!.member).toMatchObject({ clientId: 'test' });
    expect(second).toMatchObject({ offset: 5, latest: 5, records: 0, waitingSinceMs: null, behindMs: 0, member: null });
    expect(third).toMatchObject({ partition: 2, offset: null, latest: 0, records: null, behindMs: null, fault: null });
    expect(third!.member).toMatchObject({ clientId: 'test' });
    await expect(groups.lag(newTopic('group-missing'))).rejects.toMatchObject({ kafka: 'GROUP_ID_NOT_FOUND' });
  });
}
