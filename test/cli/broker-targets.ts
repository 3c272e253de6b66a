import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { targets } from '../client/targets.ts';
import { ServeProcess } from './serve-process.ts';

/** A broker in a process of its own, for the commands that talk to one. */
export interface BrokerTarget {
  readonly name: string;
  /** Why it cannot run here; null when it can. */
  readonly unavailable: string | null;
  start(): Promise<{ broker: string; stop: () => Promise<void> }>;
}

const kafka = targets.find(({ name }) => name === 'Apache Kafka')!;

export const brokerTargets: readonly BrokerTarget[] = [
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
