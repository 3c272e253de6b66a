import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { type OpenedBroker, openOn, sendBatch } from '../damage/stored.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { failureOf } from '../log/support.ts';
import { ManualClock } from '../manual-clock.ts';
import { SeededRandom } from '../seeded-random.ts';
import { openBroker, tempFolder } from '../server/support.ts';
import { commit, committed } from './groups/member.ts';

/* What was there and is gone is lost, and not new: its offsets are not given again. */

let folder: string;

beforeEach(async () => {
  folder = tempFolder();
  const { broker } = await openBroker({ folder });
  await makeTopic(broker, 'a');
  await sendBatch(as(broker), 'a', 0, ['one', 'two']);
  await commit(broker, 'g', 'a', 2);
  await broker.close();
});

const as = (broker: Broker): OpenedBroker => ({ broker, clock: new ManualClock(), told: [] });
const at = (relative: string): string => path.join(folder, relative);
const topicFolder = (): string => `topics/${fs.readdirSync(at('topics'))[0]}`;

async function makeTopic(broker: Broker, name: string): Promise<void> {
  await broker.topics.create({ name, partitions: 2, replicationFactor: -1, settings: new Map() });
}

/** Takes what is there aside, as a volume that is not mounted. */
function loseFolder(relative: string): { putBack(): void } {
  const aside = tempFolder();
  fs.cpSync(at(relative), aside, { recursive: true });
  fs.rmSync(at(relative), { recursive: true });
  return {
    putBack: () => {
      fs.rmSync(at(relative), { recursive: true, force: true });
      fs.cpSync(aside, at(relative), { recursive: true });
    },
  };
}

const names = (): string[] => fs.readdirSync(folder, { recursive: true }).map(String).sort();

async function expectRefused(lost: string): Promise<void> {
  const before = names();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const refused = (await failureOf(openBroker({ folder }))) as Error;
    expect(refused).toMatchObject({ fault: 'damagedMetadata' });
    expect(refused.message).toContain(lost);
    expect(names()).toEqual(before);
  }
}

async function expectWhole(): Promise<void> {
  const { broker, warnings } = await openBroker({ folder });
  expect(warnings).toEqual([]);
  expect(broker.topics.get('a').partition(0).marks).toMatchObject({ logStart: 0, highWatermark: 2 });
  expect(committed(broker, 'g', 'a')).toBe(2);
  await broker.close();
}

describe('a start is refused, with nothing changed, where a folder is gone', () => {
  test.each([
    ['all topics', () => 'topics'],
    ['a topic', topicFolder],
    ['a partition', () => `${topicFolder()}/0`],
    ['a partition without records', () => `${topicFolder()}/1`],
    ['the ledger of the groups', () => 'ledger/groups'],
  ])('%s', async (_, which) => {
    const lost = which();
    const { putBack } = loseFolder(lost);
    await expectRefused(lost);
    putBack();
    await expectWhole();
  });

  test('after a kill: a partition that was added in an earlier run, and one that the journal has records for', async () => {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const first = await openOn(disk);
    await makeTopic(first.broker, 'a');
    await first.broker.topics.addPartitions('a', 3, false);
    const secondDisk = disk.afterKill();
    const second = await openOn(secondDisk, 2);
    for (const name of ['b', 'c']) await makeTopic(second.broker, name);
    // More than what is synced in place before there is a journal.
    for (let i = 0; i < 40; i += 1) await sendBatch(second, 'c', 0, [`c${i}`]);
    const killed = secondDisk.afterKill();
    const [topicA, topicB, topicC] = ['a', 'b', 'c'].map((name) => second.broker.topics.get(name).id);
    const files = (gone: string): SimulatedDisk =>
      SimulatedDisk.holding(
        new Map([...killed.files()].filter(([name]) => !name.startsWith(gone))),
        new SeededRandom(1),
      );
    expect(await failureOf(openOn(files(`topics/${topicA}/2/`)))).toMatchObject({ fault: 'damagedMetadata' });
    // The journal knows this one.
    expect(await failureOf(openOn(files(`topics/${topicC}/0/`)))).toMatchObject({ fault: 'damagedMetadata' });
    // Of this one nothing says that its folder was made before the process was killed.
    const third = await openOn(files(`topics/${topicB}/`));
    expect(third.broker.topics.get('b').partitions.length).toBe(2);
    await third.broker.close();
  });
});

describe('the journal’s folder is gone', () => {
  /** What a power cut leaves, where the journal alone has the last records. */
  async function killedDisk(): Promise<Map<string, Buffer>> {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const opened = await openOn(disk);
    await makeTopic(opened.broker, 'a');
    for (let i = 0; i < 40; i += 1) await sendBatch(opened, 'a', 0, [`a${i}`]);
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    return disk.afterPowerCut('nothing').files();
  }
  const holding = (files: Map<string, Buffer>): SimulatedDisk => SimulatedDisk.holding(files, new SeededRandom(1));
  const withoutJournal = (files: Map<string, Buffer>): Map<string, Buffer> =>
    new Map([...files].filter(([name]) => !name.startsWith('journal/')));
  const recordsIn = ({ broker }: OpenedBroker): number => broker.topics.get('a').partition(0).marks.highWatermark;

  test('after a power cut: the start is refused with nothing changed, unless the loss is accepted', async () => {
    const files = await killedDisk();
    const disk = holding(withoutJournal(files));
    const before = disk.files();
    expect(await failureOf(openOn(disk))).toMatchObject({ fault: 'damagedMetadata' });
    expect(disk.files()).toEqual(before);
    expect(recordsIn(await openOn(holding(files)))).toBe(40);

    const accepted = withoutJournal(files);
    accepted.delete('journal-in-use');
    expect(recordsIn(await openOn(holding(accepted)))).toBeLessThan(40);
  });

  test('after a clean stop: it is made anew, since all is where it belongs', async () => {
    const disk = holding(await killedDisk());
    await (await openOn(disk)).broker.close();
    const opened = await openOn(holding(withoutJournal(disk.files())));
    expect([recordsIn(opened), opened.told]).toEqual([40, []]);
    await opened.broker.close();
  });
});

describe('an empty folder, made by hand, accepts the loss', () => {
  test('of a partition: it goes on empty, which is told', async () => {
    const lost = `${topicFolder()}/0`;
    loseFolder(lost);
    fs.mkdirSync(at(lost));
    const { broker, warnings } = await openBroker({ folder });
    expect(warnings.map(({ message, facts }) => [message, facts['folder']])).toEqual([
      ['the folder of a partition is empty: its records are gone', lost],
    ]);
    expect(await sendBatch(as(broker), 'a', 0, ['three'])).toBe(0);
    await broker.close();
    expect((await openBroker({ folder })).warnings).toEqual([]);
  });

  test('of the groups: there are none, which is told', async () => {
    loseFolder('ledger/groups');
    fs.mkdirSync(at('ledger/groups'));
    const { broker, warnings } = await openBroker({ folder });
    expect(warnings.map(({ message }) => message)).toEqual([
      "the groups' ledger is empty: all groups and committed offsets are gone",
    ]);
    expect(committed(broker, 'g', 'a')).toBe(null);
    await broker.close();
  });
});
