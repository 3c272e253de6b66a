import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { hookedDisk } from '../log/hooked-disk.ts';
import { copyOf } from '../log/support.ts';
import { batch, fetchFrom, makeTopic, produce, startBroker, tempFolder, until } from '../server/support.ts';

const { KAFKA_STORAGE_ERROR } = kafkaErrors;

/** A disk that, while it is full, takes nothing new: no bytes, no files, no folders. What is there can be read and removed. */
function fillableDisk(folder: string): { disk: Disk; fill(): void; free(): void } {
  let isFull = false;
  const disk = hookedDisk(realDisk(folder), async ({ name, path: at }, proceed) => {
    const takesRoom = name === 'write' || (name === 'makeFolder' && !existsSync(path.join(folder, at)));
    if (isFull && takesRoom) throw new Fault('diskFull');
    return proceed();
  });
  return {
    disk,
    fill: () => {
      isFull = true;
    },
    free: () => {
      isFull = false;
    },
  };
}

test('while the disk is full: produces are refused for now, reads go on; when there is room, all goes on', async () => {
  const folder = tempFolder();
  const { disk, fill, free } = fillableDisk(folder);
  const { broker, client: connect } = await startBroker({ folder, disk });
  const client = await connect();
  await makeTopic(client, 't', 2);
  for (const value of ['a', 'b']) await produce(client, 't', batch([value]));

  fill();
  for (const acks of [-1, 1]) {
    const refused = await produce(client, 't', batch(['c']), acks);
    expect(refused).toMatchObject({ errorCode: KAFKA_STORAGE_ERROR.code, baseOffset: -1 });
    expect(refused.errorMessage).toContain('the disk is full');
  }
  expect(KAFKA_STORAGE_ERROR.retriable).toBe(true);
  expect(Buffer.concat((await fetchFrom(client, 't')).records ?? []).length).toBeGreaterThan(100);
  expect((await fetchFrom(client, 't')).highWatermark).toBe(2);
  await expect(makeTopic(client, 'another')).rejects.toThrow('the disk is full');
  expect(broker.stopped).toBeNull();

  free();
  expect(await produce(client, 't', batch(['c']))).toMatchObject({ errorCode: 0, baseOffset: 2 });
  expect(await produce(client, 't', batch(['d']), -1, 1)).toMatchObject({ errorCode: 0, baseOffset: 0 });
  await makeTopic(client, 'another');
  expect((await fetchFrom(client, 't')).highWatermark).toBe(3);
});

test('a start on a full disk serves what is stored, and takes more when there is room', async () => {
  const folder = tempFolder();
  const first = await startBroker({ folder });
  const writer = await first.client();
  await makeTopic(writer, 't');
  await produce(writer, 't', batch(['a']));
  await first.stop();

  const { disk, fill, free } = fillableDisk(folder);
  fill();
  const second = await startBroker({ folder, disk });
  const client = await second.client();
  expect(await fetchFrom(client, 't')).toMatchObject({ errorCode: 0, highWatermark: 1 });
  expect(await produce(client, 't', batch(['b']))).toMatchObject({ errorCode: KAFKA_STORAGE_ERROR.code });
  await expect(makeTopic(client, 'another')).rejects.toThrow('the disk is full');

  free();
  await until(async () => (await produce(client, 't', batch(['b']))).errorCode === 0);
  await makeTopic(client, 'another');
  expect(await fetchFrom(client, 't')).toMatchObject({ errorCode: 0, highWatermark: 2 });
  await second.stop();
  expect((await startBroker({ folder })).broker.epoch).toBe(0);
});

test('a start that has to write on a full disk says to start again, and then all is there', async () => {
  const folder = tempFolder();
  const first = await startBroker({ folder });
  const writer = await first.client();
  await makeTopic(writer, 't');
  await produce(writer, 't', batch(['a']));
  const killed = copyOf(folder);

  const { disk, fill, free } = fillableDisk(killed);
  fill();
  await expect(startBroker({ folder: killed, disk })).rejects.toMatchObject({
    fault: 'diskFullAtStart',
    message: expect.stringMatching(/free some room and start again$/),
  });
  free();
  const second = await startBroker({ folder: killed, disk });
  expect(await fetchFrom(await second.client(), 't')).toMatchObject({ errorCode: 0, highWatermark: 1 });
});
