import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BrokerProcess } from '../tools/broker-process.ts';
import { javaProgram, kafkaClassPath } from '../tools/kafka.ts';
import { cpuSeconds } from './process-usage.ts';

const run = promisify(execFile);
const BYTES_PER_GB = 1e9;

export interface Load {
  recordBytes: number;
  records: number;
  /** The first records, in which Java compiles itself; they count for the processor time but not for the throughput. */
  warmupRecords: number;
  acks: string;
}

export interface Outcome {
  recordsPerSecond: number;
  mbPerSecond: number;
  /** What the broker spent, warm-up included. */
  cpuSecondsPerGb: number;
}

/** Kafka's own producer benchmark, with the Java producer's own settings but for acks. */
export function produce(broker: BrokerProcess, topic: string, load: Load): Promise<Outcome> {
  const program = javaProgram('org.apache.kafka.tools.ProducerPerformance', [
    ...['--bootstrap-server', `127.0.0.1:${broker.port}`, '--topic', topic, '--throughput', '-1'],
    ...['--num-records', String(load.records), '--warmup-records', String(load.warmupRecords)],
    ...['--record-size', String(load.recordBytes), '--command-property', `acks=${load.acks}`],
  ]);
  return measure(broker, load, async () => {
    const { stdout } = await run(program.file, program.args);
    const steady = /^\d+ steady state records sent, ([\d.]+) records\/sec/m.exec(stdout);
    if (steady === null) throw new Error(`ProducerPerformance said:\n${stdout}`);
    return Number(steady[1]);
  });
}

/** Reads with the Java consumer what `produce` wrote. */
export function consume(broker: BrokerProcess, topic: string, load: Load): Promise<Outcome> {
  const source = join(import.meta.dirname, 'java/ConsumePartitions.java');
  const counts = [String(load.records), String(load.warmupRecords)];
  return measure(broker, load, async () => {
    const args = ['-Xmx512m', '-cp', kafkaClassPath, source, `127.0.0.1:${broker.port}`, topic, ...counts];
    const [records, bytes, seconds] = (await run('java', args)).stdout.trim().split(' ').map(Number);
    if (bytes !== records! * load.recordBytes) throw new Error(`${records} records of ${bytes} bytes`);
    return records! / seconds!;
  });
}

async function measure(broker: BrokerProcess, load: Load, throughput: () => Promise<number>): Promise<Outcome> {
  const before = cpuSeconds(broker.pid);
  const recordsPerSecond = await throughput();
  return {
    recordsPerSecond,
    mbPerSecond: (recordsPerSecond * load.recordBytes) / 1e6,
    cpuSecondsPerGb: (cpuSeconds(broker.pid) - before) / ((load.records * load.recordBytes) / BYTES_PER_GB),
  };
}
