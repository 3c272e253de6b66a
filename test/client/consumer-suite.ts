import { expect, test } from 'vitest';
import { json } from '../../src/client/codecs.ts';
import type { Consumer } from '../../src/client/consumer.ts';
import type { ConsumerOptions, GroupProtocol } from '../../src/client/consumer-options.ts';
import type { Millrace } from '../../src/millrace.ts';
import { newTopic } from './targets.ts';

/** Rebalances wait for heartbeats, of which the broker of a consumer group asks for one in five seconds. */
const PATIENCE = { timeout: 50_000, interval: 20 };

export function consumerSuite(client: () => Millrace, protocol: GroupProtocol): void {
  const fill = async (what: string, partitions: number, count = 0): Promise<string> => {
    const topic = newTopic(`${what}-${protocol}`);
    await client().admin.createTopic({ name: topic, partitions });
    await append(topic, 0, count, partitions);
    return topic;
  };
  /** Values from start on, spread over the partitions. */
  const append = async (topic: string, start: number, end: number, partitions: number): Promise<void> => {
    await using producer = client().producer({ value: json<number>() });
    const values = Array.from({ length: end - start }, (_, index) => start + index);
    await producer.sendMany(values.map((value) => ({ topic, partition: value % partitions, value })));
  };
  const consumer = (options: ConsumerOptions<string, number>): Consumer<string, number> =>
    client().consumer({ protocol, heartbeatIntervalMs: 200, topicsMaxAgeMs: 300, value: json<number>(), ...options });

  /** A consumer that reads for as long as the test lasts, and what it has read and was told, also of the partitions it holds. */
  const reading = (options: ConsumerOptions<string, number>) => {
    const values: number[] = [];
    const told: string[] = [];
    const held = new Set<number>();
    const say = (what: string) => (partitions: readonly { partition: number }[]) => {
      told.push(`${what} ${partitions.map(({ partition }) => partition).join()}`);
      for (const { partition } of partitions) held[what === 'assigned' ? 'add' : 'delete'](partition);
    };
    const hooks = { onAssigned: say('assigned'), onRevoked: say('revoked'), onLost: say('lost') };
    const member = consumer({ ...hooks, ...options });
    const loop = (async () => {
      for await (const { value } of member) values.push(value ?? -1);
    })();
    loop.catch(() => {});
    return { member, values, told, held, loop, [Symbol.asyncDispose]: () => member.close() };
  };
  const range = (start: number, end: number): number[] =>
    Array.from({ length: end - start }, (_, index) => start + index);
  const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

  test('one member has all, two share, and the one that stays has all again; nothing is read twice', async () => {
    const topic = await fill('shared', 4, 100);
    await using a = reading({ group: topic, topics: topic });
    await expect.poll(() => a.values.length, PATIENCE).toBe(100);
    expect(a.told).toEqual(['assigned 0,1,2,3']);
    expect(a.member.protocol).toBe(protocol);
    await using b = reading({ group: topic, topics: topic });
    await expect.poll(() => [a.member.assignment.length, b.member.assignment.length], PATIENCE).toEqual([2, 2]);
    await append(topic, 100, 200, 4);
    await expect.poll(() => a.values.length + b.values.length, PATIENCE).toBe(200);
    expect(b.values.length).toBeGreaterThan(0);
    await a.member.close();
    await append(topic, 200, 300, 4);
    await expect.poll(() => a.values.length + b.values.length, PATIENCE).toBe(300);
    expect(sorted([...a.values, ...b.values])).toEqual(range(0, 300));
    expect(b.member.assignment).toHaveLength(4);
    // What b was given, a had given up before; at its close a gave up the rest.
    expect(a.told.filter((one) => one.startsWith('revoked'))).toHaveLength(2);
    expect(a.told.concat(b.told).filter((one) => one.startsWith('lost'))).toEqual([]);
  });

  test('goes on from what was committed, with its metadata; a loop that was left has not handled what was in hand', async () => {
    const topic = await fill('resumed', 1, 10);
    const found: number[] = [];
    for await (const { value } of consumer({ group: topic, topics: topic })) {
      found.push(value ?? -1);
      if (found.length === 4) break;
    }
    const assigned: unknown[] = [];
    const second = consumer({ group: topic, topics: topic, onAssigned: (offsets) => void assigned.push(...offsets) });
    for await (const record of second) {
      found.push(record.value ?? -1);
      if (record.offset < 6) continue;
      await second.commit([{ topic, partition: 0, offset: 7, metadata: 'half way' }]);
      break;
    }
    expect(assigned).toEqual([{ topic, partition: 0, offset: 3, metadata: '' }]);
    expect(found).toEqual([0, 1, 2, 3, 3, 4, 5, 6]);
    await using third = reading({ group: topic, topics: topic, autoCommit: false });
    await expect.poll(() => third.values, PATIENCE).toEqual([7, 8, 9]);
    const place = { topic, partition: 0 };
    // Closing the second one committed what it had handled, but not back behind what it had committed itself.
    expect(await third.member.committed()).toEqual([{ ...place, offset: 7, metadata: 'half way' }]);
    await third.member.commit();
    expect(await third.member.committed()).toEqual([{ ...place, offset: 10, metadata: '' }]);
  });

  test('commits by itself what was handled, at intervals, and never what is in hand', async () => {
    const topic = await fill('intervals', 1, 3);
    const member = consumer({ group: topic, topics: topic, autoCommitIntervalMs: 50 });
    for await (const { offset } of member) {
      if (offset < 2) continue;
      await expect.poll(async () => (await member.committed())[0]?.offset, PATIENCE).toBe(2);
      break;
    }
  });

  test('batches count as handled when the next is asked for', async () => {
    const topic = await fill('batches', 1, 50);
    let found = 0;
    const member = consumer({ group: topic, topics: topic });
    for await (const batch of member.batches()) {
      expect(member.position(batch)).toBe(batch.records.at(-1)!.offset + 1);
      found += batch.records.length;
      if (found === 50) break;
    }
    await using again = reading({ group: topic, topics: topic });
    await expect.poll(() => again.values.at(-1), PATIENCE).toBe(49);
  });

  test('pauses, resumes and seeks without losing or repeating; tells position and lag', async () => {
    const topic = await fill('steered', 2, 200);
    await using member = consumer({ group: topic, topics: topic });
    const iterator = member[Symbol.asyncIterator]();
    const next = async (): Promise<{ partition: number; offset: number }> => {
      const { value } = await iterator.next();
      if (value === undefined) throw new Error('ended');
      return { partition: value.partition, offset: value.offset };
    };
    const first = await next();
    const [one, other] = [
      { topic, partition: first.partition },
      { topic, partition: 1 - first.partition },
    ];
    expect([member.position(one), member.lag(one)]).toEqual([1, 99]);
    member.pause([one]);
    for (const offset of range(0, 100)) expect(await next()).toEqual({ partition: other.partition, offset });
    member.resume();
    for (const offset of range(1, 50)) expect(await next()).toEqual({ partition: one.partition, offset });
    member.seek(one, 10);
    for (const offset of range(10, 20)) expect(await next()).toEqual({ partition: one.partition, offset });
    member.pause();
    const waiting = next();
    member.seek(one, 98);
    member.resume([one]);
    expect(await waiting).toEqual({ partition: one.partition, offset: 98 });
    expect(() => member.position({ topic, partition: 7 })).toThrow(/not, or no longer, assigned/);
    expect(() => member.seek(one, -1)).toThrow(/whole number/);
  });

  test('a hook may seek before anything is fetched', async () => {
    const topic = await fill('sought', 1, 10);
    const member: Consumer<string, number> = consumer({
      ...{ group: topic, topics: topic, from: 'latest' },
      onAssigned: ([partition]) => member.seek(partition!, 7),
    });
    for await (const { offset } of member) {
      expect(offset).toBe(7);
      break;
    }
  });

  test('without a committed offset it begins where it is told', async () => {
    const topic = await fill('begins', 1, 10);
    await using late = reading({ group: `${topic}-late`, topics: topic, from: 'latest' });
    await late.member.start();
    await append(topic, 10, 12, 1);
    await expect.poll(() => late.values, PATIENCE).toEqual([10, 11]);
    const strict = consumer({ group: `${topic}-strict`, topics: topic, from: 'error' });
    await expect(strict.start()).rejects.toMatchObject({ fault: 'noCommittedOffset' });
  });

  test.each([
    ['much', 16_000_000],
    ['little', 400],
  ])(
    'while members come and go that fetch %s ahead, each record is handled once and in order',
    async (_, prefetchBytesMax) => {
      const topic = await fill('churn', 6, 0);
      const handled: { partition: number; value: number }[] = [];
      const member = () => {
        const joined = consumer({ group: topic, topics: topic, autoCommitIntervalMs: 100, prefetchBytesMax });
        const loop = (async () => {
          for await (const { partition, value } of joined) {
            handled.push({ partition, value: value! });
            if (value! % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          }
        })();
        return { joined, loop };
      };
      let sent = 0;
      const send = async (): Promise<void> => {
        for (const end = sent + 600; sent < end; sent += 60) await append(topic, sent, sent + 60, 6);
      };
      const members = [member()];
      await send();
      for (const change of ['join', 'join', 'leave', 'join', 'leave', 'leave']) {
        if (change === 'join') members.push(member());
        const leaving = change === 'leave' ? members.shift() : undefined;
        leaving?.joined.stop();
        await Promise.all([leaving?.loop, send()]);
        await expect.poll(() => handled.length, PATIENCE).toBeGreaterThanOrEqual(sent - 300);
      }
      await expect.poll(() => handled.length, PATIENCE).toBeGreaterThanOrEqual(sent);
      for (const { joined, loop } of members) {
        joined.stop();
        await loop;
      }
      for (let partition = 0; partition < 6; partition++) {
        const values = handled.filter((one) => one.partition === partition).map(({ value }) => value);
        expect(values).toEqual(Array.from({ length: sent / 6 }, (_, index) => index * 6 + partition));
      }
    },
  );

  test('an offset out of range is an error, or reset', async () => {
    const topic = await fill('range', 1, 10);
    await using setter = reading({ group: topic, topics: topic, autoCommit: false });
    await expect.poll(() => setter.values.length, PATIENCE).toBe(10);
    await setter.member.commit([{ topic, partition: 0, offset: 2 }]);
    await setter.member.close();
    await client().admin.trim(topic, new Map([[0, 4]]));
    const strict = reading({ group: topic, topics: topic });
    await expect(strict.loop).rejects.toMatchObject({ fault: 'offsetOutOfRange' });
    await using lenient = reading({ group: topic, topics: topic, onOutOfRange: 'earliest' });
    await expect.poll(() => lenient.values, PATIENCE).toEqual(range(4, 10));
  });

  test('with little room fetched ahead over several topics, still reads everything', async () => {
    const topics = [await fill('narrow-a', 3, 600), await fill('narrow-b', 2, 600)];
    const group = topics[0]!;
    await using member = reading({ group, topics, prefetchBytesMax: 2_000, partitionBytesMax: 1_000 });
    await expect.poll(() => member.values.length, PATIENCE).toBe(1_200);
    expect(sorted(member.values)).toEqual(sorted([...range(0, 600), ...range(0, 600)]));
  });

  test('groups do not know of each other', async () => {
    const topic = await fill('two-groups', 2, 20);
    await using a = reading({ group: `${topic}-a`, topics: topic });
    await using b = reading({ group: `${topic}-b`, topics: topic });
    await expect.poll(() => [sorted(a.values), sorted(b.values)], PATIENCE).toEqual([range(0, 20), range(0, 20)]);
  });

  test('reads several topics, also those that are made later, and new partitions', async () => {
    const topic = await fill('grows', 1, 5);
    const later = newTopic(`later-${protocol}`);
    await using member = reading({ group: topic, topics: [topic, later] });
    await expect.poll(() => member.values.length, PATIENCE).toBe(5);
    await client().admin.createTopic({ name: later, partitions: 1 });
    await append(later, 5, 10, 1);
    await expect.poll(() => member.values.length, PATIENCE).toBe(10);
    await client().admin.addPartitions(topic, 3);
    await append(topic, 10, 40, 3);
    await expect.poll(() => sorted(member.values), PATIENCE).toEqual(range(0, 40));
  });

  test('a pattern matches whole names, also of topics made later', async () => {
    const topic = await fill('pattern', 1, 5);
    await fill(`not-${topic}`, 1, 5);
    const pattern = new RegExp(`${topic.toUpperCase()}(|-[ab])`, 'i');
    await using member = reading({ group: topic, pattern });
    await expect.poll(() => member.values, PATIENCE).toEqual(range(0, 5));
    await client().admin.createTopic({ name: `${topic}-b`, partitions: 1 });
    await append(`${topic}-b`, 5, 10, 1);
    await expect.poll(() => member.values, PATIENCE).toEqual(range(0, 10));
  });

  test('a static member that comes back has its partitions again, and the others notice nothing', async () => {
    const topic = await fill('static', 2, 10);
    await using a = reading({ group: topic, topics: topic, instanceId: 'a' });
    const b = reading({ group: topic, topics: topic, instanceId: 'b' });
    // A member is told of its partitions a little after it has them.
    const shares = (): number[] => [a, b].flatMap(({ member, held }) => [member.assignment.length, held.size]);
    await expect.poll(shares, PATIENCE).toEqual([1, 1, 1, 1]);
    const had = b.member.assignment;
    const toldBefore = a.told.length;
    await b.member.close();
    await using back = reading({ group: topic, topics: topic, instanceId: 'b' });
    await expect.poll(() => back.member.assignment, PATIENCE).toEqual(had);
    await append(topic, 10, 20, 2);
    const all = (): number[] => sorted([...a.values, ...b.values, ...back.values]);
    await expect.poll(all, PATIENCE).toEqual(range(0, 20));
    expect(a.told.slice(toldBefore)).toEqual([]);
    await back.member.close({ leave: true });
  });

  test('gives a partition up only when the record in hand is done, and commits it', async () => {
    const topic = await fill('in-hand', 2, 2);
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const told: string[] = [];
    const slow = consumer({ group: topic, topics: topic, onRevoked: () => void told.push('revoked') });
    const loop = (async () => {
      for await (const record of slow) {
        if (record.offset > 0) continue;
        await released;
        told.push(`handled ${record.partition}`);
      }
    })();
    await expect.poll(() => slow.assignment.length, PATIENCE).toBe(2);
    await using other = reading({ group: topic, topics: topic });
    // It is asked to give one up and does not yet; the other member waits.
    await expect.poll(async () => (await memberCount(topic)) >= 2, PATIENCE).toBe(true);
    release();
    await expect.poll(() => other.member.assignment.length, PATIENCE).toBe(1);
    expect(told.indexOf('revoked')).toBeGreaterThan(0);
    slow.stop();
    await loop;
    // Each was handled once, by one of them.
    expect(other.values.length + told.filter((one) => one.startsWith('handled')).length).toBe(2);
  });
  const memberCount = async (group: string): Promise<number> => {
    const described = (await client().admin.groups.describe([group])).get(group);
    return described !== undefined && 'members' in described ? described.members.length : 0;
  };

  test('stop ends the loop after the record in hand, which then counts as handled', async () => {
    const topic = await fill('stopped', 1, 5);
    const member = consumer({ group: topic, topics: topic });
    let found = 0;
    for await (const _ of member) if (++found === 3) member.stop();
    expect(found).toBe(3);
    await using next = reading({ group: topic, topics: topic });
    await expect.poll(() => next.values, PATIENCE).toEqual([3, 4]);
  });

  test('close and a signal end a loop that waits', async () => {
    const topic = await fill('closed', 1, 1);
    const a = reading({ group: topic, topics: topic });
    await expect.poll(() => a.values.length, PATIENCE).toBe(1);
    await a.member.close();
    await a.loop;
    const controller = new AbortController();
    const b = reading({ group: topic, topics: topic, signal: controller.signal });
    await b.member.start();
    controller.abort(new Error('enough'));
    await expect(b.loop).rejects.toThrow('enough');
    expect(b.member.assignment).toEqual([]);
    await expect(b.member.commit([{ topic, partition: 0, offset: 1 }])).rejects.toMatchObject({ fault: 'notAssigned' });
  });

  test('an exception in the loop leaves the group without committing what was in hand', async () => {
    const topic = await fill('thrown', 1, 3);
    const loop = async (): Promise<void> => {
      for await (const { offset } of consumer({ group: topic, topics: topic }))
        if (offset === 1) throw new Error('bad');
    };
    await expect(loop()).rejects.toThrow('bad');
    await using again = reading({ group: topic, topics: topic });
    await expect.poll(() => again.values, PATIENCE).toEqual([1, 2]);
  });

  test('is looped over once', async () => {
    const topic = await fill('once', 1, 3);
    await using first = reading({ group: topic, topics: topic });
    await expect.poll(() => first.values.length, PATIENCE).toBe(3);
    await expect(first.member.batches().next()).rejects.toThrow(/looped over once/);
    await append(topic, 3, 4, 1);
    await expect.poll(() => first.values, PATIENCE).toEqual(range(0, 4));
    await first.member.close();
    for await (const _ of first.member) expect.unreachable('read from a closed consumer');
  });

  test('a topic that is deleted under a consumer is let go, and the others go on', async () => {
    const doomed = await fill('doomed', 1, 3);
    const kept = await fill('kept', 1, 3);
    await using member = reading({ group: kept, topics: [doomed, kept] });
    await expect.poll(() => member.values.length, PATIENCE).toBe(6);
    await client().admin.deleteTopic(doomed);
    await expect.poll(() => member.member.assignment, PATIENCE).toEqual([{ topic: kept, partition: 0 }]);
    await append(kept, 3, 6, 1);
    await expect.poll(() => member.values.slice(6), PATIENCE).toEqual([3, 4, 5]);
  });

  if (protocol === 'classic') classicSuite();

  function classicSuite(): void {
    test.each(['range', 'roundrobin', 'sticky'] as const)(
      'shares by %s, for which all give up first',
      async (assignor) => {
        const topic = await fill(assignor, 4, 20);
        await using a = reading({ group: topic, topics: topic, assignors: [assignor] });
        await expect.poll(() => a.values.length, PATIENCE).toBe(20);
        await using b = reading({ group: topic, topics: topic, assignors: [assignor] });
        await expect.poll(() => [a.member.assignment.length, b.member.assignment.length], PATIENCE).toEqual([2, 2]);
        await append(topic, 20, 40, 4);
        await expect.poll(() => sorted([...a.values, ...b.values]), PATIENCE).toEqual(range(0, 40));
        expect(a.told.slice(0, 2)).toEqual(['assigned 0,1,2,3', 'revoked 0,1,2,3']);
      },
    );

    test('a member that was removed is told what it lost, its commit is refused, and it joins again', async () => {
      const topic = await fill('removed', 1, 5);
      const told: string[] = [];
      const member = consumer({
        ...{ group: topic, topics: topic, heartbeatIntervalMs: 1_000 },
        onLost: ([partition]) => void told.push(`lost ${partition?.partition}`),
      });
      for await (const { offset } of member) {
        if (offset > 0 || told.length > 0) break;
        await client().admin.groups.removeMembers(topic, [{ memberId: member.memberId }]);
        const commit = async (): Promise<string> => {
          try {
            await member.commit([{ topic, partition: 0, offset: 5 }]);
            return 'accepted';
          } catch (error) {
            return (error as { fault: string }).fault;
          }
        };
        expect(await commit()).toMatch(/commitFenced|notAssigned/);
        await expect.poll(() => told, PATIENCE).toEqual(['lost 0']);
        await expect.poll(() => member.assignment.length, PATIENCE).toBe(1);
      }
      expect(told).toEqual(['lost 0']);
      await using again = reading({ group: topic, topics: topic });
      await expect.poll(() => again.values, PATIENCE).toEqual(range(0, 5));
    });

    test('a handler that takes longer than the session timeout stays a member', async () => {
      const topic = await fill('slow', 1, 2);
      const told: string[] = [];
      const member = consumer({
        ...{ group: topic, topics: topic, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 500 },
        onLost: () => void told.push('lost'),
      });
      for await (const { offset } of member) {
        if (offset === 0) await new Promise((resolve) => setTimeout(resolve, 8_000));
        else break;
      }
      expect([told, member.generation]).toEqual([[], -1]);
    });
  }
}
