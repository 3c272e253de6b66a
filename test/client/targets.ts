import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { ClientOptions } from '../../src/client/millrace.ts';
import { Millrace } from '../../src/millrace.ts';
import { freePort } from '../../tools/broker-process.ts';
import { kafkaClassPath, startKafka } from '../../tools/kafka.ts';

/** A broker to run the SDK's tests against. */
export interface Target {
  readonly name: string;
  /** Why it cannot run here; null when it can. */
  readonly unavailable: string | null;
  /** Whether other processes can reach it. */
  readonly servesProcesses: boolean;
  start(): Promise<RunningTarget>;
}

export interface RunningTarget {
  readonly client: Millrace;
  /** Where other processes find the broker; null when it is only in this one. */
  readonly address: string | null;
  close(): Promise<void>;
}

/** Short pauses, so that what is tried again does not make the tests slow. */
const options: ClientOptions = { clientId: 'test', retryBackoff: { firstMs: 20, maxMs: 200 } };

/** Tests send records of any time; none is deleted while they run. */
const settings = { 'log.initial.task.delay.ms': '86400000' };

const inProcess: Target = {
  name: 'Millrace in process',
  unavailable: null,
  servesProcesses: false,
  async start() {
    const client = await Millrace.open(undefined, { ...options, settings });
    return { client, address: null, close: () => client.close() };
  },
};

const overTcp: Target = {
  name: 'Millrace over TCP',
  unavailable: null,
  servesProcesses: true,
  async start() {
    const server = await Millrace.open(undefined, { listen: 0, settings });
    const address = `127.0.0.1:${server.addresses[0]?.port}`;
    const client = await Millrace.connect(address, options);
    return { client, address, close: () => client.close().finally(() => server.close()) };
  },
};

const apacheKafka: Target = {
  name: 'Apache Kafka',
  unavailable: whyNoKafka(),
  servesProcesses: true,
  async start() {
    const folder = await mkdtemp(path.join(tmpdir(), 'sdk-kafka-'));
    const port = await freePort(2);
    const kafka = await startKafka(folder, port, '-Xmx512m');
    const client = await Millrace.connect(`127.0.0.1:${port}`, { ...options, connectTimeoutMs: 30_000 });
    return {
      client,
      address: `127.0.0.1:${port}`,
      async close() {
        await client.close();
        await kafka.stop();
        await rm(folder, { recursive: true });
      },
    };
  },
};

export const targets: readonly Target[] = [inProcess, overTcp, apacheKafka];

/** Runs a suite with each broker, which is started for it; says why where one cannot run here. */
export function withEachTarget(what: string, suite: (client: () => Millrace, target: Target) => void): void {
  for (const target of targets) {
    if (target.unavailable !== null) {
      test.skip(`${what} with ${target.name}: ${target.unavailable}`, () => {});
      continue;
    }
    describe(`${what} with ${target.name}`, () => {
      let running: RunningTarget | undefined;
      beforeAll(async () => {
        running = await target.start();
      });
      afterAll(() => running?.close());
      suite(() => running!.client, target);
    });
  }
}

function whyNoKafka(): string | null {
  if (spawnSync('java', ['-version'], { stdio: 'ignore' }).status !== 0) return 'java is not installed';
  const home = path.dirname(kafkaClassPath);
  return existsSync(path.join(home, '.complete')) ? null : `Kafka's jars are not in ${home}: node tools/kafka.ts fetch`;
}

let topics = 0;

/** A topic name that no other test of the run uses. */
export function newTopic(what: string): string {
  topics++;
  return `${what}-${topics}`;
}
