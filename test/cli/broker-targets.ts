import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { targets } from '../client/targets.ts';
import { type CliOptions, type CliResult, runCli } from './run-cli.ts';
import { ServeProcess } from './serve-process.ts';

/** A broker in a process of its own, for the commands that talk to one. */
interface BrokerTarget {
  readonly name: string;
  /** Why it cannot run here; null when it can. */
  readonly unavailable: string | null;
  start(): Promise<{ broker: string; stop: () => Promise<void> }>;
}

const kafka = targets.find(({ name }) => name === 'Apache Kafka')!;

const brokerTargets: readonly BrokerTarget[] = [
  {
    name: 'Millrace',
    unavailable: null,
    async start() {
      const folder = await mkdtemp(path.join(tmpdir(), 'cli-millrace-'));
      const server = await ServeProcess.start(['--data', folder, '--listen', '127.0.0.1:0']);
      return {
        broker: server.broker,
        async stop() {
          await server.stop();
          await rm(folder, { recursive: true });
        },
      };
    },
  },
  {
    name: kafka.name,
    unavailable: kafka.unavailable,
    async start() {
      const { client, close } = await kafka.start();
      const [broker] = (await client.admin.describeCluster()).brokers;
      return { broker: `${broker!.host}:${broker!.port}`, stop: close };
    },
  },
];

/** The command line beside a broker, which both are there while the tests run. */
export interface Beside {
  readonly name: string;
  readonly broker: () => string;
  /** Empty at first: where commands run. */
  readonly folder: () => string;
  readonly cli: (args: readonly string[], options?: CliOptions) => Promise<CliResult>;
  /** For steps that must succeed before what is tested. */
  readonly done: (args: readonly string[], options?: CliOptions) => Promise<CliResult>;
}

/** Runs a suite beside each broker, which is started for it. */
export function besideEachBroker(what: string, suite: (beside: Beside) => void): void {
  for (const target of brokerTargets) {
    if (target.unavailable !== null) console.warn(`not against ${target.name}: ${target.unavailable}`);
    describe.skipIf(target.unavailable !== null)(`${what} against ${target.name}`, () => {
      let broker = '';
      let folder = '';
      let stop = async (): Promise<void> => {};
      beforeAll(async () => {
        folder = await mkdtemp(path.join(tmpdir(), 'cli-beside-'));
        ({ broker, stop } = await target.start());
      });
      afterAll(async () => {
        await stop();
        await rm(folder, { recursive: true });
      });
      const cli: Beside['cli'] = (args, options) =>
        runCli(args, { cwd: folder, ...options, env: { MILLRACE_BROKER: broker, ...options?.env } });
      const done: Beside['done'] = async (args, options) => {
        const result = await cli(args, options);
        if (result.code !== 0) throw new Error(`millrace ${args.join(' ')}: ${result.code} ${result.err}`);
        return result;
      };
      suite({ name: target.name, broker: () => broker, folder: () => folder, cli, done });
    });
  }
}
