import { expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import type { Topic } from '../../src/broker/topic.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { recordsOf } from '../../src/record/records.ts';
import { type ManualClock, readAll, settle, until } from '../log/support.ts';
import { atEnd, openBroker } from '../server/support.ts';
import { SetClock } from './set-clock.ts';

const BACKOFF_MS = 60_000;
const DAY_MS = 86_400_000;

async function start(
  settings: Record<string, string> = {},
): Promise<{ broker: Broker; clock: SetClock; messages: () => string }> {
  const clock = new SetClock();
  const { broker, warnings } = await openBroker({
    clock,
    settings: { 'log.cleaner.backoff.ms': String(BACKOFF_MS), ...settings },
  });
  atEnd(async () => {
    // A pass that is under way asks after each pause whether to go on.
    let isClosed = false;
    const closed = broker.close().finally(() => {
      isClosed = true;
    });
    await until(() => {
      clock.advance(500);
      return isClosed;
    });
    await closed;
  });
  return { broker, clock, messages: () => warnings.map(({ message }) => message).join() };
}

async function appendTo(topic: Topic, broker: Broker, count: number, valueBytes: number): Promise<void> {
  const appends: Promise<void>[] = [];
  for (let i = 0; i < count; i += 1) {
    const record = {
      timestampMs: broker.clock.wallMs(),
      key: Buffer.from(`k${i % 3}`),
      value: Buffer.alloc(valueBytes, `${i}.`),
    };
    appends.push(broker.produce(topic, 0, buildBatch([record]), { acks: -1, version: 9 }).settled);
  }
  await Promise.all(appends);
}

/** A topic of one partition with 300 records of 3 keys, and how many of them readers find. */
async function topicWith(
  broker: Broker,
  name: string,
  settings: Record<string, string>,
  valueBytes = 200,
): Promise<() => Promise<number>> {
  const topic = await broker.topics.create({
    name,
    partitions: 1,
    replicationFactor: 1,
    settings: new Map(Object.entries({ 'segment.bytes': '16384', ...settings })),
  });
  await appendTo(topic, broker, 300, valueBytes);
  const log = topic.partition(0);
  return async () => recordsIn(await readAll(log)).length;
}

function offsetsIn(bytes: Buffer): number[] {
  return [...batchesIn(bytes)].flatMap((at) => [...recordsOf(bytes, at)].map(({ offset }) => offset));
}

function recordsIn(bytes: Buffer): unknown[] {
  return [...batchesIn(bytes)].flatMap((at) => [...recordsOf(bytes, at)]);
}

test('compacts what is dirty enough, and only where the topic says so', async () => {
  const { broker, clock, messages } = await start();
  const compacted = await topicWith(broker, 'compacted', { 'cleanup.policy': 'compact' });
  const both = await topicWith(broker, 'both', { 'cleanup.policy': 'compact,delete' });
  const deleted = await topicWith(broker, 'deleted', {});
  const young = await topicWith(broker, 'young', {
    'cleanup.policy': 'compact',
    'min.compaction.lag.ms': String(1_000 * BACKOFF_MS),
  });
  let done = false;
  const steps = (async () => {
    while ((await compacted()) > 100 || (await both()) > 100) await new Promise((resolve) => setImmediate(resolve));
    done = true;
  })();
  await until(() => {
    clock.advance(BACKOFF_MS);
    return done;
  });
  await steps;
  expect(await deleted()).toBe(300);
  expect(await young()).toBe(300);
  expect(messages()).toBe('');
});

/** Lets the cleaner look, and do much of what it can without time going by. */
async function look(clock: ManualClock, afterMs: number): Promise<void> {
  clock.advance(afterMs);
  for (let i = 0; i < 40; i += 1) {
    await settle();
    clock.advance(0);
  }
}

test('log.cleaner.io.max.bytes.per.second: compaction waits until what it reads and writes is due', async () => {
  const settings = { 'cleanup.policy': 'compact', 'segment.bytes': '100000' };
  const free = await start();
  const throttled = await start({ 'log.cleaner.io.max.bytes.per.second': '1000' });
  const swapsOf = ({ broker }: typeof free): number => broker.topics.get('compacted').partition(0).compacted.swaps;
  // 1.2 MB, all but the last segment of which is read twice.
  for (const { broker } of [free, throttled]) await topicWith(broker, 'compacted', settings, 4000);
  for (const { clock } of [free, throttled]) clock.advance(BACKOFF_MS);
  const segments = free.broker.topics.get('compacted').partition(0).segments.length;
  await until(() => {
    for (const { clock } of [free, throttled]) clock.advance(0);
    return swapsOf(free) === segments - 1;
  });
  // The other has had the same turns, but no time.
  expect(swapsOf(throttled)).toBe(0);
  await until(() => {
    throttled.clock.advance(5000);
    return swapsOf(throttled) === segments - 1;
  });
  expect(throttled.messages()).toBe('');
});

/** Waits, without time going by, until readers find no more than so many records; returns how many they find. */
async function untilFew(clock: ManualClock, count: () => Promise<number>, most: number): Promise<number> {
  let found = await count();
  for (; found > most; found = await count()) {
    clock.advance(0);
    await settle();
  }
  return found;
}

test('max.compaction.lag.ms: what is older is compacted however little it is, and the active segment ends in time', async () => {
  const { broker, clock, messages } = await start();
  const compacted = { 'cleanup.policy': 'compact' };
  const little = { ...compacted, 'min.cleanable.dirty.ratio': '1' };
  const soon = await topicWith(broker, 'soon', compacted);
  const never = await topicWith(broker, 'never', little);
  const late = await topicWith(broker, 'late', { ...little, 'max.compaction.lag.ms': String(5 * BACKOFF_MS) }, 190);
  clock.advance(BACKOFF_MS);
  await untilFew(clock, soon, 100);
  for (let i = 0; i < 4; i += 1) await look(clock, BACKOFF_MS);
  expect(await late()).toBe(300);
  clock.advance(BACKOFF_MS);
  // What is in the active segment stays.
  expect(await untilFew(clock, late, 100)).toBeGreaterThan(10);
  await look(clock, 0);
  // That has room, and ends with the next record all the same: it is too old to be active. So it is compacted, too.
  const topic = broker.topics.get('late');
  expect(topic.partition(0).segments.at(-1)!.sizeBytes).toBeLessThan(16384 - 1000);
  await appendTo(topic, broker, 1, 190);
  clock.advance(BACKOFF_MS);
  expect(await untilFew(clock, late, 4)).toBe(4);
  expect(await never()).toBe(300);
  expect(messages()).toBe('');
});

test('a clock that was ten years behind, and is set right, lets nothing be compacted or its tombstones go before their time', async () => {
  const { broker, clock } = await start();
  const compacted = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' };
  const stamped = { ...compacted, 'message.timestamp.type': 'LogAppendTime' };
  clock.offMs = -3650 * DAY_MS;
  const young = await topicWith(broker, 'young', { ...stamped, 'min.compaction.lag.ms': String(DAY_MS) });
  const count = await topicWith(broker, 'compacted', { ...compacted, 'delete.retention.ms': String(DAY_MS) });
  const topic = broker.topics.get('compacted');
  const batch = buildBatch(
    ['k0', 'gone'].map((key) => ({ timestampMs: broker.clock.wallMs(), key: Buffer.from(key), value: null })),
  );
  const { baseOffset, settled } = broker.produce(topic, 0, batch, { acks: -1, version: 9 });
  await settled;
  await appendTo(topic, broker, 100, 200);
  const hasTombstone = async (): Promise<boolean> =>
    offsetsIn(await readAll(topic.partition(0))).includes(baseOffset + 1);
  clock.advance(BACKOFF_MS);
  await untilFew(clock, count, 110);
  clock.offMs = 0;
  for (let i = 0; i < 3; i += 1) {
    await appendTo(topic, broker, 100, 200);
    const before = await count();
    clock.advance(BACKOFF_MS);
    await untilFew(clock, count, before - 50);
  }
  expect(await hasTombstone()).toBe(true);
  expect(await young()).toBe(300);
  clock.advance(DAY_MS);
  await untilFew(clock, young, 100);
  await appendTo(topic, broker, 100, 200);
  clock.advance(BACKOFF_MS);
  while (await hasTombstone()) await look(clock, 0);
});
