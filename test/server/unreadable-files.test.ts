import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import { problem } from '../disk/failure.ts';
import { hookedDisk } from '../log/hooked-disk.ts';
import { batch, connect, fetchFrom, makeTopic, produce, startBroker, tempFolder } from './support.ts';

const STORAGE_ERROR = 56;
const FIRST_TIMESTAMP_MS = 1_000;

/** A broker that has to read its files, of which the second of one topic's segments cannot be read while `isBad`. */
async function brokerOnBadDisk() {
  const folder = tempFolder();
  const first = await startBroker({ folder });
  const sender = await connect(first.port);
  await makeTopic(sender, 'orders', 1, { 'segment.bytes': '16384' });
  for (let i = 0; i < 6; i += 1) {
    await produce(sender, 'orders', batch([`r${i} ${'.'.repeat(12_000)}`], { timestampMs: FIRST_TIMESTAMP_MS + i }));
  }
  const bad = first.broker.topics.get('orders').partition(0).segments[1]!;
  sender.end();
  await first.stop();

  const state = { isBad: true, laterMs: 0 };
  const disk = hookedDisk(realDisk(folder), async ({ name, path }, proceed) => {
    if (state.isBad && name === 'read' && path === bad.logPath) throw problem('EIO', path, 'read');
    return proceed();
  });
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + state.laterMs };
  const { port, warnings } = await startBroker({ folder, disk, clock });
  const client = await connect(port);
  const read = async (offset: number) => {
    const { errorCode, records } = await fetchFrom(client, 'orders', { offset });
    const bytes = Buffer.concat([records ?? []].flat());
    const values = [...batchesIn(bytes)].flatMap((at) => [...recordsOf(bytes, at)].map(({ value }) => String(value)));
    return { errorCode, values: values.map((value) => value.split(' ')[0]) };
  };
  return { state, client, warnings, read, bad };
}

test('readers of a file that the disk cannot read are told so, and so is the log, again each minute; the others are served', async () => {
  const { state, warnings, read, bad } = await brokerOnBadDisk();
  expect(bad.baseOffset).toBe(1);
  expect(await read(0)).toEqual({ errorCode: 0, values: ['r0'] });
  expect(warnings).toEqual([]);
  for (let i = 0; i < 3; i += 1) expect(await read(1)).toEqual({ errorCode: STORAGE_ERROR, values: [] });
  expect(await read(2)).toMatchObject({ errorCode: 0, values: ['r2'] });
  expect(warnings).toMatchObject([
    { facts: { topic: 'orders', partition: 0, file: bad.logPath }, message: expect.stringMatching(/cannot be read/) },
  ]);
  expect(String(warnings[0]!.facts['err'])).toContain(bad.logPath);
  state.laterMs = 61_000;
  for (let i = 0; i < 3; i += 1) await read(1);
  expect(warnings).toHaveLength(2);
  state.isBad = false;
  expect(await read(1)).toEqual({ errorCode: 0, values: ['r1'] });
});

test('whoever asks by time, or for the files, is told of one that cannot be read, and so is the log', async () => {
  const { client, warnings, bad, state } = await brokerOnBadDisk();
  const listed = async (timestamp: number) => {
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp }] }];
    return (await client.request('ListOffsets', 7, { replicaId: -1, topics })).topics[0]!.partitions[0]!;
  };
  const described = async (offset: number) => {
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset }] }];
    return (await client.request('DescribeSegments', 0, { topics })).topics[0]!.partitions[0]!;
  };
  const asks = [() => listed(FIRST_TIMESTAMP_MS + 1), () => described(1)];
  for (const [i, ask] of asks.entries()) {
    state.laterMs += 61_000;
    expect(await ask()).toMatchObject({ errorCode: STORAGE_ERROR });
    expect(warnings).toHaveLength(i + 1);
    expect(warnings[i]).toMatchObject({ facts: { topic: 'orders', partition: 0 } });
    expect(String(warnings[i]!.facts['err'])).toContain(bad.logPath);
  }
  expect((await described(1)).errorMessage).toContain(bad.logPath);
  expect(await listed(FIRST_TIMESTAMP_MS)).toMatchObject({ errorCode: 0, offset: 0 });
});

test('what lies before and behind a bad place of a file is served', async () => {
  const folder = tempFolder();
  const first = await startBroker({ folder });
  const sender = await connect(first.port);
  await makeTopic(sender, 'orders');
  for (let i = 0; i < 8; i += 1) await produce(sender, 'orders', batch([`r${i} ${'.'.repeat(100_000)}`]));
  const file = path.join(folder, first.broker.topics.get('orders').partition(0).activeSegment.logPath);
  sender.end();
  await first.stop();

  const starts = [...batchesIn(fs.readFileSync(file))];
  for (const badByte of [starts[4]!, starts[4]! + 5_000, starts[4]! + 90_000]) {
    const disk = realDisk(folder);
    const open: Disk['open'] = async (name, mode) => {
      const opened = await disk.open(name, mode);
      if (path.join(folder, name) !== file) return opened;
      const read: DiskFile['read'] = async (buffer, position) => {
        if (position <= badByte && badByte < position + buffer.length) throw problem('EIO', name, 'read');
        return opened.read(buffer, position);
      };
      return { ...withMethods(opened), read };
    };
    const { port, stop } = await startBroker({ folder, disk: { ...disk, open } });
    const client = await connect(port);
    const served: number[] = [];
    for (let offset = 0; offset < 8; offset += 1) {
      const { errorCode, records } = await fetchFrom(client, 'orders', { offset });
      expect([offset, errorCode]).toEqual([offset, offset === 4 ? STORAGE_ERROR : 0]);
      const [at] = batchesIn(Buffer.concat([records ?? []].flat()));
      if (at !== undefined) served.push(offset);
    }
    expect(served).toEqual([0, 1, 2, 3, 5, 6, 7]);
    client.end();
    await stop();
  }
});

function withMethods(file: DiskFile): DiskFile {
  return {
    read: (buffer, position) => file.read(buffer, position),
    write: (buffers, position) => file.write(buffers, position),
    sync: () => file.sync(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  };
}
