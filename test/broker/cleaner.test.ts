import { expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { recordsOf } from '../../src/record/records.ts';
import { ManualClock, until } from '../log/support.ts';
import { atEnd, openBroker } from '../server/support.ts';

const BACKOFF_MS = 60_000;

async function start(): Promise<{ broker: Broker; clock: ManualClock; messages: () => string }> {
  const clock = new ManualClock();
  const { broker, warnings } = await openBroker({ clock, settings: { 'log.cleaner.backoff.ms': String(BACKOFF_MS) } });
  atEnd(() => broker.close());
  return { broker, clock, messages: () => warnings.map(({ message }) => message).join() };
}

/** A topic of one partition with 300 records of 3 keys, and how many of them are there. */
async function topicWith(
  broker: Broker,
  name: string,
  settings: Record<string, string>,
): Promise<() => Promise<number>> {
  const topic = await broker.topics.create({
    name,
    partitions: 1,
    replicationFactor: 1,
    settings: new Map(Object.entries({ 'segment.bytes': '16384', ...settings })),
  });
  const appends: Promise<void>[] = [];
  for (let i = 0; i < 300; i += 1) {
    const record = {
      timestampMs: broker.clock.wallMs(),
      key: Buffer.from(`k${i % 3}`),
      value: Buffer.alloc(200, `${i}.`),
    };
    appends.push(broker.produce(topic, 0, buildBatch([record]), { acks: -1, version: 9 }).settled);
  }
  await Promise.all(appends);
  const log = topic.partition(0);
  return async () => {
    let count = 0;
    // Past what is cached at the tail, compaction shows.
    for (const segment of log.segments) {
      await segment.walk(0, (batch) => {
        for (const at of batchesIn(batch)) count += [...recordsOf(batch, at)].length;
        return true;
      });
    }
    return count;
  };
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
