/*
 * What consumer groups cost a broker, and how long a rebalance takes:
 *   node bench/groups.ts [--groups 1000] [--members 5000] [--rebalance-members 100] [--seconds 30] [--broker millrace|kafka]
 * Members speak the raw protocol, each on a connection of its own, through the SDK's connection layer. They are in one process,
 * the broker in another, whose processor time and memory are what is told. Nothing else may run on the machine meanwhile.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Millrace } from '../src/millrace.ts';
import { BrokerProcess, freePort } from '../tools/broker-process.ts';
import { startKafka } from '../tools/kafka.ts';
import { millraceProgram } from '../tools/millrace.ts';
import { ClassicMember, type Member, type MemberOptions, NewMember } from './group-members.ts';
import { cpuSeconds, residentMb } from './process-usage.ts';

const TOPIC = 'grouped';
/** Classic clients' own. */
const HEARTBEAT_MS = 3000;
/** What the broker tells members of the new protocol. */
const NEW_HEARTBEAT_MS = { millrace: 1000, kafka: 5000 } as const;
const SHORT_HEARTBEAT_MS = 500;
const REBALANCES = 5;
const WAIT_MS_MAX = 300_000;
const POLL_MS = 2;
/** IncrementalAlterConfigs' numbers. */
const GROUP = 32;
const SET = 0;
const protocols = { classic: ClassicMember, new: NewMember } as const;
type Protocol = keyof typeof protocols;

const { values } = parseArgs({
  options: {
    groups: { type: 'string', default: '1000' },
    members: { type: 'string', default: '5000' },
    'rebalance-members': { type: 'string', default: '100' },
    seconds: { type: 'string', default: '30' },
    broker: { type: 'string', default: 'millrace' },
  },
});
const groups = Number(values.groups);
const members = Number(values.members);
const seconds = Number(values.seconds);
const rebalanceMembers = Number(values['rebalance-members']);
const ownHeartbeatMs = values.broker === 'kafka' ? NEW_HEARTBEAT_MS.kafka : NEW_HEARTBEAT_MS.millrace;
const failures: unknown[] = [];

/** Starts it; what fails fails the run. */
function started(protocol: Protocol, options: MemberOptions): { member: Member; ended: Promise<void> } {
  const member = new protocols[protocol](options);
  const ended = member.run().catch((error: unknown) => void failures.push(error));
  return { member, ended };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (!holds()) {
    if (failures.length > 0) throw failures[0];
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${WAIT_MS_MAX} ms`);
    await sleep(POLL_MS);
  }
}

/** All have partitions, in one generation. */
function isStable(all: readonly Member[], partitions: number, protocol: Protocol): boolean {
  const [first] = all;
  if (first === undefined || first.generation < 1) return false;
  if (!all.every(({ generation }) => generation === first.generation)) return false;
  return protocol === 'classic' || all.reduce((sum, { owned }) => sum + owned, 0) === partitions;
}

/** Many groups that only keep up. */
async function keepingUp(broker: BrokerProcess, protocol: Protocol, partitions: number): Promise<void> {
  const beforeMb = residentMb(broker.pid).nowMb;
  const size = Math.floor(members / groups);
  const startMs = performance.now();
  const all: { member: Member; ended: Promise<void> }[][] = [];
  for (let number = 0; number < groups; number++) {
    const options = { port: broker.port, group: `${protocol}-${number}`, topic: TOPIC, partitions };
    all.push(Array.from({ length: size }, () => started(protocol, { ...options, heartbeatIntervalMs: HEARTBEAT_MS })));
    // Connections come about a group at a time: nobody starts thousands of programs in one moment.
    if (number % 10 === 9) await sleep(20);
  }
  const groupsOf = all.map((group) => group.map(({ member }) => member));
  await until('all groups are stable', () => groupsOf.every((group) => isStable(group, partitions, protocol)));
  const joinedSeconds = (performance.now() - startMs) / 1000;
  await sleep(10_000);
  const beats = (): number => groupsOf.flat().reduce((sum, { heartbeats }) => sum + heartbeats, 0);
  const [beatsBefore, cpuBefore, fromMs] = [beats(), cpuSeconds(broker.pid), performance.now()];
  await sleep(seconds * 1000);
  const spentSeconds = (performance.now() - fromMs) / 1000;
  const cpuShare = (cpuSeconds(broker.pid) - cpuBefore) / spentSeconds;
  const rate = (beats() - beatsBefore) / spentSeconds;
  print(
    `${protocol}: ${groups} groups, ${groups * size} members, stable after ${joinedSeconds.toFixed(1)} s; ` +
      `${rate.toFixed(0)} heartbeats/s take ${(cpuShare * 100).toFixed(1)} % of a core; ` +
      `memory ${beforeMb.toFixed(0)} MB before, ${residentMb(broker.pid).nowMb.toFixed(0)} MB now`,
  );
  for (const { member } of all.flat()) member.leave();
  await Promise.all(all.flat().map(({ ended }) => ended));
  if (failures.length > 0) throw failures[0];
}

/** One more member joins a group, again and again; from its start to where all are stable in the new generation. */
async function rebalances(port: number, protocol: Protocol, intervalMs: number, partitions: number): Promise<void> {
  const group = `rebalanced-${protocol}-${intervalMs}`;
  const options = { port, group, topic: TOPIC, partitions, heartbeatIntervalMs: intervalMs };
  const all = Array.from({ length: rebalanceMembers - 1 }, () => started(protocol, options));
  const times: number[] = [];
  const stable = (): Promise<void> =>
    until('the group is stable', () =>
      isStable(
        all.map(({ member }) => member),
        partitions,
        protocol,
      ),
    );
  await stable();
  for (let round = 0; round < REBALANCES; round++) {
    // Heartbeats are where they happen to be.
    await sleep(1000 + round * 250);
    const before = all[0]!.member.generation;
    const startMs = performance.now();
    all.push(started(protocol, options));
    await until('the rebalance begins', () => all.every(({ member }) => member.generation > before));
    await stable();
    times.push(performance.now() - startMs);
    const last = all.pop()!;
    const inNew = all[0]!.member.generation;
    last.member.leave();
    await last.ended;
    await until('the member is gone', () => all.every(({ member }) => member.generation > inNew));
    await stable();
  }
  for (const { member } of all) member.leave();
  await Promise.all(all.map(({ ended }) => ended));
  const sorted = times.toSorted((a, b) => a - b).map((ms) => (ms / 1000).toFixed(2));
  const median = sorted[Math.floor(sorted.length / 2)];
  print(
    `${protocol}: a rebalance of ${rebalanceMembers} members with heartbeats every ${intervalMs} ms takes ` +
      `${median} s (${sorted[0]} to ${sorted.at(-1)} s in ${times.length})`,
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function start(dir: string): Promise<BrokerProcess> {
  mkdirSync(dir);
  const port = await freePort(2);
  if (values.broker === 'kafka') return startKafka(dir, port);
  const args = ['serve', '--data', join(dir, 'data'), '--listen', `127.0.0.1:${port}`];
  return BrokerProcess.start(millraceProgram(...args), port, join(dir, 'out.log'));
}

/** Of a group of the new protocol. */
async function setHeartbeatInterval(client: Millrace, group: string): Promise<void> {
  const configs = [{ name: 'consumer.heartbeat.interval.ms', configOperation: SET, value: String(SHORT_HEARTBEAT_MS) }];
  const resources = [{ resourceType: GROUP, resourceName: group, configs }];
  const { responses } = await client.admin.request('IncrementalAlterConfigs', { resources, validateOnly: false });
  for (const { errorCode, errorMessage } of responses)
    if (errorCode !== 0) throw new Error(errorMessage ?? `${errorCode}`);
}

/** Each protocol has a broker of its own, so that the memory is that of its groups. */
async function measure(protocol: Protocol, dir: string): Promise<void> {
  const broker = await start(dir);
  const client = await Millrace.connect(`127.0.0.1:${broker.port}`);
  try {
    const partitions = rebalanceMembers * 2;
    await client.admin.createTopic({ name: TOPIC, partitions });
    // Apache Kafka makes its topic of groups when one is asked for.
    await client.admin.request('FindCoordinator', { keyType: 0, coordinatorKeys: [TOPIC] });
    await keepingUp(broker, protocol, partitions);
    await rebalances(broker.port, protocol, protocol === 'new' ? ownHeartbeatMs : HEARTBEAT_MS, partitions);
    // Kafka has a minimum of its own, which is not to be changed while it runs.
    if (protocol === 'new' && values.broker === 'kafka') return;
    if (protocol === 'new') await setHeartbeatInterval(client, `rebalanced-${protocol}-${SHORT_HEARTBEAT_MS}`);
    await rebalances(broker.port, protocol, SHORT_HEARTBEAT_MS, partitions);
  } finally {
    await client.close();
    await broker.stop();
  }
}

const dir = mkdtempSync(join(tmpdir(), 'bench-groups-'));
try {
  for (const protocol of Object.keys(protocols) as Protocol[]) await measure(protocol, join(dir, protocol));
} finally {
  rmSync(dir, { recursive: true, force: true });
}
