import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/faults.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { bytes, text } from '../../../src/client/codecs.ts';
import { decodeFinished } from '../../../src/client/worker/finished-beyond.ts';
import type { WorkerHooks } from '../../../src/client/worker/hooks.ts';
import { Worker } from '../../../src/client/worker/worker.ts';
import { type Handler, type WorkerOptions, workerSettings } from '../../../src/client/worker/worker-options.ts';
import { Millrace } from '../../../src/millrace.ts';
import { newTopic } from '../targets.ts';
import { ScriptedConsumer } from './scripted-consumer.ts';

// What depends on when exactly partitions come and go: the group is scripted, the topics of failed records are real ones.

let millrace: Millrace;
beforeAll(async () => {
  millrace = await Millrace.open(undefined, { retryBackoff: { firstMs: 10, maxMs: 50 } });
});
afterAll(() => millrace.close());

const waitFor = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 50_000, interval: 5 });
const nothingCommitted = (topic: string, partition = 0) => ({ topic, partition, offset: null, metadata: '' });

interface Held {
  offset: number;
  signal: AbortSignal;
  end: (error?: Error) => void;
}

/** A worker whose records end when the test says so. */
async function holding(topic: string, options: Partial<WorkerOptions<string, string>> = {}) {
  const held = new Map<number, Held>();
  const begun: number[] = [];
  const handler: Handler<string, string> = ({ offset }, { signal }) => {
    begun.push(offset);
    return new Promise<void>((resolve, reject) => {
      held.set(offset, {
        offset,
        signal,
        end: (error) => {
          held.delete(offset);
          if (error === undefined) resolve();
          else reject(error);
        },
      });
    });
  };
  return { ...(await scripted(topic, options, handler)), held, begun };
}

async function scripted(
  topic: string,
  options: Partial<WorkerOptions<string, string>>,
  handler: Handler<string, string>,
  logger: Logger = silentLogger,
) {
  let consumer: ScriptedConsumer | null = null;
  const worker = new Worker<string, string>(topic, { group: 'g', commitIntervalMs: 5, ...options }, handler, {
    clock: systemClock,
    random: systemRandom,
    logger,
    admin: millrace.admin,
    producer: () => millrace.producer({ key: bytes, value: bytes }),
    consumer: (given) => {
      consumer = new ScriptedConsumer(given);
      return consumer.asConsumer();
    },
    onClose: () => {},
  });
  await waitFor(() => expect(consumer).not.toBeNull());
  return { worker, consumer: consumer! as ScriptedConsumer };
}

/** Offsets that a commit says are finished. */
function finishedBy({ offset, metadata }: { offset: number; metadata?: string }, end: number): number[] {
  const ranges = decodeFinished(offset, metadata ?? '');
  const isFinished = (one: number): boolean =>
    one < offset || ranges.some(({ start, endNext }) => start <= one && one < endNext);
  return Array.from({ length: end }, (_, index) => index).filter(isFinished);
}

test('records of different keys are in work at once, those of a key one after another, and commits tell exactly what is finished', async () => {
  const { worker, consumer, held, begun } = await holding('t', { concurrency: 10 });
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [
    { offset: 0, key: 'a' },
    { offset: 1, key: 'b' },
    { offset: 2, key: 'a' },
    { offset: 3, key: null },
    { offset: 4, key: null },
  ]);
  await waitFor(() => expect(begun).toEqual([0, 1, 3, 4]));
  for (const offset of [1, 4]) held.get(offset)!.end();
  await waitFor(() => expect(finishedBy(consumer.commits.at(-1)!, 5)).toEqual([1, 4]));
  expect(consumer.commits.at(-1)).toMatchObject({ topic: 't', partition: 0, offset: 0 });
  held.get(0)!.end();
  await waitFor(() => expect(begun).toEqual([0, 1, 3, 4, 2]));
  await waitFor(() => expect(finishedBy(consumer.commits.at(-1)!, 5)).toEqual([0, 1, 4]));
  // A crash: another worker goes on from the last commit, and works what is not finished, and nothing else.
  const { offset, metadata = '' } = consumer.commits.at(-1)!;
  const next = await holding('t', { concurrency: 10 });
  await next.consumer.assign({ topic: 't', partition: 0, offset, metadata });
  next.consumer.give(
    't',
    0,
    [2, 3, 4, 5].map((one) => ({ offset: one })),
  );
  await waitFor(() => expect(next.begun).toEqual([2, 3, 5]));
  expect(next.worker.stats().remembered).toBe(1);
  for (const one of next.held.values()) one.end();
  await waitFor(() => expect(next.consumer.commits.at(-1)).toMatchObject({ offset: 6, metadata: '' }));
  await Promise.all([worker.close({ timeoutMs: 0 }), next.worker.close()]);
});

test('a slow record does not let the window grow: its partition is paused until the record is done, others go on', async () => {
  const { worker, consumer, held, begun } = await holding('t', { order: 'none', concurrency: 3, windowRecordsMax: 10 });
  await consumer.assign(nothingCommitted('t', 0), nothingCommitted('t', 1));
  const ten = (start: number) => Array.from({ length: 10 }, (_, index) => ({ offset: start + index }));
  consumer.give('t', 0, ten(0));
  await waitFor(() => expect(consumer.paused).toEqual(new Set(['t:0'])));
  await waitFor(() => expect(held.has(1)).toBe(true));
  for (let offset = 1; offset < 10; offset++) {
    await waitFor(() => expect(held.has(offset)).toBe(true));
    held.get(offset)!.end();
  }
  await waitFor(() => expect(worker.stats()).toMatchObject({ windowRecords: 10, finished: 9, paused: 1 }));
  consumer.give('t', 1, [{ offset: 100 }]);
  await waitFor(() => expect(begun).toContain(100));
  expect(consumer.paused).toEqual(new Set(['t:0']));
  held.get(0)!.end();
  await waitFor(() => expect(consumer.paused.size).toBe(0));
  expect(worker.stats().windowRecords).toBe(1);
  await worker.close({ timeoutMs: 0 });
});

test('a window has its bytes too, which the partitions share', async () => {
  const { worker, consumer, held } = await holding('t', { concurrency: 10, windowBytesMax: 10_000 });
  await consumer.assign(nothingCommitted('t', 0), nothingCommitted('t', 1));
  consumer.give('t', 0, [{ offset: 0, value: 'x'.repeat(4000) }]);
  await waitFor(() => expect(held.size).toBe(1));
  expect(consumer.paused.size).toBe(0);
  consumer.give('t', 0, [{ offset: 1, value: 'x'.repeat(1000) }]);
  await waitFor(() => expect(consumer.paused).toEqual(new Set(['t:0'])));
  held.get(1)!.end();
  await waitFor(() => expect(worker.stats().finished).toBe(1));
  // What is finished behind the first one still lies in the same answer of the broker.
  expect(consumer.paused.size).toBe(1);
  held.get(0)!.end();
  await waitFor(() => expect(consumer.paused.size).toBe(0));
  await worker.close();
});

test('a broker that keeps less metadata is given less, and the offsets are committed all the same', async () => {
  await using small = await Millrace.open(undefined, { settings: { 'offset.metadata.max.bytes': '40' } });
  await small.admin.createTopic({ name: 't' });
  await using producer = small.producer({ value: text });
  await producer.sendMany(Array.from({ length: 400 }, (_, index) => ({ topic: 't', value: `${index}` })));
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const options = { group: 'g', order: 'none', concurrency: 400, commitIntervalMs: 5, value: text } as const;
  const worker = small.worker<string, string>('t', options, ({ offset }) => (offset % 2 === 0 ? released : null));
  await waitFor(() => expect(worker.stats().finished).toBe(200));
  const committed = async () => {
    const found = (await small.admin.groups.offsets(['g'])).get('g');
    return found instanceof Fault ? undefined : found?.[0];
  };
  await vi.waitFor(async () => expect((await committed())?.metadata.length).toBeGreaterThan(10), { timeout: 50_000 });
  const { offset, metadata } = (await committed())!;
  expect(metadata.length).toBeLessThanOrEqual(40);
  const finished = finishedBy({ offset, metadata }, 400);
  expect(finished.length).toBeGreaterThan(10);
  expect(finished).toEqual(Array.from({ length: finished.length }, (_, index) => 2 * index + 1));
  release();
  await vi.waitFor(async () => expect(await committed()).toMatchObject({ offset: 400, metadata: '' }), {
    timeout: 50_000,
  });
  await worker.close();
});

test('offsets of a deleted topic are dropped, those committed beside them are not sent again', async () => {
  const told: [string, number, unknown][] = [];
  const onCommit: NonNullable<WorkerHooks['onCommit']> = ({ offsets, error }) => {
    for (const { topic, offset } of offsets) told.push([topic, offset, error]);
  };
  const { worker, consumer } = await scripted('t', { hooks: { onCommit } }, () => {});
  const sent: string[] = [];
  const deleted = new Fault('unknownTopic', { detail: 'topic gone' });
  consumer.commitEach = async (offsets) => {
    sent.push(...offsets.map(({ topic, offset }) => `${topic} ${offset}`));
    return offsets.map(({ topic, partition }) => ({ topic, partition, fault: topic === 'gone' ? deleted : null }));
  };
  await consumer.assign(nothingCommitted('t'), nothingCommitted('gone'));
  consumer.give('gone', 0, [{ offset: 0 }]);
  consumer.give('t', 0, [{ offset: 0 }]);
  await waitFor(() => expect(told).toHaveLength(2));
  consumer.give('t', 0, [{ offset: 1 }]);
  await waitFor(() => expect(told).toContainEqual(['t', 2, null]));
  expect([...sent].sort()).toEqual(['gone 1', 't 1', 't 2']);
  expect(told).toContainEqual(['t', 1, null]);
  expect(told).toContainEqual(['gone', 1, deleted]);
  await worker.close();
  expect(sent).toHaveLength(3);
});

test('a revoked partition is drained: what is in work ends, what waits is left, the rest goes on, and all is committed before it is given up', async () => {
  const { worker, consumer, held, begun } = await holding('t', { concurrency: 4, commitIntervalMs: 1e6 });
  await consumer.assign(nothingCommitted('t', 0), nothingCommitted('t', 1));
  consumer.give('t', 0, [
    { offset: 0, key: 'a' },
    { offset: 1, key: 'a' },
    { offset: 2, key: 'b' },
  ]);
  consumer.give('t', 1, [{ offset: 7, key: 'c' }]);
  await waitFor(() => expect(begun).toEqual([0, 2, 7]));
  let isRevoked = false;
  const revoking = consumer.revoke({ topic: 't', partition: 0 }).then(() => {
    isRevoked = true;
  });
  held.get(2)!.end();
  await waitFor(() => expect(worker.stats().finished).toBe(1));
  expect(isRevoked).toBe(false);
  held.get(0)!.end();
  await revoking;
  expect(begun).not.toContain(1);
  expect(finishedBy(consumer.commits.at(-1)!, 5)).toEqual([0, 2]);
  expect(held.get(7)!.signal.aborted).toBe(false);
  expect(worker.stats()).toMatchObject({ partitions: 1, inWork: 1, waiting: 0 });
  held.get(7)!.end();
  await worker.close();
  expect(consumer.commits.at(-1)).toMatchObject({ partition: 1, offset: 8 });
});

test('a handler that does not end in time is told by its signal, and what it returns then changes nothing', async () => {
  const { worker, consumer, held } = await holding('t', { drainTimeoutMs: 20 });
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }]);
  await waitFor(() => expect(held.size).toBe(2));
  held.get(1)!.end();
  const late = held.get(0)!;
  await consumer.revoke({ topic: 't', partition: 0 });
  expect(late.signal.reason).toMatchObject({ fault: 'workTakenAway' });
  expect(finishedBy(consumer.commits.at(-1)!, 3)).toEqual([1]);
  const commits = consumer.commits.length;
  late.end();
  await waitFor(() => expect(worker.stats()).toMatchObject({ abandoned: 1, inWork: 0 }));
  await worker.close();
  expect(consumer.commits).toHaveLength(commits);
});

test('when a lost partition comes back, a key whose old handler is still at work is not worked beside it', async () => {
  const { worker, consumer, held, begun } = await holding('t', { concurrency: 5 });
  await consumer.assign(nothingCommitted('t'));
  const records = [
    { offset: 0, key: 'a' },
    { offset: 1, key: 'b' },
  ];
  consumer.give('t', 0, records);
  await waitFor(() => expect(begun).toEqual([0, 1]));
  const old = held.get(0)!;
  const commits = consumer.commits.length;
  await consumer.lose({ topic: 't', partition: 0 });
  expect(old.signal.aborted).toBe(true);
  held.get(1)!.end();
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, records);
  await waitFor(() => expect(begun).toEqual([0, 1, 1]));
  expect(worker.stats()).toMatchObject({ inWork: 2, waiting: 1, abandoned: 1 });
  expect(finishedBy(consumer.commits.slice(commits).at(-1) ?? { offset: 0 }, 2)).toEqual([]);
  old.end();
  await waitFor(() => expect(begun).toEqual([0, 1, 1, 0]));
  for (const one of held.values()) one.end();
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 2 }));
  await worker.close();
});

test('a partition that comes back before its drain has ended is another one: nothing of the old one is committed', async () => {
  const { worker, consumer, held, begun } = await holding('t');
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [{ offset: 0 }]);
  await waitFor(() => expect(begun).toEqual([0]));
  const revoking = consumer.revoke({ topic: 't', partition: 0 });
  await consumer.assign({ ...nothingCommitted('t'), offset: 200 });
  held.get(0)!.end();
  await revoking;
  expect(consumer.commits).toEqual([]);
  await worker.close();
});

test('a retry in place lets the later records of its key wait, and nobody else', async () => {
  const retry = { attempts: 3, minMs: 1, jitter: 0 };
  const { worker, consumer, held, begun } = await holding('t', { concurrency: 1, retry });
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [
    { offset: 0, key: 'a' },
    { offset: 1, key: 'a' },
    { offset: 2, key: 'b' },
  ]);
  await waitFor(() => expect(held.has(0)).toBe(true));
  held.get(0)!.end(new Error('not yet'));
  // While the first one waits, its place is b's.
  await waitFor(() => expect(held.has(2)).toBe(true));
  await waitFor(() => expect(worker.stats().delayed).toBe(0));
  held.get(2)!.end();
  await waitFor(() => expect(held.has(0)).toBe(true));
  held.get(0)!.end();
  await waitFor(() => expect(held.has(1)).toBe(true));
  held.get(1)!.end();
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 3 }));
  expect(begun).toEqual([0, 2, 0, 1]);
  expect(worker.stats()).toMatchObject({ retried: 1, failedAttempts: 1, finished: 3 });
  await worker.close();
});

test('without dead letters the worker stops with the record that failed, unless it may be left out', async () => {
  const handler: Handler<string, string> = ({ offset }) => {
    if (offset === 1) throw new RangeError('no such customer');
  };
  const retry = { attempts: 2, minMs: 1 };
  const stopped = await scripted('t', { retry }, handler);
  const ended = stopped.worker.done.catch((error: unknown) => error);
  await stopped.consumer.assign(nothingCommitted('t'));
  stopped.consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }, { offset: 2 }]);
  const error = await ended;
  expect(error).toMatchObject({ fault: 'recordFailed', cause: expect.any(RangeError) as unknown });
  expect((error as Fault).message).toContain('topic t, partition 0, offset 1, after 2 attempts: no such customer');
  expect(finishedBy(stopped.consumer.commits.at(-1)!, 3)).toEqual([0, 2]);
  expect(stopped.consumer.closed).toBe(true);

  const skipping = await scripted('t', { retry, onExhausted: 'skip' }, handler);
  await skipping.consumer.assign(nothingCommitted('t'));
  skipping.consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }, { offset: 2 }]);
  await waitFor(() => expect(skipping.consumer.commits.at(-1)).toMatchObject({ offset: 3 }));
  expect(skipping.worker.stats()).toMatchObject({ skipped: 1, finished: 3 });
  await skipping.worker.close();
});

test('a deadline aborts the signal; a handler that does not heed it keeps its place, and what it returns counts', async () => {
  const retry = { attempts: 2, minMs: 1 };
  const { worker, consumer, held, begun } = await holding('t', { deadlineMs: 10, concurrency: 1, retry });
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }]);
  await waitFor(() => expect(held.get(0)?.signal.aborted).toBe(true));
  expect(held.get(0)!.signal.reason).toMatchObject({ fault: 'recordOverdue' });
  expect(begun).toEqual([0]);
  expect(worker.stats()).toMatchObject({ overdue: 1, inWork: 1, waiting: 1 });
  held.get(0)!.end(held.get(0)!.signal.reason as Error);
  await waitFor(() => expect(begun).toEqual([0, 1]));
  held.get(1)!.end();
  await waitFor(() => expect(begun).toEqual([0, 1, 0]));
  await waitFor(() => expect(held.get(0)?.signal.aborted).toBe(true));
  held.get(0)!.end();
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 2 }));
  expect(worker.stats()).toMatchObject({ finished: 2, retried: 1 });
  await worker.close();
});

test('a dead letter that cannot be stored is never skipped: its partition goes on once it is', async () => {
  const topic = newTopic('origin');
  const deadLetter = newTopic('too-small');
  await millrace.admin.createTopic({ name: deadLetter, settings: { 'max.message.bytes': 200 } });
  const handler: Handler<string, string> = () => {
    throw new Error('x'.repeat(300));
  };
  const { worker, consumer } = await scripted(topic, { deadLetter, retry: { attempts: 1 } }, handler);
  await consumer.assign(nothingCommitted(topic));
  consumer.give(topic, 0, [{ offset: 0, value: 'v'.repeat(300) }]);
  await waitFor(() => expect(worker.stats().inWork).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(worker.stats()).toMatchObject({ inWork: 1, finished: 0, deadLettered: 0 });
  await millrace.admin.alterSettings({ topic: deadLetter }, { set: { 'max.message.bytes': 100_000 } });
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 1 }));
  expect(worker.stats()).toMatchObject({ inWork: 0, deadLettered: 1 });
  await worker.close();
});

test('a topic that was cut back or made again is worked from where reading went back to', async () => {
  const { worker, consumer, held, begun } = await holding('t', { order: 'none', concurrency: 5 });
  await consumer.assign({ topic: 't', partition: 0, offset: 500, metadata: '' });
  consumer.give('t', 0, [{ offset: 500 }, { offset: 501 }]);
  await waitFor(() => expect(begun).toEqual([500, 501]));
  const old = held.get(500)!;
  consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }]);
  await waitFor(() => expect(begun).toEqual([500, 501, 0, 1]));
  expect(old.signal.aborted).toBe(true);
  for (const one of held.values()) one.end();
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 2 }));
  await worker.close();
});

test('a limit per key holds, a closed worker takes nothing more, a signal closes it, and a hook that throws does no harm', async () => {
  const controller = new AbortController();
  const hooks = {
    onStart: () => {
      throw new Error('a bug in the metrics');
    },
  };
  const options = { order: 'none', concurrencyPerKey: 2, signal: controller.signal, hooks } as const;
  const { worker, consumer, held, begun } = await holding('t', options);
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [0, 1, 2, 3].map((offset) => ({ offset, key: 'a' })).concat({ offset: 4, key: 'b' }));
  await waitFor(() => expect(begun.toSorted()).toEqual([0, 1, 4]));
  controller.abort();
  await waitFor(() => expect(worker.stats().waiting).toBe(0));
  for (const one of held.values()) one.end();
  await worker.done;
  expect(begun).toHaveLength(3);
  expect(finishedBy(consumer.commits.at(-1)!, 5)).toEqual([0, 1, 4]);
});

test('a hook that throws at every record is logged once', async () => {
  const logged: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (facts: object) => void logged.push(facts) };
  const error = new Error('of the hook');
  const onSuccess = (): void => {
    throw error;
  };
  const { worker, consumer } = await scripted('t', { hooks: { onSuccess } }, () => {}, logger);
  await consumer.assign(nothingCommitted('t'));
  consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }, { offset: 2 }]);
  await waitFor(() => expect(worker.stats().finished).toBe(3));
  expect(logged).toEqual([{ hook: 'onSuccess', err: error }]);
  await worker.close();
});

test('what is assigned while a worker drains is not begun', async () => {
  const { worker, consumer, held, begun } = await holding('t');
  await consumer.assign(nothingCommitted('t', 0));
  consumer.give('t', 0, [{ offset: 0 }]);
  await waitFor(() => expect(begun).toEqual([0]));
  const closing = worker.close();
  await consumer.assign(nothingCommitted('t', 1));
  consumer.give('t', 1, [{ offset: 7 }]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  held.get(0)!.end();
  await closing;
  expect(begun).toEqual([0]);
  expect(consumer.commits.at(-1)).toMatchObject({ partition: 0, offset: 1 });
});

test('hooks tell of each step of a record, in order and with timings', async () => {
  const told: string[] = [];
  const timings: number[] = [];
  const note =
    (name: string) => (event: { attempt: number; waitedMs?: number; durationMs?: number; delayMs?: number }) => {
      told.push(`${name} ${event.attempt}`);
      timings.push(event.waitedMs ?? event.durationMs ?? -1);
    };
  const hooks = {
    onStart: note('start'),
    onSuccess: note('success'),
    onRetry: note('retry'),
    onSkip: note('skip'),
    onCommit: ({ offsets, durationMs, error }: { offsets: readonly unknown[]; durationMs: number; error: unknown }) => {
      if (told.at(-1) !== 'commit') told.push('commit');
      timings.push(durationMs);
      expect([offsets.length, error]).toEqual([1, null]);
    },
  };
  const retry = { attempts: 2, minMs: 1 };
  const handler: Handler<string, string> = ({ offset }, { attempt }) => {
    if (offset === 1 || attempt === 1) throw new Error('fails');
  };
  const { worker, consumer } = await scripted('t', { retry, hooks, onExhausted: 'skip', order: 'partition' }, handler);
  await consumer.assign({ topic: 't', partition: 0, offset: 0, metadata: '' });
  consumer.give('t', 0, [{ offset: 0 }, { offset: 1 }]);
  await waitFor(() => expect(consumer.commits.at(-1)).toMatchObject({ offset: 2 }));
  await worker.close();
  expect(told.filter((name) => name !== 'commit')).toEqual([
    ...['start 1', 'retry 1', 'start 2', 'success 2'],
    ...['start 1', 'retry 1', 'start 2', 'skip 2'],
  ]);
  expect(told).toContain('commit');
  expect(timings.every((ms) => ms >= 0)).toBe(true);
});

test('a drain leaves the last commit a fifth of the rebalance timeout, since the consumer gives up at four fifths', () => {
  const drainMs = (options: Partial<WorkerOptions>): number =>
    workerSettings('t', { group: 'g', ...options }).drainTimeoutMs;
  expect(drainMs({ rebalanceTimeoutMs: 10_000 })).toBe(6_000);
  expect(drainMs({ drainTimeoutMs: 60_000 })).toBe(36_000);
  expect(drainMs({ drainTimeoutMs: 5_000, rebalanceTimeoutMs: 10_000 })).toBe(5_000);
});

test('options that contradict each other are refused', () => {
  const make = (options: Partial<WorkerOptions>): unknown =>
    new Worker('t', { group: 'g', ...options } as WorkerOptions, () => {}, {} as never);
  expect(() => make({ order: 'key', concurrencyPerKey: 2 })).toThrow(/needs order 'none'/);
  expect(() => make({ concurrency: 0 })).toThrow(/concurrency must be at least 1/);
  expect(() => make({ group: '' })).toThrow(/a group has a name/);
  expect(() => make({ order: 'random' as 'none' })).toThrow(/order must be/);
  expect(() => make({ retry: { attempts: 0 } })).toThrow(Fault);
});
