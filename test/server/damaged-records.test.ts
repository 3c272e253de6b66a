import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { batchesIn } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { batch, connect, fetchFrom, makeTopic, produce, startBroker, tempFolder } from './support.ts';

/** A folder with a topic of six batches, of which the third is not what was written. */
async function folderWithDamage(): Promise<string> {
  const folder = tempFolder();
  const { broker, port, stop } = await startBroker({ folder });
  const client = await connect(port);
  await makeTopic(client, 'orders');
  for (let i = 0; i < 6; i += 1) await produce(client, 'orders', batch([`r${i}`]));
  const log = path.join(folder, broker.topics.get('orders').partition(0).segments[0]!.logPath);
  client.end();
  await stop();
  const bytes = fs.readFileSync(log);
  bytes[[...batchesIn(bytes)][2]! + 64]! ^= 1;
  fs.writeFileSync(log, bytes);
  return folder;
}

function valuesIn(records: Buffer): string[] {
  return [...batchesIn(records)].flatMap((at) => [...recordsOf(records, at)].map(({ value }) => String(value)));
}

test('a reader of damaged records is told so or led past them, as the topic says; their place is told once, to the log and to who asks', async () => {
  const folder = await folderWithDamage();
  const { broker, port, warnings, stop } = await startBroker({ folder });
  const client = await connect(port);
  const told = (what: RegExp) => warnings.filter(({ message }) => what.test(message));
  expect(told(/damaged/)).toEqual([]);
  const read = async (offset: number) => {
    const { errorCode, records } = await fetchFrom(client, 'orders', { offset });
    return { errorCode, values: valuesIn(Buffer.concat([records ?? []].flat())) };
  };
  expect(await read(0)).toEqual({ errorCode: 0, values: ['r0', 'r1'] });
  for (let i = 0; i < 3; i += 1) expect(await read(2)).toEqual({ errorCode: 2, values: [] });
  expect(await read(3)).toEqual({ errorCode: 0, values: ['r3', 'r4', 'r5'] });
  expect(told(/stored records are damaged/)).toMatchObject([
    { facts: { topic: 'orders', partition: 0, firstOffset: 2, lastOffset: 2 } },
  ]);
  expect(broker.topics.quarantined).toMatchObject({ partitions: 1, places: 1 });
  const asked = { topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: -1 }] }] };
  const { topics } = await client.request('DescribeSegments', 0, asked);
  expect(topics[0]!.partitions[0]!.damaged).toMatchObject([{ segment: 0, firstOffset: 2, nextOffset: 3 }]);

  await broker.topics.changeSettings('orders', () => ({ 'millrace.rot': 'skip' }));
  for (let i = 0; i < 2; i += 1) expect(await read(2)).toEqual({ errorCode: 0, values: ['r3', 'r4', 'r5'] });
  expect(told(/led past/)).toHaveLength(1);
  client.end();
  await stop();

  const again = await startBroker({ folder });
  expect(again.warnings.map(({ message }) => message).join()).toMatch(/stored records are damaged; millrace offsets/);
  expect(again.broker.topics.quarantined).toMatchObject({ partitions: 1, places: 1 });
});
