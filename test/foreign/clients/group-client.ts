import { join } from 'node:path';
import type { Program } from '../../../tools/broker-process.ts';
import { kafkaClassPath } from '../../../tools/kafka.ts';
import { python } from './confluent-kafka.ts';
import { franzGoBinary } from './franz-go.ts';

/** `eager`: all is given up at each rebalance; `cooperative`: only what moves; `consumer`: the broker assigns (KIP-848). */
export type GroupProtocol = 'eager' | 'cooperative' | 'consumer';

export interface GroupJob {
  bootstrap: string;
  topic: string;
  group: string;
  protocol: GroupProtocol;
}

/** These partitions were assigned to the member, or it has handled a record. */
export type GroupEvent = { assigned: readonly number[] } | { partition: number; offset: number };

/**
 * A client that consumes in a group, as a program that goes on until SIGTERM, leaves the group then, and lasts through a restart of
 * the broker. It prints each record when it is handled, and commits only what it has printed.
 */
export interface GroupClient {
  name: string;
  /** The ForeignClient whose toolchain it needs, if that is called otherwise. */
  needs?: string;
  protocols: readonly GroupProtocol[];
  /** With which status it ends when it is asked to; default 0. */
  stopStatus?: string | number;
  /** See MemberOrder. */
  mayRepeat?: boolean;
  program(job: GroupJob): Program;
  /** What a line of its output says; null for others. */
  read(line: string): GroupEvent | null;
}

/** The lines that our own programs print: `+ 0,1` for partitions assigned, `0 17` for partition and offset of a record handled. */
function readPlain(line: string): GroupEvent | null {
  const [first = '', second = ''] = line.split(' ');
  if (first === '+') return { assigned: second === '' ? [] : second.split(',').map(Number) };
  return { partition: Number(first), offset: Number(second) };
}

function nodeProgram(script: string): GroupClient['program'] {
  const file = join(import.meta.dirname, '../programs', script);
  return ({ bootstrap, topic, group, protocol }) => ({
    file: process.execPath,
    args: [file, bootstrap, topic, group, protocol],
  });
}

const javaAssignors = { eager: 'RangeAssignor', cooperative: 'CooperativeStickyAssignor' };
/** Three of them run at a time, and their work is small. */
const smallJava = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** kafka-verifiable-consumer as it is: prints JSON, commits after printing. */
const verifiableConsumer: GroupClient = {
  name: 'kafka-verifiable-consumer',
  needs: 'java-console',
  protocols: ['eager', 'cooperative', 'consumer'],
  // A Java process that a signal ends says so, after its shutdown hooks.
  stopStatus: 143,
  program: ({ bootstrap, topic, group, protocol }) => {
    const classic = (assignor: string): string[] => [
      ...['--session-timeout', '6000'],
      ...['--assignment-strategy', `org.apache.kafka.clients.consumer.${assignor}`],
    ];
    const spoken = protocol === 'consumer' ? ['--group-protocol', 'CONSUMER'] : classic(javaAssignors[protocol]);
    const where = ['--bootstrap-server', bootstrap, '--topic', topic, '--group-id', group, '--verbose'];
    const main = 'org.apache.kafka.tools.VerifiableConsumer';
    return { file: 'java', args: [...smallJava, '-cp', kafkaClassPath, main, ...where, ...spoken] };
  },
  read: (line) => {
    if (!line.startsWith('{')) return null;
    const said = JSON.parse(line);
    if (said.name === 'record_data') return { partition: said.partition, offset: said.offset };
    if (said.name !== 'partitions_assigned') return null;
    return { assigned: said.partitions.map((one: { partition: number }) => one.partition) };
  },
};

const client = (args: readonly string[], job: GroupJob): string[] => [
  ...args,
  job.bootstrap,
  job.topic,
  job.group,
  job.protocol,
];

export const groupClients: readonly GroupClient[] = [
  {
    name: 'millrace-sdk',
    protocols: ['eager', 'cooperative', 'consumer'],
    program: nodeProgram('sdk-group.ts'),
    read: readPlain,
  },
  verifiableConsumer,
  {
    name: 'confluent-kafka',
    protocols: ['eager', 'cooperative', 'consumer'],
    program: (job) => ({
      file: python,
      args: client([join(import.meta.dirname, '../programs/python/group.py')], job),
    }),
    read: readPlain,
  },
  {
    name: 'franz-go',
    protocols: ['eager', 'cooperative', 'consumer'],
    program: (job) => ({ file: franzGoBinary(), args: client(['group'], job) }),
    read: readPlain,
  },
  { name: 'kafkajs', protocols: ['eager'], program: nodeProgram('kafkajs-group.ts'), read: readPlain },
  {
    name: '@platformatic/kafka',
    protocols: ['eager', 'consumer'],
    // Its stream looks up the committed offset again after a disconnection.
    mayRepeat: true,
    program: nodeProgram('platformatic-group.ts'),
    read: readPlain,
  },
];
