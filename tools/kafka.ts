/*
 * A real Apache Kafka beside us: the oracle of the foreign-client tests and the yardstick of the benchmark.
 *   node tools/kafka.ts fetch              the jars, by Maven, into KAFKA_HOME (default ~/.cache/kafka-4.3.1)
 *   node tools/kafka.ts start DIR PORT     a broker of one node with its files in DIR; PORT + 1 is its controller's
 *   node tools/kafka.ts stop DIR
 *   node tools/kafka.ts run CLASS ARGS…    a command-line tool, by class: org.apache.kafka.tools.TopicCommand …
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BrokerProcess, type Program } from './broker-process.ts';

export const kafkaVersion = '4.3.1';
const home = process.env['KAFKA_HOME'] ?? join(homedir(), '.cache', `kafka-${kafkaVersion}`);
/** Written last, so that an interrupted download is not taken for a whole one. */
const completeMark = join(home, '.complete');
export const kafkaClassPath = join(home, '*');

function runs(file: string, ...args: string[]): boolean {
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

/** Gets the jars unless they are there. @returns why Kafka's classes cannot be run, or undefined when they can. */
export function fetchKafka(): string | undefined {
  if (!runs('java', '-version')) return 'java is not installed';
  if (existsSync(completeMark)) return undefined;
  if (!runs('mvn', '--version')) return `neither Kafka's jars in ${home} nor mvn to fetch them`;
  mkdirSync(home, { recursive: true });
  const pom = join(import.meta.dirname, 'kafka-pom.xml');
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${home}`];
  const maven = spawnSync('mvn', ['-q', '-B', '-f', pom, ...goal], { encoding: 'utf8' });
  if (maven.status !== 0) return `mvn could not fetch Kafka's jars: ${maven.stdout}${maven.stderr}`;
  writeFileSync(completeMark, '');
  return undefined;
}

/** The command line that runs a class of Kafka's jars. */
export function javaProgram(mainClass: string, args: readonly string[], heap = '-Xmx512m'): Program {
  return { file: 'java', args: [heap, '-cp', kafkaClassPath, mainClass, ...args] };
}

function serverProperties(dir: string, port: number, settings: Readonly<Record<string, string>>): string {
  const broker = `127.0.0.1:${port}`;
  const controller = `127.0.0.1:${port + 1}`;
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'log.dirs': join(dir, 'data'),
    listeners: `CLIENTS://${broker},CONTROLLER://${controller}`,
    'advertised.listeners': `CLIENTS://${broker}`,
    'listener.security.protocol.map': 'CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'CLIENTS',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': controller,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    ...settings,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Starts a broker on the files in `dir`, or on new ones; what `settings` and the addresses leave open is as Kafka's own defaults. */
export async function startKafka(
  dir: string,
  port: number,
  heap = '-Xmx1g',
  settings: Readonly<Record<string, string>> = {},
): Promise<BrokerProcess> {
  mkdirSync(dir, { recursive: true });
  const properties = join(dir, 'server.properties');
  writeFileSync(properties, serverProperties(dir, port, settings));
  if (!existsSync(join(dir, 'data'))) {
    // The first letter keeps the id from looking like an option.
    const clusterId = `M${randomBytes(16).toString('base64url').slice(1)}`;
    const format = javaProgram('kafka.tools.StorageTool', [
      'format',
      '-t',
      clusterId,
      '-c',
      properties,
      '--standalone',
    ]);
    const done = spawnSync(format.file, format.args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`Kafka could not format ${dir}: ${done.stdout}${done.stderr}`);
  }
  const initialHeap = heap.replace('-Xmx', '-Xms');
  const program = { file: 'java', args: [initialHeap, heap, '-cp', kafkaClassPath, 'kafka.Kafka', properties] };
  return BrokerProcess.start(program, port, join(dir, 'out.log'));
}

async function main([command, ...args]: string[]): Promise<number> {
  const missing = fetchKafka();
  if (missing !== undefined) throw new Error(missing);
  const [first = '', second = ''] = args;
  if (command === 'fetch') return 0;
  if (command === 'start' && Number(second) > 0) {
    const broker = await startKafka(first, Number(second));
    writeFileSync(join(first, 'pid'), String(broker.pid));
    broker.detach();
    return 0;
  }
  if (command === 'stop' && args.length === 1) {
    process.kill(Number(readFileSync(join(first, 'pid'), 'utf8')), 'SIGTERM');
    return 0;
  }
  if (command === 'run' && args.length > 0) {
    const program = javaProgram(first, args.slice(1));
    return spawnSync(program.file, program.args, { stdio: 'inherit' }).status ?? 1;
  }
  process.stderr.write('usage: node tools/kafka.ts fetch | start DIR PORT | stop DIR | run CLASS ARGS…\n');
  return 2;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
