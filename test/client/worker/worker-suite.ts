import { expect, test, vi } from 'vitest';
import { bytes, json, text } from '../../../src/client/codecs.ts';
import type { ReadRecord } from '../../../src/client/read-record.ts';
import { DoNotRetry, RetryAfter } from '../../../src/client/worker/retry-policy.ts';
import { traceHeaders } from '../../../src/client/worker/trace-context.ts';
import type { Millrace } from '../../../src/millrace.ts';
import { newTopic } from '../targets.ts';

const waitFor = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 50_000, interval: 20 });
const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** What a worker relies on, and what is relied on in a worker, with any broker. */
export function workerSuite(client: () => Millrace): void {
  orderSuite(client);
  failureSuite(client);
  restartSuite(client);
  memberSuite(client);
}

async function create(client: Millrace, what: string, partitions = 1): Promise<string> {
  const topic = newTopic(what);
  await client.admin.createTopic({ name: topic, partitions, settings: { 'retention.ms': -1 } });
  return topic;
}

async function readAll(client: Millrace, topic: string): Promise<ReadRecord<Buffer, Buffer>[]> {
  const records: ReadRecord<Buffer, Buffer>[] = [];
  for await (const record of client.reader({ topic, to: 'end', key: bytes, value: bytes })) records.push(record);
  return records;
}

/** Records of each key with values from `first` on, the keys in turns. */
async function fill(client: Millrace, topic: string, keys: number, each: number, first = 0): Promise<void> {
  await using producer = client.producer({ value: json<number>() });
  await producer.sendMany(
    Array.from({ length: keys * each }, (_, index) => ({
      topic,
      key: `key ${index % keys}`,
      value: first + Math.floor(index / keys),
    })),
  );
}

function range(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index);
}

/** Everything there is of a topic is finished, and committed by the group. */
async function isAllCommitted(client: Millrace, topic: string, group: string): Promise<void> {
  const committed = (await client.admin.groups.offsets([group])).get(group);
  const ends = await client.admin.offsets(topic, 'latest');
  expect(committed).toEqual(
    expect.arrayContaining(
      [...ends]
        .filter(([, { offset }]) => offset > 0)
        .map(
          ([partition, { offset }]) => expect.objectContaining({ topic, partition, offset, metadata: '' }) as unknown,
        ),
    ),
  );
}

function orderSuite(client: () => Millrace): void {
  test('records of many keys are in work at once, and those of each key end in their order', async () => {
    const topic = await create(client(), 'ordered', 4);
    await fill(client(), topic, 40, 25);
    const ended = new Map<string, number[]>();
    let inWork = 0;
    let inWorkMost = 0;
    const keysInWork = new Set<string>();
    const options = { group: `${topic}-g`, concurrency: 20, value: json<number>() };
    const worker = client().worker<string, number>(topic, options, async ({ key, value }) => {
      expect(keysInWork.has(key!), `two of ${key} at once`).toBe(false);
      keysInWork.add(key!);
      inWorkMost = Math.max(inWorkMost, ++inWork);
      await sleep(Math.random() * 5);
      ended.set(key!, [...(ended.get(key!) ?? []), value!]);
      inWork--;
      keysInWork.delete(key!);
    });
    await waitFor(() => expect(worker.stats().finished).toBe(1000));
    await worker.close();
    await worker.done;
    expect(inWorkMost).toBeGreaterThan(5);
    expect(inWorkMost).toBeLessThanOrEqual(20);
    expect(ended.size).toBe(40);
    for (const values of ended.values()) expect(values).toEqual(range(25));
    await isAllCommitted(client(), topic, `${topic}-g`);
  });

  test('by partition, one record of each is in work at a time; without order, as many as there is room for', async () => {
    const topic = await create(client(), 'lanes', 2);
    await fill(client(), topic, 10, 10);
    for (const [order, most] of [
      ['partition', 2],
      ['none', 8],
    ] as const) {
      let inWork = 0;
      let inWorkMost = 0;
      const offsets = new Map<number, number[]>();
      const worker = client().worker(topic, { group: `${topic}-${order}`, order, concurrency: 8 }, async (record) => {
        inWorkMost = Math.max(inWorkMost, ++inWork);
        await sleep(2);
        inWork--;
        offsets.set(record.partition, [...(offsets.get(record.partition) ?? []), record.offset]);
      });
      await waitFor(() => expect(worker.stats().finished).toBe(100));
      await worker.close();
      expect(inWorkMost, order).toBeLessThanOrEqual(most);
      if (order === 'none') expect(inWorkMost).toBeGreaterThan(2);
      if (order === 'partition') for (const found of offsets.values()) expect(found).toEqual(range(found.length));
    }
  });

  test('what is finished behind a record that is stuck is not worked again after a restart', async () => {
    const topic = await create(client(), 'stuck');
    await fill(client(), topic, 50, 10);
    const options = { group: `${topic}-g`, concurrency: 5, order: 'none' } as const;
    const stuck = client().worker(topic, options, ({ offset }, { signal }) =>
      offset === 3 ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) : null,
    );
    await waitFor(() => expect(stuck.stats().finished).toBe(499));
    await stuck.close({ timeoutMs: 0 });
    const worked: number[] = [];
    const next = client().worker(topic, options, ({ offset }) => void worked.push(offset));
    await waitFor(() => expect(next.stats().finished).toBe(1));
    await waitFor(() => expect(next.stats().remembered).toBe(496));
    await next.close();
    expect(worked).toEqual([3]);
    await isAllCommitted(client(), topic, `${topic}-g`);
  });

  test('a trace is told to the handler, who can pass it on', async () => {
    const topic = await create(client(), 'traced');
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await using producer = client().producer({ value: text });
    await producer.send({ topic, value: 'first', headers: { traceparent, tracestate: 'vendor=1' } });
    const seen: (string | null)[] = [];
    const worker = client().worker<string, string>(
      topic,
      { group: `${topic}-g`, value: text },
      async (record, { trace }) => {
        seen.push(`${record.value}: ${trace?.traceId}`);
        if (record.value === 'first') await producer.send({ topic, value: 'second', headers: traceHeaders(trace) });
      },
    );
    await waitFor(() => expect(worker.stats().finished).toBe(2));
    await worker.close();
    expect(seen).toEqual(['first: 4bf92f3577b34da6a3ce929d0e0e4736', 'second: 4bf92f3577b34da6a3ce929d0e0e4736']);
  });
}

function failureSuite(client: () => Millrace): void {
  test('poison goes to the dead letters with its cause and origin, as it was, and its partition goes on', async () => {
    const topic = await create(client(), 'orders');
    await using producer = client().producer({ key: bytes, value: bytes });
    const headers = [
      ['tenant', 'a'],
      ['raw', Buffer.from([0xff, 0])],
      ['none', null],
    ] as const;
    const timestampMs = 1_600_000_000_000;
    const sent = ['{"ok":1}', '{', '{"ok":2}', '{"fail":true}', '{"ok":3}'];
    for (const value of sent) {
      await producer.send({ topic, key: Buffer.from([1, 0xfe]), value: Buffer.from(value), headers, timestampMs });
    }
    const group = `${topic}-g`;
    const worked: unknown[] = [];
    const deadLetters: string[] = [];
    const options = {
      group,
      key: bytes,
      value: json<{ ok?: number; fail?: boolean }>(),
      deadLetter: true,
      retry: { attempts: 3, minMs: 1 },
      hooks: { onDeadLetter: (event: { topic: string }) => void deadLetters.push(event.topic) },
    };
    const worker = client().worker<Buffer, { ok?: number; fail?: boolean }>(topic, options, ({ value }) => {
      if (value?.fail) throw new RangeError('cannot ship that');
      worked.push(value?.ok);
    });
    await waitFor(() => expect(worker.stats().finished).toBe(5));
    await worker.close();
    expect(worked).toEqual([1, 2, 3]);
    expect(worker.stats()).toMatchObject({ deadLettered: 2, retried: 2 });
    const name = `${topic}.${group}.dead-letter`;
    expect(deadLetters).toEqual([name, name]);
    const letters = await readAll(client(), name);
    expect(letters.map(({ valueBytes }) => valueBytes?.toString())).toEqual(['{', '{"fail":true}']);
    for (const letter of letters) {
      expect(letter.keyBytes).toEqual(Buffer.from([1, 0xfe]));
      expect(letter.timestampMs).toBe(timestampMs);
      expect(letter.headers.slice(0, 3).map(({ key, value }) => [key, value])).toEqual([
        ['tenant', Buffer.from('a')],
        ['raw', Buffer.from([0xff, 0])],
        ['none', null],
      ]);
      expect(letter.header('millrace-origin-topic')).toBe(topic);
      expect(letter.header('millrace-origin-group')).toBe(group);
      expect(letter.header('millrace-origin-timestamp-ms')).toBe(String(timestampMs));
    }
    const told = (name: string): (string | null)[] => letters.map((letter) => letter.header(`millrace-${name}`));
    expect(told('origin-partition')).toEqual(['0', '0']);
    expect(told('origin-offset')).toEqual(['1', '3']);
    expect(told('attempts')).toEqual(['1', '3']);
    expect(told('error-class')).toEqual(['Fault', 'RangeError']);
    expect(told('error-message')[1]).toBe('cannot ship that');
    expect(told('error-stack')[1]).toContain('worker-suite.ts');
    await isAllCommitted(client(), topic, group);
  });

  test('retries in place keep the order of the key', async () => {
    const topic = await create(client(), 'in-place');
    await fill(client(), topic, 5, 10);
    const ended = new Map<string, number[]>();
    const failures = new Map<string, number>();
    const options = { group: `${topic}-g`, value: json<number>(), retry: { attempts: 4, minMs: 2, maxMs: 10 } };
    const worker = client().worker<string, number>(topic, options, ({ key, value }, { attempt }) => {
      const id = `${key} ${value}`;
      expect(attempt).toBe((failures.get(id) ?? 0) + 1);
      // Every third record of a key fails three times.
      if (value! % 3 === 0 && attempt <= 3) {
        failures.set(id, attempt);
        throw attempt === 1 ? new RetryAfter(1) : new Error('not yet');
      }
      ended.set(key!, [...(ended.get(key!) ?? []), value!]);
    });
    await waitFor(() => expect(worker.stats().finished).toBe(50));
    await worker.close();
    for (const values of ended.values()) expect(values).toEqual(range(10));
    expect(worker.stats()).toMatchObject({ retried: 5 * 4 * 3, deadLettered: 0 });
  });

  test('retries by way of topics let the later records go on, are worked when due, and end among the dead letters', async () => {
    const topic = await create(client(), 'by-topic', 2);
    await using producer = client().producer({ value: text });
    const group = `${topic}-g`;
    const worked: string[] = [];
    const delays: (string | null)[] = [];
    const options = {
      group,
      value: text,
      deadLetter: `${topic}-dead`,
      retry: { attempts: 3, minMs: 300, factor: 1, jitter: 0, topics: true },
      hooks: { onRetry: (event: { topic: string | null }) => void delays.push(event.topic) },
    };
    const due = new Map<string, number>();
    const good = Promise.withResolvers<void>();
    const worker = client().worker<string, string>(topic, options, async (record, { attempt }) => {
      worked.push(`${record.value} ${attempt}`);
      if (record.value === 'good') good.resolve();
      // Without end, if the key's later records waited for its retries.
      if (record.value === 'always' && attempt === 2) await good.promise;
      // Told as it was first, whichever way it came.
      expect(record.topic).toBe(topic);
      expect(record.headers.map(({ key }) => key)).toEqual(['own']);
      expect(Date.now()).toBeGreaterThanOrEqual(due.get(record.value!) ?? 0);
      due.set(record.value!, Date.now() + 250);
      if (record.value === 'no') throw new DoNotRetry('never');
      if (record.value === 'always') throw new Error('again');
      if (record.value === 'once' && attempt === 1) throw new Error('once');
    });
    await worker.started();
    for (const value of ['always', 'once', 'no', 'good']) {
      await producer.send({ topic, key: 'k', value, headers: { own: 'x' }, timestampMs: 1_600_000_000_000 });
    }
    await waitFor(() => expect(worker.stats()).toMatchObject({ deadLettered: 2, retried: 3 }));
    await waitFor(() => expect(worker.stats().finished).toBe(7));
    await worker.close();
    expect(worked.filter((one) => one.endsWith('1'))).toEqual(['always 1', 'once 1', 'no 1', 'good 1']);
    expect(worked.filter((one) => !one.endsWith('1')).toSorted()).toEqual(['always 2', 'always 3', 'once 2']);
    expect(delays.toSorted()).toEqual([
      `${topic}.${group}.retry.1`,
      `${topic}.${group}.retry.1`,
      `${topic}.${group}.retry.2`,
    ]);
    const letters = await readAll(client(), `${topic}-dead`);
    const attempts = letters.map((letter) => [letter.valueBytes?.toString(), letter.header('millrace-attempts')]);
    expect(new Map(attempts as [string, string][])).toEqual(new Map(Object.entries({ no: '1', always: '3' })));
    for (const letter of letters) {
      expect(letter.timestampMs).toBe(1_600_000_000_000);
      expect(letter.header('millrace-origin-topic')).toBe(topic);
      expect(letter.header('millrace-retry-at-ms')).toBeNull();
    }
    for (const name of [topic, `${topic}.${group}.retry.1`, `${topic}.${group}.retry.2`]) {
      await isAllCommitted(client(), name, group);
    }
  });
}

function restartSuite(client: () => Millrace): void {
  test('a retry that is not due yet outlives its worker, also where partitions begin at their ends', async () => {
    const topic = await create(client(), 'waiting');
    const options = {
      group: `${topic}-g`,
      value: text,
      from: 'latest',
      retry: { attempts: 2, minMs: 1500, jitter: 0, topics: [`${topic}-again`] },
    } as const;
    const first = client().worker<string, string>(topic, options, () => {
      throw new Error('not now');
    });
    await first.started();
    await using producer = client().producer({ value: text });
    await producer.send({ topic, key: 'k', value: 'v' });
    await waitFor(() => expect(first.stats().retried).toBe(1));
    await first.close();
    const worked: string[] = [];
    const second = client().worker<string, string>(topic, options, ({ value, offset }, { attempt }) => {
      worked.push(`${value} at ${offset}, attempt ${attempt}`);
    });
    await waitFor(() => expect(worked).toEqual(['v at 0, attempt 2']));
    await second.close();
    await isAllCommitted(client(), `${topic}-again`, `${topic}-g`);
  });

  test('a worker can be closed before it has begun, and more than once', async () => {
    const topic = await create(client(), 'early');
    const worker = client().worker(topic, { group: `${topic}-g` }, () => {});
    await Promise.all([worker.close(), worker.close(), worker.done, worker.started()]);
    expect(worker.stats()).toMatchObject({ partitions: 0, inWork: 0 });
  });
}

function memberSuite(client: () => Millrace): void {
  test('workers share the partitions, and hand over what they have in work: each record is worked once', async () => {
    const topic = await create(client(), 'shared', 6);
    const worked = new Map<string, number[]>();
    let repeats = 0;
    const make = () =>
      client().worker<string, number>(
        topic,
        { group: `${topic}-g`, concurrency: 10, value: json<number>(), commitIntervalMs: 100 },
        async ({ key, value }) => {
          await sleep(1 + Math.random() * 10);
          const values = worked.get(key!) ?? [];
          if (values.includes(value!)) repeats++;
          else worked.set(key!, [...values, value!]);
        },
      );
    const first = make();
    await first.started();
    // Records keep coming until all have had their share.
    let rounds = 0;
    let isFeeding = true;
    const feeding = (async () => {
      for (; isFeeding; rounds++) {
        await fill(client(), topic, 60, 1, rounds);
        await sleep(20);
      }
    })();
    await waitFor(() => expect(first.stats().finished).toBeGreaterThan(100));
    const second = make();
    await waitFor(() => expect(second.stats().finished).toBeGreaterThan(100));
    const third = make();
    await waitFor(() => expect(third.stats().finished).toBeGreaterThan(100));
    await first.close();
    await first.done;
    isFeeding = false;
    await feeding;
    await waitFor(() => expect([...worked.values()].flat()).toHaveLength(rounds * 60));
    await Promise.all([second.close(), third.close()]);
    for (const values of worked.values()) expect(values).toEqual(range(rounds));
    expect(repeats).toBe(0);
    await isAllCommitted(client(), topic, `${topic}-g`);
  });

  test('a handler slower than the session timeout causes no rebalance', async () => {
    const topic = await create(client(), 'slow');
    await fill(client(), topic, 1, 2);
    const group = `${topic}-g`;
    const begun: number[] = [];
    const options = {
      group,
      protocol: 'classic',
      sessionTimeoutMs: 6000,
      heartbeatIntervalMs: 500,
      value: json<number>(),
    } as const;
    const worker = client().worker<string, number>(topic, options, async ({ value }) => {
      begun.push(value!);
      if (value === 0) await sleep(8000);
    });
    await waitFor(() => expect(worker.stats().finished).toBe(2));
    expect(begun).toEqual([0, 1]);
    expect(worker.stats().abandoned).toBe(0);
    await worker.close();
  });

  test('a topic that is deleted keeps nothing of the others from being committed', async () => {
    const [kept, doomed] = [await create(client(), 'kept'), await create(client(), 'doomed')];
    for (const topic of [kept, doomed]) await fill(client(), topic, 1, 3);
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const told: { topics: string[]; error: unknown }[] = [];
    const options = {
      group: kept,
      order: 'none',
      commitIntervalMs: 5,
      value: json<number>(),
      hooks: {
        onCommit: ({ offsets, error }: { offsets: readonly { topic: string }[]; error: unknown }) =>
          void told.push({ topics: offsets.map(({ topic }) => topic), error }),
      },
    } as const;
    const worker = client().worker([kept, doomed], options, () => released);
    await waitFor(() => expect(worker.stats().inWork).toBe(6));
    await client().admin.deleteTopic(doomed);
    release();
    await waitFor(() => isAllCommitted(client(), kept, kept));
    await worker.close();
    expect(told.filter(({ topics, error }) => topics.includes(kept) && error !== null)).toEqual([]);
  });

  test('a close lets what is in work end and commits it; nothing of it is worked again', async () => {
    const topic = await create(client(), 'drained', 3);
    await fill(client(), topic, 100, 3);
    const ended: string[] = [];
    const make = () =>
      client().worker<string, number>(
        topic,
        { group: `${topic}-g`, concurrency: 10, value: json<number>(), commitIntervalMs: 60_000 },
        async ({ key, value }) => {
          await sleep(10);
          ended.push(`${key} ${value}`);
        },
      );
    for (let round = 0; round < 3; round++) {
      const worker = make();
      await waitFor(() => expect(worker.stats().finished).toBeGreaterThan(20));
      await worker.close();
      await worker.done;
      expect(worker.stats()).toMatchObject({ inWork: 0, abandoned: 0 });
    }
    const last = make();
    await waitFor(() => expect(ended).toHaveLength(300));
    await last.close();
    expect(new Set(ended).size).toBe(300);
  });

  test('a signal and the closing of the client end a worker well', async () => {
    const topic = await create(client(), 'signalled');
    const controller = new AbortController();
    const worker = client().worker(topic, { group: `${topic}-g`, signal: controller.signal }, () => {});
    await worker.started();
    controller.abort();
    await worker.done;
    expect(worker.stats().partitions).toBe(0);
  });
}
