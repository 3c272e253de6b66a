import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import type { GroupProtocol } from '../../src/client/consumer-options.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { type BrokerProcess, freePort } from '../../tools/broker-process.ts';
import { startMillrace } from '../../tools/millrace.ts';

const PARTITIONS = 4;
const PATIENCE = { timeout: 60_000, interval: 20 };
/** So that a dead member is noticed soon. */
const settings = {
  'group.min.session.timeout.ms': '500',
  'group.initial.rebalance.delay.ms': '0',
  'group.consumer.min.session.timeout.ms': '500',
  'group.consumer.min.heartbeat.interval.ms': '100',
  'group.consumer.session.timeout.ms': '1000',
  'group.consumer.heartbeat.interval.ms': '200',
};

let folder: string;
let port: number;
let broker: BrokerProcess;
let client: Millrace;
let members: ChildProcess[];
/** By partition, the offsets in the order in which they were handled, by whichever member. */
let handled: Map<number, number[]>;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'consumer-crash-'));
  port = await freePort();
  broker = await startMillrace(folder, port, settings);
  client = await Millrace.connect(`127.0.0.1:${port}`);
  members = [];
  handled = new Map();
});

afterEach(async () => {
  for (const member of members) member.kill('SIGKILL');
  await client.close();
  await broker.stop();
  await rm(folder, { recursive: true });
});

const startMember = (topic: string, protocol: GroupProtocol): ChildProcess => {
  const program = path.join(import.meta.dirname, 'programs/group-member.ts');
  const member = spawn(process.execPath, [program, `127.0.0.1:${port}`, topic, protocol], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  members.push(member);
  createInterface({ input: member.stdout! }).on('line', (line) => {
    const [partition = -1, offset = -1] = line.split(' ').map(Number);
    handled.set(partition, [...(handled.get(partition) ?? []), offset]);
  });
  return member;
};

/** How many different records of each partition were handled, of all. */
const counts = (): number[] =>
  Array.from({ length: PARTITIONS }, (_, partition) => new Set(handled.get(partition) ?? []).size);

/** A record that is handled for the first time follows the one before it: none was passed over and come back to. */
const expectInOrder = (sent: number): void => {
  for (const offsets of handled.values()) {
    const firsts = offsets.filter((offset, at) => offsets.indexOf(offset) === at);
    expect(firsts).toEqual(Array.from({ length: sent }, (_, offset) => offset));
  }
};

/** Sends for as long as `during` takes, and returns how many went to each partition. */
const sendingDuring = async (topic: string, during: () => Promise<void>): Promise<number> => {
  let over = false;
  const producer = client.producer({ value: text });
  const sending = (async () => {
    let sent = 0;
    for (; !over || sent < 50; sent++) {
      const values = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, value: `${sent}` }));
      await producer.sendMany(values);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return sent;
  })();
  await during().finally(() => {
    over = true;
  });
  return sending;
};

describe.each(['classic', 'consumer'] as const)('by the protocol %s', (protocol) => {
  test('members that are killed repeat what they had not committed, and nothing is skipped', async () => {
    const topic = 'killed';
    await client.admin.createTopic({ name: topic, partitions: PARTITIONS });
    startMember(topic, protocol);
    const sent = await sendingDuring(topic, async () => {
      for (let kill = 0; kill < 4; kill++) {
        const before = counts().reduce((sum, count) => sum + count, 0);
        const doomed = members.at(-1)!;
        startMember(topic, protocol);
        await expect.poll(() => counts().reduce((sum, count) => sum + count, 0), PATIENCE).toBeGreaterThan(before + 20);
        doomed.kill('SIGKILL');
        await once(doomed, 'exit');
      }
    });
    await expect.poll(counts, PATIENCE).toEqual(Array(PARTITIONS).fill(sent));
    expectInOrder(sent);
  });

  test('a member that was frozen and wakes up commits nothing over the one that took its place, and joins again', async () => {
    const topic = 'frozen';
    await client.admin.createTopic({ name: topic, partitions: PARTITIONS });
    const sleeper = startMember(topic, protocol);
    const sent = await sendingDuring(topic, async () => {
      await expect.poll(() => Math.min(...counts()), PATIENCE).toBeGreaterThan(5);
      sleeper.kill('SIGSTOP');
      startMember(topic, protocol);
      const before = Math.min(...counts());
      await expect.poll(() => Math.min(...counts()), PATIENCE).toBeGreaterThan(before + 20);
    });
    await expect.poll(counts, PATIENCE).toEqual(Array(PARTITIONS).fill(sent));
    const committed = async (): Promise<number[]> => {
      const offsets = (await client.admin.groups.offsets([topic])).get(topic);
      return Array.isArray(offsets) ? offsets.map(({ offset }) => offset) : [];
    };
    await expect.poll(committed, PATIENCE).toEqual(Array(PARTITIONS).fill(sent));
    sleeper.kill('SIGCONT');
    const lowest = async (): Promise<number> => Math.min(...(await committed()));
    const sharedBy = async (): Promise<number> => {
      const group = (await client.admin.groups.describe([topic])).get(topic);
      const members = group !== undefined && group !== null && 'members' in group ? group.members : [];
      return members.filter(({ assignment }) => (assignment ?? []).length > 0).length;
    };
    await expect.poll(sharedBy, PATIENCE).toBe(2);
    expect(await lowest()).toBe(sent);
    const more = await sendingDuring(topic, async () => {});
    await expect.poll(counts, PATIENCE).toEqual(Array(PARTITIONS).fill(sent + more));
    await expect.poll(committed, PATIENCE).toEqual(Array(PARTITIONS).fill(sent + more));
    expectInOrder(sent + more);
  });

  test('a broker that is killed and comes back finds its members waiting, and nothing is skipped', async () => {
    const topic = 'restarted';
    await client.admin.createTopic({ name: topic, partitions: PARTITIONS });
    startMember(topic, protocol);
    startMember(topic, protocol);
    const sent = await sendingDuring(topic, async () => {
      for (let kill = 0; kill < 2; kill++) {
        const before = counts().reduce((sum, count) => sum + count, 0);
        await expect.poll(() => counts().reduce((sum, count) => sum + count, 0), PATIENCE).toBeGreaterThan(before + 20);
        await broker.kill();
        broker = await startMillrace(folder, port, settings);
      }
    });
    await expect.poll(counts, PATIENCE).toEqual(Array(PARTITIONS).fill(sent));
    expectInOrder(sent);
    expect(members.every(({ exitCode }) => exitCode === null)).toBe(true);
  });
});
