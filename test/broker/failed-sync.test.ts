import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { failStopDisk } from '../../src/log/fail-stop-disk.ts';
import { commit, makeTopic, type OpenedBroker, openOn, readPartition, Stored, send } from '../damage/stored.ts';
import { type FailingCall, SimulatedDisk } from '../disk/simulated-disk.ts';
import { failureOf } from '../log/support.ts';
import { SeededRandom } from '../seeded-random.ts';

/*
 * A sync that fails says that what the disk holds is unknown. Whatever was synced, and whoever asked: the broker stops itself, and
 * takes nothing more. What was acknowledged is there at the next start.
 */

interface Case {
  readonly what: string;
  readonly call: FailingCall;
  readonly file: RegExp;
  readonly act: (opened: OpenedBroker, stored: Stored) => Promise<unknown>;
}

const cases: readonly Case[] = [
  {
    what: 'the checkpoint that moves the start of a log',
    call: 'sync',
    file: /checkpoint\.new$/,
    act: ({ broker }) => broker.topics.get('orders').partitions[0]!.trim(1),
  },
  {
    what: 'the folder in which that checkpoint stands',
    call: 'syncFolder',
    file: /^topics\/.*\/0$/,
    act: ({ broker }) => broker.topics.get('orders').partitions[0]!.trim(1),
  },
  {
    what: 'a file that the journal is about to use',
    call: 'sync',
    file: /^journal\/\d+$/,
    act: async (opened, stored) => {
      for (let i = 0; i < 40; i += 1) await send(opened, stored, 'orders', 0, ['x'.repeat(1000)]);
    },
  },
  {
    what: 'the folder of a topic that is made',
    call: 'syncFolder',
    file: /^topics/,
    act: (opened, stored) => makeTopic(opened, stored, 'more', 1),
  },
  {
    what: "the groups' ledger",
    call: 'sync',
    file: /^ledger\/groups\/.*\.log$/,
    act: (opened, stored) => commit(opened, stored, 'readers', 'orders', 1),
  },
];

test.each(cases.map((one) => [one.what, one] as const))(
  'the broker stops itself when the sync fails of %s',
  async (_, { call, file, act }) => {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const stored = new Stored();
    const opened = await openOn(disk);
    await makeTopic(opened, stored, 'orders', 1);
    await send(opened, stored, 'orders', 0, ['a', 'b']);
    disk.fail({ fault: 'EIO', of: (one, path) => one === call && file.test(path), from: 0, forEver: false });
    void act(opened, stored).catch(() => {});
    expect(await opened.broker.fatal).toMatchObject({ fault: 'brokerStopped' });
    expect(await failureOf(send(opened, new Stored(), 'orders', 0, ['c']))).toMatchObject({ fault: 'brokerStopped' });
    await opened.broker.close();
    const again = await openOn(disk.afterPowerCut('nothing'), 2);
    const found = { lost: 0, missing: 0, broken: [] };
    const log = again.broker.topics.get('orders').partitions[0]!;
    expect(log.marks.logStart).toBeLessThanOrEqual(1);
    const known = stored.ofPartition('orders', 0).filter(({ offset }) => offset >= log.marks.logStart);
    expect(await readPartition(log, known, found)).toEqual(known);
    await again.broker.close();
  },
);

test.runIf(process.platform === 'linux')('the real disk tells of a failed sync as the simulated one does', async () => {
  const told: Fault[] = [];
  // Nothing can be synced there.
  const disk = failStopDisk(realDisk('/proc/self'), (fault) => told.push(fault));
  const file = await disk.open('environ', 'read');
  expect(await failureOf(file.sync())).toBe(told[0]);
  await file.close();
  expect(await failureOf(disk.syncFolder('task'))).toBe(told[1]);
  // Not a sync.
  expect(await failureOf(disk.rename('environ', 'other'))).toBeInstanceOf(Fault);
  expect(told.length).toBe(2);
});
