import { expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import { hookedDisk, isLogFile } from '../log/hooked-disk.ts';
import { atEnd, batch, fetchFrom, makeTopic, produce, produceOf, startBroker, tempFolder, until } from './support.ts';

test('until the disk says that a record is stored, acks=all is not answered and nobody reads it, whatever acks it had', async () => {
  const folder = tempFolder();
  const stored = Promise.withResolvers<void>();
  atEnd(stored.resolve);
  const disk = hookedDisk(realDisk(folder), async ({ name, path }, proceed) => {
    if (name === 'sync' && isLogFile(path) && path.startsWith('topics')) await stored.promise;
    return proceed();
  });
  const { broker, client } = await startBroker({ folder, disk });
  const [producer, reader] = [await client(), await client()];
  for (const topic of ['all', 'one']) await makeTopic(producer, topic);
  expect((await produce(producer, 'one', batch(['a']), 1)).errorCode).toBe(0);
  const waiting = producer.post('Produce', 9, produceOf('all', batch(['a']), -1));
  await until(() => broker.topics.get('all').partitions[0]!.marks.writtenNext === 1);
  for (const topic of ['all', 'one']) {
    const { highWatermark, records } = await fetchFrom(reader, topic);
    expect([highWatermark, Buffer.concat(records ?? []).length], topic).toEqual([0, 0]);
  }
  expect(producer.answers.map(({ correlationId }) => correlationId)).not.toContain(waiting);
  stored.resolve();
  const { responses } = producer.decode('Produce', 9, await producer.answerTo(waiting));
  expect(responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
  for (const topic of ['all', 'one']) await until(async () => (await fetchFrom(reader, topic)).highWatermark === 1);
});
