/*
 * Foreign Kafka clients against a broker: node test/foreign/run.ts [--broker millrace|kafka] [--only PREFIX] [--lines N]
 * PREFIX: compression, compression/zstd, java-tools, partitioner, text, text/kcat, kill, kill/kcat, group-tools, groups, groups/franz-go …
 * Each check is a line: ok, FAIL or skip with the reason. Against Apache Kafka the same checks show that they are right.
 * A client whose toolchain is not there is skipped; with CI set, that is a failure.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Broker, type BrokerKind } from './broker.ts';
import { checkCompression } from './checks/compression.ts';
import { checkDumpLog } from './checks/dump-log.ts';
import { checkGroupTools } from './checks/group-tools.ts';
import { checkGroups } from './checks/groups.ts';
import { checkJavaTools } from './checks/java-tools.ts';
import { checkKill } from './checks/kill.ts';
import { checkPartitioner } from './checks/partitioner.ts';
import { checkText } from './checks/text.ts';
import { confluentKafka } from './clients/confluent-kafka.ts';
import type { ForeignClient } from './clients/foreign-client.ts';
import { franzGo } from './clients/franz-go.ts';
import { javaConsole } from './clients/java-console.ts';
import { kcat } from './clients/kcat.ts';
import { millraceCli, millraceSdk } from './clients/millrace-clients.ts';
import { kafkajs, platformaticKafka } from './clients/node-clients.ts';
import { writeCorpus } from './corpus.ts';
import { Report } from './report.ts';
import { PARTITIONS, type Suite } from './suite.ts';
import { Topics } from './topics.ts';

const allClients: readonly ForeignClient[] = [
  millraceCli,
  millraceSdk,
  kcat,
  javaConsole,
  franzGo,
  confluentKafka,
  kafkajs,
  platformaticKafka,
];

async function clientsThatAreThere(report: Report, workDir: string): Promise<ForeignClient[]> {
  const clients: ForeignClient[] = [];
  for (const client of allClients) {
    const missing = await client.prepare(workDir);
    if (missing === undefined) clients.push(client);
    else if (process.env['CI']) report.fail(client.name, `${missing}, and CI must have it`);
    else report.skip(client.name, missing);
  }
  return clients;
}

async function run(kind: BrokerKind, lines: number, report: Report, workDir: string): Promise<void> {
  const clients = await clientsThatAreThere(report, workDir);
  const corpus = writeCorpus(join(workDir, 'corpus.txt'), lines, PARTITIONS);
  const broker = await Broker.start(kind, join(workDir, 'broker'));
  try {
    const topics = new Topics(broker.bootstrap);
    const suite: Suite = { broker, topics, report, clients, workDir, corpus, java: clients.includes(javaConsole) };
    const topicIds = await checkCompression(suite);
    await checkJavaTools(suite);
    await checkPartitioner(suite);
    await checkText(suite);
    await checkKill(suite);
    await checkGroupTools(suite);
    await checkGroups(suite);
    await topics.close();
    await broker.stop();
    await checkDumpLog(suite, topicIds);
  } finally {
    await broker.stop();
  }
}

const { values } = parseArgs({
  options: {
    broker: { type: 'string', default: 'millrace' },
    only: { type: 'string' },
    lines: { type: 'string', default: '1000000' },
  },
});
if (values.broker !== 'millrace' && values.broker !== 'kafka') throw new Error('--broker is millrace or kafka');
// Ends through process.exit, so that every child is killed on the way.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const report = new Report(values.only);
const workDir = mkdtempSync(join(tmpdir(), 'millrace-foreign-'));
try {
  await run(values.broker, Number(values.lines), report, workDir);
} finally {
  rmSync(workDir, { recursive: true, force: true });
}
process.stdout.write(`${report.summary()}\n`);
process.exit(report.failed === 0 && report.passed > 0 ? 0 : 1);
