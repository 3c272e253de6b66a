import { expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { loadChecksum } from '../../src/log/checksum.ts';
import { Machine } from './machine.ts';
import { Network } from './network.ts';
import { RandomStreams } from './random-streams.ts';
import { Scheduler } from './scheduler.ts';
import { WallClock } from './simulated-clock.ts';
import { Trace } from './trace.ts';

/**
 * The epoch of a broker of epoch 0 that is started again after a stop in which the sync of a folder failed, and what is said
 * against it. `isMarked`: whether it is made to find that the stop was a clean one. `topics`: how many it makes before.
 */
async function afterFailedStop(
  folder: string,
  isMarked: boolean,
  topics = 0,
): Promise<{ epoch: number; said: string[] }> {
  await loadChecksum();
  const streams = new RandomStreams(1);
  const scheduler = new Scheduler(streams.of('scheduler'));
  const trace = new Trace(() => scheduler.nowMs, true);
  const network = new Network(scheduler, streams.of('network'), trace);
  const said: string[] = [];
  const onViolation = (what: string): void => void said.push(what);
  const machine = new Machine({ scheduler, streams, trace, wall: new WallClock(scheduler), network, onViolation });
  let epoch: number | null = null;
  const life = (async () => {
    await machine.start();
    await machine.stop();
    const files = machine.disk.files();
    const { topics: made } = (await machine.start()) as Broker;
    for (let i = 0; i < topics; i += 1) {
      await made.create({ name: `topic${i}`, partitions: 1, replicationFactor: -1, settings: new Map() });
    }
    machine.disk.fail({
      fault: 'EIO',
      of: (call, path) => call === 'syncFolder' && path === folder,
      from: 0,
      forEver: true,
    });
    await machine.stop();
    expect(trace.text).toMatch(/stop\n(.*\n)*.*fatal: .*EIO/);
    machine.disk.heal();
    if (isMarked) machine.putBack(files);
    epoch = ((await machine.start()) as Broker).epoch;
  })();
  await scheduler.run(() => epoch !== null, 60_000);
  await life;
  return { epoch: epoch!, said };
}

test('a stop that fails behind its mark may leave the epoch as it is: all that the mark stands for is durable', async () => {
  expect(await afterFailedStop('ledger/cluster', false)).toEqual({ epoch: 0, said: [] });
  // From the seventeenth sync on there is a journal in use, whose mark goes last.
  expect(await afterFailedStop('.', false, 20)).toEqual({ epoch: 0, said: [] });
});

test('after one that fails before its mark the epoch is a higher one, or a broker is accused of that', async () => {
  expect(await afterFailedStop('ledger/groups', false)).toEqual({ epoch: 1, said: [] });
  expect(await afterFailedStop('ledger/groups', true)).toEqual({
    epoch: 0,
    said: ['the leader epoch is 0 after 0'],
  });
});
