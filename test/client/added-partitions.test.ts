import { expect, test } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/millrace.ts';

test('a reader of a whole topic reads partitions that are added while it runs, from their beginning', async () => {
  await using millrace = await Millrace.open(undefined, { metadataMaxAgeMs: 50 });
  await millrace.admin.createTopic({ name: 't', partitions: 1 });
  await using producer = millrace.producer({ value: text });
  await producer.send({ topic: 't', partition: 0, value: 'before the start' });
  const reader = millrace.reader({ topic: 't', value: text, from: 'latest', maxWaitMs: 50 });
  await reader.start();
  const only = millrace.reader({ topic: 't', value: text, partitions: [0], maxWaitMs: 50 });
  await only.start();
  await millrace.admin.addPartitions('t', 3);
  const other = await millrace.admin.describeTopic('t');
  expect(other.partitions.length).toBe(3);
  for (const partition of [2, 1, 0]) await producer.send({ topic: 't', partition, value: `to ${partition}` });
  const found: string[] = [];
  for await (const { value, partition, offset } of reader) {
    found.push(`${partition} ${offset} ${value}`);
    if (found.length === 3) break;
  }
  expect(found.sort()).toEqual(['0 1 to 0', '1 0 to 1', '2 0 to 2']);
  expect(reader.partitions).toEqual([0, 1, 2]);
  expect(only.partitions).toEqual([0]);
  await only.close();
});
