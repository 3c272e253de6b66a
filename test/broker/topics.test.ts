import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { Broker } from '../../src/broker/broker.ts';
import type { NewTopic } from '../../src/broker/topics.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { copyOf } from '../log/support.ts';
import { batch, openBroker, type TestBrokerSetup, tempFolder, until } from '../server/support.ts';

const open: Broker[] = [];

afterEach(async () => {
  for (const broker of open.splice(0)) await broker.close().catch(() => {});
});

async function brokerOn(folder: string, setup: TestBrokerSetup = {}): Promise<Broker> {
  const { broker } = await openBroker({ folder, ...setup });
  open.push(broker);
  return broker;
}

function topic(name: string, partitions = 1, settings: Record<string, string> = {}): NewTopic {
  return { name, partitions, replicationFactor: -1, settings: new Map(Object.entries(settings)) };
}

const foldersOf = (folder: string): string[] => fs.readdirSync(path.join(folder, 'topics')).sort();

async function faultOf(operation: Promise<unknown>): Promise<string> {
  const error = await operation.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Fault)) throw new Error(`no fault but ${error}`);
  return error.fault;
}

describe('a start finds', () => {
  test('topics, partitions and settings as they were', async () => {
    const folder = tempFolder();
    const first = await brokerOn(folder);
    const { id } = await first.topics.create(topic('kept', 2, { 'retention.ms': '5' }));
    await first.topics.create(topic('gone'));
    await first.topics.addPartitions('kept', 4, false);
    await first.topics.changeSettings('kept', (own) => ({ ...own, 'segment.bytes': '20000' }));
    await first.topics.delete('gone');
    await first.changeSettings(new Map([['log.retention.bytes', '77']]));
    await first.close();

    const second = await brokerOn(folder);
    expect(Array.from(second.topics, ({ name }) => name)).toEqual(['kept']);
    const kept = second.topics.get('kept');
    expect([kept.id, kept.partitions.length]).toEqual([id, 4]);
    expect(kept.record.settings).toEqual({ 'retention.ms': '5', 'segment.bytes': '20000' });
    expect(kept.setting('retention.bytes')).toEqual({ name: 'log.retention.bytes', value: '77', source: 'broker' });
    expect(foldersOf(folder)).toEqual([id]);
  });

  test('the same after a process that was killed, with a higher leader epoch', async () => {
    const folder = tempFolder();
    const first = await brokerOn(folder);
    await first.topics.create(topic('t', 3));
    const killed = copyOf(folder);
    expect((await brokerOn(killed)).topics.get('t').partitions.length).toBe(3);
    expect([first.epoch, open.at(-1)!.epoch]).toEqual([0, 1]);
    await first.close();
    expect((await brokerOn(folder)).epoch).toBe(0);
  });

  test('nothing of a topic whose deletion was durable when the process was killed', async () => {
    const folder = tempFolder();
    const disk = realDisk(folder);
    // The removal of the files never comes to its end.
    const stuck: Disk = { ...disk, removeFolder: () => Promise.reject(new Fault('diskError', { detail: 'stuck' })) };
    const first = await brokerOn(folder, { disk: stuck });
    const { id } = await first.topics.create(topic('t'));
    await first.topics.delete('t');
    const killed = copyOf(folder);
    expect(foldersOf(killed)).toEqual([id]);
    const second = await brokerOn(killed);
    expect(foldersOf(killed)).toEqual([]);
    expect(second.topics.size).toBe(0);
  });

  test('a folder that no topic owns, and leaves it alone', async () => {
    const folder = tempFolder();
    await (await brokerOn(folder)).close();
    fs.mkdirSync(path.join(folder, 'topics/strange'), { recursive: true });
    const { broker, warnings } = await openBroker({ folder });
    open.push(broker);
    expect(foldersOf(folder)).toEqual(['strange']);
    expect(warnings).toMatchObject([{ facts: { folder: 'strange' } }]);
  });
});

describe('changes at the same time', () => {
  test('partitions that are added twice at once are opened once each', async () => {
    const broker = await brokerOn(tempFolder());
    await broker.topics.create(topic('t', 2));
    const [four, six] = [broker.topics.addPartitions('t', 4, false), broker.topics.addPartitions('t', 6, false)];
    await Promise.all([four, six]);
    const { partitions } = broker.topics.get('t');
    expect(new Set(partitions.map((log) => log.folder)).size).toBe(6);
    expect(partitions.map((log) => log.folder.split('/').at(-1))).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('a topic that is deleted while it gets partitions is gone for good', async () => {
    const folder = tempFolder();
    const broker = await brokerOn(folder);
    await broker.topics.create(topic('t', 1));
    const added = broker.topics.addPartitions('t', 40, false).catch(() => {});
    const deleted = broker.topics.delete('t');
    await Promise.all([added, deleted]);
    expect(broker.topics.find('t')).toBeNull();
    expect(broker.topics.size).toBe(0);
    await broker.close();
    expect(foldersOf(folder)).toEqual([]);
    expect((await brokerOn(folder)).topics.size).toBe(0);
  });

  test('a setting that changes while partitions are added is not forgotten', async () => {
    const broker = await brokerOn(tempFolder());
    await broker.topics.create(topic('t', 1));
    const added = broker.topics.addPartitions('t', 30, false);
    const changed = broker.topics.changeSettings('t', (own) => ({ ...own, 'max.message.bytes': '100' }));
    await Promise.all([added, changed]);
    const { partitions, settings } = broker.topics.get('t');
    expect([partitions.length, settings.messageBytesMax]).toEqual([30, 100]);
  });

  test('settings that change at once all stay', async () => {
    const broker = await brokerOn(tempFolder());
    await broker.topics.create(topic('t'));
    const names = ['retention.ms', 'retention.bytes', 'segment.ms', 'flush.ms', 'delete.retention.ms'];
    await Promise.all(names.map((name) => broker.topics.changeSettings('t', (own) => ({ ...own, [name]: '7' }))));
    expect(broker.topics.get('t').record.settings).toEqual(Object.fromEntries(names.map((name) => [name, '7'])));
  });

  test('of two who make one topic, one is told that it exists', async () => {
    const broker = await brokerOn(tempFolder());
    const made = await Promise.allSettled([
      broker.topics.create(topic('a.b')),
      broker.topics.create(topic('a.b')),
      broker.topics.create(topic('a_b')),
    ]);
    expect(made.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await faultOf(broker.topics.create(topic('a.b')))).toBe('topicExists');
    expect(await faultOf(broker.topics.create(topic('a_b')))).toBe('topicNameCollides');
  });

  test('who asks for a topic that another is making gets it', async () => {
    const broker = await brokerOn(tempFolder());
    const made = broker.topics.create(topic('t', 5));
    const found = broker.topics.findOrCreate('t');
    expect(await found).toBe(await made);
    expect((await found).partitions.length).toBe(5);
  });

  test('a topic is made and deleted again and again under one name', async () => {
    const folder = tempFolder();
    const broker = await brokerOn(folder);
    const ids = new Set<string>();
    for (let i = 0; i < 10; i += 1) {
      const made = await broker.topics.create(topic('t', 2));
      const { settled, baseOffset } = broker.produce(made, 1, batch(), { acks: -1, version: 9 });
      await settled;
      expect(baseOffset).toBe(0);
      ids.add(made.id);
      await broker.topics.delete('t');
    }
    expect(ids.size).toBe(10);
    await until(() => foldersOf(folder).length === 0);
  });
});

describe('a disk that refuses', () => {
  /** Refuses folders of topics while told so. */
  function refusing(folder: string): { disk: Disk; refuse: boolean } {
    const disk = realDisk(folder);
    const control: { disk: Disk; refuse: boolean } = {
      refuse: false,
      disk: {
        ...disk,
        makeFolder: (name: string) =>
          control.refuse && name.startsWith('topics/') ? Promise.reject(new Fault('diskFull')) : disk.makeFolder(name),
      },
    };
    return control;
  }

  test('a topic that cannot be opened is not there, and can be made once there is room', async () => {
    const folder = tempFolder();
    const control = refusing(folder);
    const broker = await brokerOn(folder, { disk: control.disk });
    control.refuse = true;
    expect(await faultOf(broker.topics.create(topic('t')))).toBe('diskFull');
    expect(await faultOf(broker.topics.findOrCreate('t'))).toBe('diskFull');
    expect(broker.topics.find('t')).toBeNull();
    control.refuse = false;
    await broker.topics.create(topic('t', 3));
    await broker.close();
    const again = await brokerOn(folder);
    expect(Array.from(again.topics, ({ name, partitions }) => [name, partitions.length])).toEqual([['t', 3]]);
  });

  test('partitions that cannot be opened can be asked for again', async () => {
    const folder = tempFolder();
    const control = refusing(folder);
    const broker = await brokerOn(folder, { disk: control.disk });
    await broker.topics.create(topic('t', 2));
    control.refuse = true;
    expect(await faultOf(broker.topics.addPartitions('t', 4, false))).toBe('diskFull');
    expect(broker.topics.get('t').partitions.length).toBe(2);
    control.refuse = false;
    expect(await faultOf(broker.topics.addPartitions('t', 3, false))).toBe('invalidPartitions');
    await broker.topics.addPartitions('t', 4, false);
    expect(broker.topics.get('t').partitions.length).toBe(4);
    expect(await faultOf(broker.topics.addPartitions('t', 4, false))).toBe('invalidPartitions');
  });
});

test('a broker that is closed makes no topics, and leaves no lock', async () => {
  const folder = tempFolder();
  const broker = await brokerOn(folder);
  const pending = Array.from({ length: 5 }, (_, i) => broker.topics.create(topic(`t${i}`, 3)).catch(() => null));
  await broker.close();
  await Promise.all(pending);
  expect(await faultOf(broker.topics.create(topic('late')))).toBe('brokerStopped');
  const again = await brokerOn(folder);
  expect(again.topics.find('late')).toBeNull();
});
