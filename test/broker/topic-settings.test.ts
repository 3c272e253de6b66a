import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { batch, fetchFrom, makeTopic, produce, type RawClient, startBroker } from '../server/support.ts';

/*
 * Settings of a topic that are changed while the broker runs hold from the next batch on, in every partition, and a setting
 * that is taken back gives way to the default.
 */

const SET = 0;
const DELETE = 1;

async function alter(client: RawClient, name: string, value: string | null): Promise<void> {
  const configs = [{ name, value, configOperation: value === null ? DELETE : SET }];
  const resources = [{ resourceType: 2, resourceName: 't', configs }];
  const { responses } = await client.request('IncrementalAlterConfigs', 1, { resources, validateOnly: false });
  expect(responses[0]!.errorMessage ?? '').toBe('');
}

const code = async (client: RawClient, records: Buffer, index = 0): Promise<number> =>
  (await produce(client, 't', records, -1, index)).errorCode;

async function brokerWithTopic() {
  const target = await startBroker();
  const client = await target.client();
  await makeTopic(client, 't', 2);
  return { ...target, client, topic: target.broker.topics.get('t') };
}

test('max.message.bytes', async () => {
  const { client } = await brokerWithTopic();
  const large = batch(['x'.repeat(5000)]);
  expect(await code(client, large)).toBe(0);
  await alter(client, 'max.message.bytes', '1000');
  for (const index of [0, 1]) expect(await code(client, large, index)).toBe(kafkaErrors.MESSAGE_TOO_LARGE.code);
  await alter(client, 'max.message.bytes', null);
  expect(await code(client, large)).toBe(0);
});

test('cleanup.policy: a compacted topic refuses records without a key', async () => {
  const { client } = await brokerWithTopic();
  expect(await code(client, batch(['no key']))).toBe(0);
  await alter(client, 'cleanup.policy', 'compact');
  expect(await code(client, batch(['no key']))).toBe(kafkaErrors.INVALID_RECORD.code);
  const mixed = buildBatch(
    ['a', null, 'b', null].map((key) => ({ timestampMs: Date.now(), key: key === null ? null : Buffer.from(key) })),
    { compression: 'gzip' },
  );
  const refused = await produce(client, 't', mixed);
  expect(refused.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3]);
  expect(await code(client, batch(['keyed'], { key: Buffer.from('k') }))).toBe(0);
  await alter(client, 'cleanup.policy', 'delete');
  expect(await code(client, batch(['no key']))).toBe(0);
});

test('message.timestamp.type and the limits of timestamps', async () => {
  const { client } = await brokerWithTopic();
  const hourAgo = batch(['old'], { timestampMs: Date.now() - 3_600_000 });
  expect((await produce(client, 't', hourAgo)).logAppendTimeMs).toBe(-1);
  // Its largest timestamp counts, whichever record has it: it would keep its segment from ever being old.
  const value = Buffer.from('x');
  const later = [Date.now(), Date.now() + 7_200_000].map((timestampMs) => ({ timestampMs, value }));
  expect(await code(client, buildBatch(later))).toBe(kafkaErrors.INVALID_TIMESTAMP.code);
  await alter(client, 'message.timestamp.before.max.ms', '60000');
  expect(await code(client, hourAgo)).toBe(kafkaErrors.INVALID_TIMESTAMP.code);
  await alter(client, 'message.timestamp.type', 'LogAppendTime');
  expect((await produce(client, 't', hourAgo)).logAppendTimeMs).toBeGreaterThan(Date.now() - 600_000);
});

test('a number of millions of digits is refused, and not reckoned with, which would take minutes', async () => {
  const { broker } = await brokerWithTopic();
  const settings = new Map([['retention.ms', '9'.repeat(50_000_000)]]);
  const made = broker.topics.create({ name: 'digits', partitions: 1, replicationFactor: 1, settings });
  await expect(made).rejects.toMatchObject({ fault: 'invalidConfig' });
});

test('segment.bytes: the next batch that does not fit begins a new segment', async () => {
  const { client, topic } = await brokerWithTopic();
  const [log] = topic.partitions;
  const large = batch(['x'.repeat(15_000)]);
  for (let i = 0; i < 5; i += 1) await produce(client, 't', large);
  expect(log!.segments.length).toBe(1);
  await alter(client, 'segment.bytes', '16384');
  for (let i = 0; i < 3; i += 1) await produce(client, 't', large);
  expect(log!.segments.length).toBe(4);
  await alter(client, 'segment.bytes', null);
  for (let i = 0; i < 3; i += 1) await produce(client, 't', large);
  expect(log!.segments.length).toBe(4);
});

test('flush.messages: what is written is visible, then again only what is synced', async () => {
  const { client, topic } = await brokerWithTopic();
  await alter(client, 'flush.messages', '1000000');
  expect(await code(client, batch(['a']))).toBe(0);
  expect(topic.partitions[0]!.marks.facts()).toMatchObject({ durableNext: 0, highWatermark: 1 });
  await alter(client, 'flush.messages', null);
  expect(await code(client, batch(['b']))).toBe(0);
  expect(topic.partitions[0]!.marks.facts()).toMatchObject({ durableNext: 2, highWatermark: 2 });
  expect((await fetchFrom(client, 't')).highWatermark).toBe(2);
});

test('after a restart they are as they were set last', async () => {
  const { client, folder, stop } = await brokerWithTopic();
  await alter(client, 'max.message.bytes', '1000');
  await alter(client, 'max.message.bytes', '2000');
  await stop();
  const again = await (await startBroker({ folder })).client();
  expect(await code(again, batch(['x'.repeat(1500)]))).toBe(0);
  expect(await code(again, batch(['x'.repeat(2500)]))).toBe(kafkaErrors.MESSAGE_TOO_LARGE.code);
});
