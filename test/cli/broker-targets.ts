import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../tools/broker-process.ts';
import { startKafka } from '../../tools/kafka.ts';
import { targets } from '../client/targets.ts';
import { ServeProcess } from './serve-process.ts';

/** A broker in a process of its own, for the commands that talk to one. */
export interface BrokerTarget {
  readonly name: string;
  /** Why it cannot run here; null when it can. */
  readonly unavailable: string | null;
  start(): Promise<{ broker: string; stop: () => Promise<void> }>;
}

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
    name: 'Apache Kafka',
    unavailable: targets.find(({ name }) => name === 'Apache Kafka')!.unavailable,
    async start() {
      const folder = await mkdtemp(path.join(tmpdir(), 'cli-kafka-'));
      const kafka = await startKafka(folder, await freePort(), '-Xmx512m');
      return {
        broker: `127.0.0.1:${kafka.port}`,
        async stop() {
          await kafka.stop();
          await rm(folder, { recursive: true });
        },
      };
    },
  },
];
