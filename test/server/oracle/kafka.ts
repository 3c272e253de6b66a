import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../../tools/broker-process.ts';
import { kafkaClassPath, startKafka } from '../../../tools/kafka.ts';

/** Why no Apache Kafka can be compared with here; null when one can. */
export function whyNoKafka(): string | null {
  if (spawnSync('java', ['-version'], { stdio: 'ignore' }).status !== 0) return 'java is not installed';
  const home = path.dirname(kafkaClassPath);
  return existsSync(path.join(home, '.complete')) ? null : `Kafka's jars are not in ${home}: node tools/kafka.ts fetch`;
}

export interface RunningKafka {
  readonly port: number;
  stop(): Promise<void>;
}

/** An Apache Kafka of one node on files of its own. */
export async function runKafka(settings: Readonly<Record<string, string>> = {}): Promise<RunningKafka> {
  const folder = await mkdtemp(path.join(tmpdir(), 'oracle-'));
  const port = await freePort(2);
  const kafka = await startKafka(folder, port, '-Xmx512m', settings);
  const stop = async (): Promise<void> => {
    await kafka.stop();
    await rm(folder, { recursive: true });
  };
  return { port, stop };
}
