import { expect, test } from 'vitest';
import { bytes } from '../../src/client/codecs.ts';
import type { Millrace } from '../../src/millrace.ts';
import { newTopic } from './targets.ts';

export function adminSuite(client: () => Millrace): void {
  const filledTopic = async (what: string, count: number): Promise<string> => {
    const topic = newTopic(what);
    await client().admin.createTopic({ name: topic, partitions: 1 });
    await using producer = client().producer({ value: bytes });
    await producer.sendMany(
      Array.from({ length: count }, (_, n) => ({ topic, value: Buffer.from([n]), timestampMs: n * 1000 })),
    );
    return topic;
  };

  test('a topic is made, listed, described and deleted', async () => {
    const { admin } = client();
    const name = newTopic('made');
    await admin.createTopic({ name, partitions: 3 });
    expect(await admin.listTopics()).toContainEqual(expect.objectContaining({ name, partitions: 3, internal: false }));
    const topic = await admin.describeTopic(name);
    expect(topic.partitions.map((one) => one.partition)).toEqual([0, 1, 2]);
    const [broker] = (await admin.describeCluster()).brokers;
    for (const { leader, replicas } of topic.partitions) expect([leader, replicas]).toEqual([broker?.id, [broker?.id]]);
    await admin.deleteTopic(name);
    await expect(admin.describeTopic(name)).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('a topic that is only checked is not made', async () => {
    const { admin } = client();
    const name = newTopic('checked');
    await admin.createTopic({ name }, { validateOnly: true });
    await expect(admin.describeTopic(name)).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('what cannot be made is refused by name', async () => {
    const { admin } = client();
    const name = newTopic('refused');
    await admin.createTopic({ name });
    await expect(admin.createTopic({ name })).rejects.toMatchObject({ fault: 'topicExists' });
    await expect(admin.createTopic({ name: 'no/slashes' })).rejects.toMatchObject({ fault: 'invalidTopicName' });
    await expect(admin.createTopic({ name: newTopic('none'), partitions: 0 })).rejects.toMatchObject({
      fault: 'invalidPartitions',
    });
    await expect(admin.createTopic({ name: newTopic('bad'), settings: { 'no.such': 1 } })).rejects.toMatchObject({
      fault: 'invalidConfig',
    });
    await expect(admin.deleteTopic(newTopic('missing'))).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('a number that no request can carry is refused before it is asked', async () => {
    const { admin } = client();
    const name = newTopic('numbers');
    const refused = { fault: 'invalidArgument' };
    for (const partitions of [1.5, 2 ** 31, Number.NaN]) {
      await expect(admin.createTopic({ name, partitions })).rejects.toMatchObject(refused);
    }
    await expect(admin.createTopic({ name, replicationFactor: 2 ** 15 })).rejects.toMatchObject(refused);
    await expect(admin.describeTopic(name)).rejects.toMatchObject({ fault: 'unknownTopic' });
    await admin.createTopic({ name, partitions: 2 });
    await expect(admin.addPartitions(name, 2.5)).rejects.toMatchObject(refused);
  });

  test('settings are set, read, returned to their default and refused', async () => {
    const { admin } = client();
    const topic = newTopic('settings');
    await admin.createTopic({ name: topic, settings: { 'retention.ms': 12_345 } });
    const retention = async (): Promise<unknown> => (await admin.settings({ topic }, ['retention.ms']))[0];
    // Brokers of a cluster hear of a change a moment after the controller has taken it.
    await expect.poll(retention).toMatchObject({ name: 'retention.ms', value: '12345', source: 'topic' });
    await admin.alterSettings({ topic }, { set: { 'retention.ms': 99 } });
    await expect.poll(retention).toMatchObject({ value: '99' });
    await admin.alterSettings({ topic }, { unset: ['retention.ms'] });
    await expect.poll(retention).toMatchObject({ source: 'default' });
    const refused = admin.alterSettings({ topic }, { set: { 'retention.ms': 'soon' } });
    await expect(refused).rejects.toMatchObject({ fault: 'invalidConfig' });
    await expect(admin.alterSettings({ topic }, {})).rejects.toMatchObject({ fault: 'invalidArgument' });
    await expect(admin.settings({ topic: newTopic('missing') })).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('settings of the broker can be read', async () => {
    const [broker] = (await client().admin.describeCluster()).brokers;
    const settings = await client().admin.settings({ broker: broker?.id ?? -1 });
    expect(settings.map((setting) => setting.name)).toContain('log.dirs');
  });

  test('partitions can be added, never taken away', async () => {
    const { admin } = client();
    const name = newTopic('grown');
    await admin.createTopic({ name, partitions: 2 });
    await admin.addPartitions(name, 5);
    expect((await admin.describeTopic(name)).partitions).toHaveLength(5);
    await expect(admin.addPartitions(name, 3)).rejects.toMatchObject({ fault: 'invalidPartitions' });
  });

  test('offsets are found by place and by time', async () => {
    const { admin } = client();
    const topic = await filledTopic('offsets', 10);
    const offset = async (target: Parameters<typeof admin.offsets>[1]): Promise<number | undefined> =>
      (await admin.offsets(topic, target)).get(0)?.offset;
    expect(await offset('earliest')).toBe(0);
    expect(await offset('latest')).toBe(10);
    expect(await offset('maxTimestamp')).toBe(9);
    expect(await offset({ time: 4_000 })).toBe(4);
    expect(await offset({ time: new Date(4_001) })).toBe(5);
    expect(await offset({ time: 10_000 })).toBe(-1);
    await expect(admin.offsets(topic, 'latest', { partitions: [7] })).rejects.toThrow(/partitions 0 to 0, not 7/);
    await expect(admin.offsets(newTopic('missing'), 'latest')).rejects.toMatchObject({ fault: 'unknownTopic' });
  });

  test('records are trimmed below an offset, or all', async () => {
    const { admin } = client();
    const topic = await filledTopic('trimmed', 10);
    expect(await admin.trim(topic, new Map([[0, 4]]))).toEqual(new Map([[0, 4]]));
    expect((await admin.offsets(topic, 'earliest')).get(0)?.offset).toBe(4);
    await expect(admin.trim(topic, new Map([[0, 11]]))).rejects.toMatchObject({ fault: 'offsetOutOfRange' });
    // Kafka's protocol has -1 stand for the end.
    for (const offset of [-1, 4.5, 2 ** 53]) {
      await expect(admin.trim(topic, new Map([[0, offset]]))).rejects.toMatchObject({ fault: 'invalidArgument' });
    }
    expect((await admin.offsets(topic, 'earliest')).get(0)?.offset).toBe(4);
    expect(await admin.trim(topic, new Map([[0, 'latest']]))).toEqual(new Map([[0, 10]]));
  });

  test('log folders tell the bytes of each partition', async () => {
    const topic = await filledTopic('measured', 10);
    const dirs = await client().admin.logDirs();
    const found = dirs.flatMap((dir) => dir.partitions).find((one) => one.topic === topic);
    expect(found?.partition).toBe(0);
    expect(found?.bytes).toBeGreaterThan(100);
  });
}
