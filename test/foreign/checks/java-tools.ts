import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { javaProgram } from '../../../tools/kafka.ts';
import { outputOf, type RunOptions, writeTo } from '../run-program.ts';
import type { Suite } from '../suite.ts';

const TOPIC = 'tools';
const RECORDS = 500;
const DELETED_BEFORE = 100;

type Tool = (name: string, args: readonly string[], options?: RunOptions) => Promise<string>;

const classes: Readonly<Record<string, string>> = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
};

/** Kafka's own command-line tools, unmodified, judged by what they print. One story of one topic, from its making to its end. */
export async function checkJavaTools(suite: Suite): Promise<void> {
  if (!suite.report.wants('java-tools')) return;
  if (!suite.java) return suite.report.skip('java-tools', "Kafka's classes cannot be run");
  const run: Tool = (name, args, options) =>
    outputOf(javaProgram(classes[name]!, ['--bootstrap-server', suite.broker.bootstrap, ...args]), options);
  await checkTopics(suite, run);
  await checkConfigs(suite, run);
  await checkConsole(suite, run);
  await checkOffsets(suite, run);
  await suite.report.check('java-tools/kafka-topics deletes', async () => {
    await run('kafka-topics', ['--delete', '--topic', TOPIC]);
    const listed = (await run('kafka-topics', ['--list'])).split('\n');
    if (listed.includes(TOPIC)) throw new Error('the topic is still listed');
  });
}

async function checkTopics({ report }: Suite, run: Tool): Promise<void> {
  const describe = (): Promise<string> => run('kafka-topics', ['--describe', '--topic', TOPIC]);
  await report.check('java-tools/kafka-topics creates with a setting, lists and describes', async () => {
    const settings = ['--partitions', '2', '--config', 'retention.ms=86400000'];
    expect(await run('kafka-topics', ['--create', '--topic', TOPIC, ...settings]), /^Created topic tools\.$/m);
    expect(await run('kafka-topics', ['--list']), /^tools$/m);
    const text = await describe();
    expect(
      text,
      /^Topic: tools\tTopicId: \S{22}\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: .*retention\.ms=86400000/m,
    );
    expect(text, /^\tTopic: tools\tPartition: 1\tLeader: (\d+)\tReplicas: \1\tIsr: \1\b/m);
  });
  await report.check('java-tools/kafka-topics adds partitions', async () => {
    await run('kafka-topics', ['--alter', '--topic', TOPIC, '--partitions', '3']);
    expect(await describe(), /\tPartitionCount: 3\t/);
  });
}

async function checkConfigs({ report }: Suite, run: Tool): Promise<void> {
  const topic = ['--entity-type', 'topics', '--entity-name', TOPIC];
  await report.check('java-tools/kafka-configs sets, describes and unsets a setting of a topic', async () => {
    await run('kafka-configs', [...topic, '--alter', '--add-config', 'max.message.bytes=2000000']);
    const set =
      / max\.message\.bytes=2000000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:max\.message\.bytes=2000000/;
    expect(await run('kafka-configs', [...topic, '--describe']), set);
    await run('kafka-configs', [...topic, '--alter', '--delete-config', 'max.message.bytes']);
    const text = await run('kafka-configs', [...topic, '--describe']);
    expect(text, / retention\.ms=86400000 /);
    if (set.test(text)) throw new Error('the setting is still there');
  });
  await report.check('java-tools/kafka-broker-api-versions, and kafka-configs describes that broker', async () => {
    const versions = await run('kafka-broker-api-versions', []);
    expect(versions, /^\tProduce\(0\): 0 to \d+ \[usable: \d+\],$/m);
    expect(versions, /^\tFetch\(1\): 4 to \d+ \[usable: \d+\],$/m);
    const id = /\(id: (\d+) /.exec(versions)?.[1] ?? 'none';
    const broker = ['--entity-type', 'brokers', '--entity-name', id];
    const settings = await run('kafka-configs', [...broker, '--describe', '--all']);
    expect(settings, new RegExp(`^All configs for broker ${id} are:\n {2}\\S+=.* sensitive=`, 'm'));
  });
}

async function checkConsole({ report }: Suite, run: Tool): Promise<void> {
  await report.check('java-tools/kafka-console-producer writes', async () => {
    const input = async (stdin: Writable): Promise<void> => {
      for (let number = 0; number < RECORDS; number += 1) await writeTo(stdin, Buffer.from(`same:value ${number}\n`));
    };
    const keyed = ['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:'];
    await run('kafka-console-producer', ['--topic', TOPIC, ...keyed], { input });
  });
  await report.check('java-tools/kafka-console-consumer reads a partition from an offset', async () => {
    const from = ['--partition', String(await filledPartition(run)), '--offset', String(RECORDS - 3)];
    const text = await run('kafka-console-consumer', ['--topic', TOPIC, ...from, '--max-messages', '3']);
    expect(text, new RegExp(`^value ${RECORDS - 3}\nvalue ${RECORDS - 2}\nvalue ${RECORDS - 1}\n$`));
  });
}

async function checkOffsets({ report, workDir }: Suite, run: Tool): Promise<void> {
  const offsets = (time: string): Promise<string> => run('kafka-get-offsets', ['--topic', TOPIC, '--time', time]);
  await report.check('java-tools/kafka-get-offsets by earliest, latest, newest record and time', async () => {
    const filled = await filledPartition(run);
    expect(await offsets('latest'), new RegExp(`^tools:${filled}:${RECORDS}$`, 'm'));
    expect(await offsets('earliest'), new RegExp(`^tools:${filled}:0$`, 'm'));
    expect(await offsets('max-timestamp'), new RegExp(`^tools:${filled}:\\d+$`, 'm'));
    expect(await offsets('1000'), new RegExp(`^tools:${filled}:0$`, 'm'));
  });
  await report.check('java-tools/kafka-log-dirs shows the size', async () => {
    const text = await run('kafka-log-dirs', ['--describe', '--topic-list', TOPIC]);
    expect(text, new RegExp(`"partition":"tools-${await filledPartition(run)}","size":[1-9]\\d*,`));
  });
  await report.check('java-tools/kafka-delete-records moves the start', async () => {
    const partition = await filledPartition(run);
    const file = join(workDir, 'delete.json');
    const partitions = [{ topic: TOPIC, partition, offset: DELETED_BEFORE }];
    writeFileSync(file, JSON.stringify({ version: 1, partitions }));
    const text = await run('kafka-delete-records', ['--offset-json-file', file]);
    expect(text, new RegExp(`^partition: tools-${partition}\tlow_watermark: ${DELETED_BEFORE}$`, 'm'));
    expect(await offsets('earliest'), new RegExp(`^tools:${partition}:${DELETED_BEFORE}$`, 'm'));
    const from = ['--partition', String(partition), '--offset', 'earliest', '--max-messages', '1'];
    expect(await run('kafka-console-consumer', ['--topic', TOPIC, ...from]), /^value 100\n$/);
  });
}

/** The one partition in which all records are, as they have one key. */
async function filledPartition(run: Tool): Promise<number> {
  const text = await run('kafka-get-offsets', ['--topic', TOPIC]);
  const found = new RegExp(`^${TOPIC}:(\\d+):${RECORDS}$`, 'm').exec(text);
  if (found === null) throw new Error(`no partition holds all ${RECORDS} records: ${text}`);
  return Number(found[1]);
}

function expect(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`expected ${pattern} in:\n${text.slice(0, 2_000)}`);
}
