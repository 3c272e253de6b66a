import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { Broker } from '../../src/broker/broker.ts';
import type { Topic } from '../../src/broker/topic.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { failureOf, until } from '../log/support.ts';
import { SeededRandom } from '../seeded-random.ts';
import { atEnd, openBroker, tempFolder } from '../server/support.ts';
import { SetClock } from './set-clock.ts';

const INTERVAL_MS = 60_000;
const DAY_MS = 86_400_000;
const TEN_YEARS_MS = 3650 * DAY_MS;

const SETTINGS = {
  'log.initial.task.delay.ms': String(INTERVAL_MS),
  'log.retention.check.interval.ms': String(INTERVAL_MS),
};

async function start(clock: SetClock, folder = tempFolder()): Promise<{ broker: Broker; messages: () => string }> {
  const { broker, warnings } = await openBroker({ folder, clock, settings: SETTINGS });
  atEnd(() => broker.close());
  return { broker, messages: () => warnings.map(({ message }) => message).join() };
}

function create(broker: Broker, name: string, settings: Record<string, string>): Promise<Topic> {
  return broker.topics.create({
    name,
    partitions: 1,
    replicationFactor: 1,
    settings: new Map(Object.entries(settings)),
  });
}

async function topicWith(broker: Broker, name: string, settings: Record<string, string>): Promise<() => number> {
  const topic = await create(broker, name, settings);
  const batch = buildBatch([{ timestampMs: broker.clock.wallMs(), key: Buffer.from('k'), value: Buffer.from('v') }]);
  await broker.produce(topic, 0, batch, { acks: -1, version: 9 }).settled;
  return () => topic.partition(0).marks.logStart;
}

const STAMPED = { 'message.timestamp.type': 'LogAppendTime' };

/** Lets some passes run: a topic that is made for it expires. */
async function passOver(clock: SetClock, broker: Broker): Promise<void> {
  const name = `expired-${broker.topics.size}`;
  const expired = await topicWith(broker, name, { 'retention.ms': '1000' });
  await pass(clock, () => expired() === 1);
}

/** Lets one pass after the other run until something holds. */
async function pass(clock: SetClock, holds: () => boolean): Promise<void> {
  await until(() => {
    clock.advance(INTERVAL_MS);
    return holds();
  });
}

test('deletes what is over the limits of its topic, and nothing where the topic has none', async () => {
  const clock = new SetClock();
  const { broker } = await start(clock);
  const short = await topicWith(broker, 'short', { 'retention.ms': '1000' });
  const small = await topicWith(broker, 'small', { 'retention.ms': '-1', 'retention.bytes': '0' });
  const kept = await Promise.all([
    topicWith(broker, 'for-ever', { 'retention.ms': '-1' }),
    topicWith(broker, 'compacted', { 'retention.ms': '1000', 'cleanup.policy': 'compact' }),
    topicWith(broker, 'untouched', { 'retention.ms': '1000', 'cleanup.policy': '' }),
    topicWith(broker, 'seven-days', {}),
  ]);
  await pass(clock, () => short() === 1 && small() === 1);
  expect(kept.map((logStart) => logStart())).toEqual([0, 0, 0, 0]);
  // A changed setting is felt by the next pass.
  await broker.topics.changeSettings('for-ever', () => ({ 'retention.ms': '1000' }));
  await pass(clock, () => kept[0]!() === 1);
});

test('a segment that the disk cannot read is told of', async () => {
  const clock = new SetClock();
  const { broker, messages } = await start(clock);
  await topicWith(broker, 'unreadable', { 'retention.ms': '1000' });
  const [segment] = broker.topics.get('unreadable').partition(0).segments;
  segment!.index.maxTimestampMs = async () => {
    throw new Fault('diskError');
  };
  await pass(clock, () => messages().includes('segments could not be deleted'));
});

test('a clock that leaps ten years ahead deletes nothing for a day, and is told of', async () => {
  const clock = new SetClock();
  const { broker, messages } = await start(clock);
  const logStart = await topicWith(broker, 'seven-days', {});
  const short = await topicWith(broker, 'short', { 'retention.ms': String(3 * INTERVAL_MS) });
  clock.offMs = TEN_YEARS_MS;
  await pass(clock, () => messages().includes('the clock has leapt ahead'));
  // What expires by the time that really passes still does.
  await pass(clock, () => short() === 1);
  expect(logStart()).toBe(0);
  clock.offMs = -TEN_YEARS_MS;
  for (let i = 0; i < 5; i += 1) clock.advance(INTERVAL_MS);
  clock.offMs = 0;
  const later = await topicWith(broker, 'later', { 'retention.ms': '1000' });
  await pass(clock, () => later() === 1);
  expect(logStart()).toBe(0);
});

test('a start does not make a clock believed that has leapt: the next one but one deleted what was not old', async () => {
  const clock = new SetClock();
  const folder = tempFolder();
  const first = await start(clock, folder);
  await topicWith(first.broker, 'seven-days', {});
  clock.offMs = TEN_YEARS_MS;
  // What the ledger is told in the meantime must not carry the leapt time either.
  await topicWith(first.broker, 'made-in-the-future', {});
  await first.broker.close();
  for (let i = 0; i < 3; i += 1) {
    const { broker } = await start(clock, folder);
    const short = await topicWith(broker, `short-${i}`, { 'retention.ms': '1000' });
    clock.offMs -= TEN_YEARS_MS;
    await topicWith(broker, `old-${i}`, { 'retention.ms': '1000' });
    clock.offMs += TEN_YEARS_MS;
    const log = broker.topics.get(`old-${i}`).partition(0);
    await pass(clock, () => log.marks.logStart === 1);
    expect(short()).toBe(0);
    expect(broker.topics.get('seven-days').partition(0).marks.logStart).toBe(0);
    await broker.close();
  }
});

/** A broker whose clock has just been set back, and a topic of which nothing is stamped yet. */
async function startBehind() {
  const clock = new SetClock();
  const disk = new SimulatedDisk(new SeededRandom(1));
  const opened = await openBroker({ disk, clock, settings: SETTINGS });
  const topic = await create(opened.broker, 'stamped', STAMPED);
  clock.offMs = -TEN_YEARS_MS;
  return { ...opened, clock, disk, topic };
}

async function send(broker: Broker, topic: Topic): Promise<void> {
  const batch = buildBatch([{ timestampMs: 0, key: null, value: Buffer.from('v') }]);
  await broker.produce(topic, 0, batch, { acks: -1, version: 9 }).settled;
}

/** The one record is there when the broker was started on what is left, with the clock set right, and retention ran. */
async function expectKept(clock: SetClock, disk: SimulatedDisk): Promise<void> {
  clock.offMs = 0;
  const { broker } = await openBroker({ disk, clock, settings: SETTINGS });
  atEnd(() => broker.close());
  await passOver(clock, broker);
  const { logStart, acceptedNext } = broker.topics.get('stamped').partition(0).marks;
  expect({ logStart, acceptedNext }).toEqual({ logStart: 0, acceptedNext: 1 });
}

describe('what the broker stamped while its clock was behind', () => {
  test.each([-TEN_YEARS_MS, -30 * DAY_MS])('by %d ms is not old when that is set right', async (offMs) => {
    const clock = new SetClock();
    const { broker } = await start(clock);
    clock.offMs = offMs;
    const stamped = await topicWith(broker, 'stamped', STAMPED);
    const brief = await topicWith(broker, 'brief', { ...STAMPED, 'retention.ms': String(10 * INTERVAL_MS) });
    const sent = await topicWith(broker, 'sent', {});
    clock.offMs = 0;
    await passOver(clock, broker);
    expect([stamped(), brief()]).toEqual([0, 0]);
    // What a client stamped is as old as the client says.
    expect(sent()).toBe(1);
    await pass(clock, () => brief() === 1);
    expect(stamped()).toBe(0);
  });

  test('is not old either when that was behind twice, for another time', async () => {
    const clock = new SetClock();
    const { broker } = await start(clock);
    clock.offMs = -TEN_YEARS_MS;
    const first = await topicWith(broker, 'first', STAMPED);
    clock.offMs = -TEN_YEARS_MS / 2;
    await passOver(clock, broker);
    const second = await topicWith(broker, 'second', STAMPED);
    clock.offMs = 0;
    await passOver(clock, broker);
    expect([first(), second()]).toEqual([0, 0]);
  });

  test('is not old after a start, whether the clock was set right before, or meanwhile, or is later', async () => {
    const clock = new SetClock();
    const folder = tempFolder();
    const first = await start(clock, folder);
    clock.offMs = -TEN_YEARS_MS;
    await topicWith(first.broker, 'before', STAMPED);
    clock.offMs = 0;
    await passOver(clock, first.broker);
    clock.offMs = -TEN_YEARS_MS;
    await topicWith(first.broker, 'meanwhile', STAMPED);
    await first.broker.close();
    clock.offMs = 0;
    const second = await start(clock, folder);
    await passOver(clock, second.broker);
    await second.broker.close();
    clock.offMs = -TEN_YEARS_MS;
    const third = await start(clock, folder);
    await topicWith(third.broker, 'later', STAMPED);
    clock.offMs = 0;
    // A clock that leaps ahead just after a start is not believed for a day.
    for (let i = 0; i < 25; i += 1) {
      clock.advance(DAY_MS / 24);
      await passOver(clock, third.broker);
    }
    for (const name of ['before', 'meanwhile', 'later']) {
      expect(third.broker.topics.get(name).partition(0).marks.logStart, name).toBe(0);
    }
  });

  test('is not old after a power cut, as soon as it is acknowledged', async () => {
    const { clock, disk, broker, topic } = await startBehind();
    // The ledger is busy when it is to be told of the clock.
    for (const value of ['1', '2', '3']) void broker.changeSettings(new Map([['log.segment.bytes', `${value}000000`]]));
    await send(broker, topic);
    await expectKept(clock, disk.afterPowerCut('nothing'));
  });

  test('is not old for a pass of the retention that had begun before', async () => {
    const clock = new SetClock();
    const { broker } = await start(clock);
    // The pass comes to it after these.
    for (const name of ['a', 'b', 'c']) await topicWith(broker, name, { 'retention.ms': '1000' });
    const topic = await create(broker, 'stamped', STAMPED);
    clock.advance(INTERVAL_MS);
    clock.offMs = -TEN_YEARS_MS;
    await send(broker, topic);
    await until(() => broker.topics.get('c').partition(0).marks.logStart === 1);
    await passOver(clock, broker);
    expect(topic.partition(0).marks.logStart).toBe(0);
  });

  test('is not acknowledged, and then refused, while there is no room to store that the clock was set', async () => {
    const { clock, disk, broker, topic, warnings } = await startBehind();
    const isRefused = (call: string, path: string): boolean => call === 'write' && path.startsWith('ledger/cluster');
    disk.fail({ fault: 'ENOSPC', of: isRefused, from: 0, forEver: true });
    let isAcknowledged = false;
    const first = send(broker, topic).then(() => {
      isAcknowledged = true;
    });
    await until(() => warnings.some(({ message }) => message.startsWith('it cannot be stored that the clock was set')));
    expect(await failureOf(send(broker, topic))).toMatchObject({ fault: 'diskFull' });
    expect(isAcknowledged).toBe(false);
    disk.heal();
    clock.advance(1_000);
    // It is tried again when somebody sends; what was sent before has waited for it.
    expect(await failureOf(send(broker, topic))).toMatchObject({ fault: 'diskFull' });
    await first;
    await expectKept(clock, disk.afterPowerCut('nothing'));
  });
});

test('a record of a day to come is told of, once; one of a clock that runs a little fast is not', async () => {
  const clock = new SetClock();
  const { broker, messages } = await start(clock);
  clock.offMs = 30 * INTERVAL_MS;
  await topicWith(broker, 'soon', { 'retention.ms': String(DAY_MS) });
  clock.offMs = DAY_MS;
  await topicWith(broker, 'tomorrow', { 'retention.ms': String(DAY_MS) });
  clock.offMs = 0;
  const expired = await topicWith(broker, 'expired', { 'retention.ms': '1000' });
  await pass(clock, () => expired() === 1);
  await pass(clock, () => messages().includes('a time to come'));
  expect(messages().match(/a time to come/g)).toHaveLength(1);
});
