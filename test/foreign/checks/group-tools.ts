import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from '../../../src/client/codecs.ts';
import { Millrace } from '../../../src/client/millrace.ts';
import { javaProgram } from '../../../tools/kafka.ts';
import { millraceProgram } from '../../../tools/millrace.ts';
import { groupClients } from '../clients/group-client.ts';
import { GroupMember } from '../group-member.ts';
import { Handled } from '../handled.ts';
import { outputOf } from '../run-program.ts';
import type { Suite } from '../suite.ts';

const TOPIC = 'group-tools';
const GROUP = 'tools';
const PARTITIONS = 2;
/** Of each partition. */
const RECORDS = 20;
const READ = 15;
const PATIENCE_MS = 60_000;

/** What both command lines say of a partition. */
interface Row {
  partition: number;
  offset: number | null;
  latest: number;
  lag: number | null;
  /** Empty where it is nobody's. */
  member: string;
}

/** Kafka's own tools for groups, unmodified, kcat's groups, and ours beside them on the same group: one story of one group. */
export async function checkGroupTools(suite: Suite): Promise<void> {
  const { report, topics, broker } = suite;
  if (!report.wants('group-tools')) return;
  if (!suite.java) return report.skip('group-tools', "Kafka's classes cannot be run");
  await topics.create(TOPIC, PARTITIONS);
  const feed = await Millrace.connect(broker.bootstrap);
  const producer = feed.producer({ value: text });
  const places = Array.from({ length: RECORDS * PARTITIONS }, (_, n) => ({
    partition: n % PARTITIONS,
    value: `value ${n}`,
  }));
  await producer.sendMany(places.map((one) => ({ topic: TOPIC, ...one })));
  await feed.close();
  await checkReading(suite);
  await checkActive(suite);
  await checkResetting(suite);
  await checkDeleting(suite);
  await topics.delete(TOPIC);
}

async function checkReading(suite: Suite): Promise<void> {
  await suite.report.check(
    'group-tools/kafka-console-consumer reads with a group and goes on where it was',
    async () => {
      const read = async (count: number): Promise<number> => {
        const from = ['--topic', TOPIC, '--group', GROUP, '--from-beginning', '--max-messages', String(count)];
        const printed = await tool(suite, 'org.apache.kafka.tools.consumer.ConsoleConsumer', from);
        return printed.trimEnd().split('\n').length;
      };
      const first = await read(READ);
      const before = committed(await ours(suite));
      const second = await read(RECORDS * PARTITIONS - READ);
      const after = committed(await ours(suite));
      if (first !== READ || before !== READ) throw new Error(`${first} read and ${before} committed, not ${READ}`);
      if (second !== after - before || after !== RECORDS * PARTITIONS) throw new Error(`${after} committed in the end`);
    },
  );
  await suite.report.check('group-tools/kcat -G reads all, commits and leaves', async () => {
    const args = ['-b', suite.broker.bootstrap, '-G', 'kcat', '-X', 'auto.offset.reset=earliest', '-e', '-q', TOPIC];
    const lines = (await outputOf({ file: 'kcat', args })).split('\n').length - 1;
    const rows = await ours(suite, 'kcat');
    if (committed(rows) !== RECORDS * PARTITIONS) throw new Error(`${lines} lines, ${committed(rows)} committed`);
  });
}

async function checkActive(suite: Suite): Promise<void> {
  const { report, broker } = suite;
  const client = groupClients.find(({ name }) => name === 'kafka-verifiable-consumer')!;
  for (const protocol of ['eager', 'consumer'] as const) {
    const group = `active-${protocol}`;
    const job = { bootstrap: broker.bootstrap, topic: TOPIC, group, protocol };
    const member = new GroupMember(`the member of ${group}`, client, job, new Handled(PARTITIONS));
    await report.check(
      `group-tools/kafka-consumer-groups and ours say the same of a group at work (${protocol})`,
      async () => {
        await until(async () => {
          member.check();
          return member.count === RECORDS * PARTITIONS && committed(await ours(suite, group)) === member.count;
        }, 'the member has read and committed all');
        await sameRows(suite, group);
        const state = await groups(suite, ['--describe', '--state', '--group', group]);
        expect(state, new RegExp(`^${group} +\\S+ +\\(\\d+\\) +(range|uniform) +Stable +1 *$`, 'm'));
        const members = await groups(suite, ['--describe', '--members', '--verbose', '--group', group]);
        expect(members, new RegExp(`${TOPIC}[:(]0,1\\)?`));
        const refused = await groups(suite, [
          ...['--reset-offsets', '--to-earliest', '--execute'],
          ...['--topic', TOPIC, '--group', group],
        ]);
        expect(refused, /Assignments can only be reset if the group '\S+' is inactive/);
        const listed = await groups(suite, ['--list', '--state', 'stable']);
        expect(listed, new RegExp(`^${group} +Stable`, 'm'));
      },
    );
    await member.stop();
  }
}

async function checkResetting(suite: Suite): Promise<void> {
  const { report, workDir } = suite;
  const reset = (...args: string[]): Promise<string> => groups(suite, ['--reset-offsets', '--group', GROUP, ...args]);
  await report.check('group-tools/kafka-consumer-groups resets offsets; ours shows the same', async () => {
    await reset('--topic', TOPIC, '--to-earliest', '--execute');
    if (committed(await sameRows(suite, GROUP)) !== 0) throw new Error('not at the earliest');
    await reset('--topic', `${TOPIC}:1`, '--shift-by', '7', '--execute');
    if (committed(await sameRows(suite, GROUP)) !== 7) throw new Error('not shifted');
  });
  await report.check("group-tools/each reads the other's files of offsets", async () => {
    const theirs = await reset('--all-topics', '--to-current', '--dry-run', '--export');
    const exported = await cli('export', suite, GROUP);
    const lines = (text: string): string =>
      text
        .split('\n')
        .filter((line) => line.startsWith(TOPIC))
        .sort()
        .join();
    if (lines(theirs) !== lines(exported)) throw new Error(`exported ${theirs} and ${exported}`);
    await cli('seek', suite, GROUP, '--to-latest');
    const file = join(workDir, 'offsets.csv');
    writeFileSync(file, exported);
    await reset('--from-file', file, '--execute');
    if (committed(await sameRows(suite, GROUP)) !== 7) throw new Error('not as our file says');
    await cli('seek', suite, GROUP, '--to-latest');
    writeFileSync(file, `${lines(theirs).replaceAll(',group', '\ngroup')}\n`);
    await cli('import', suite, file, '--group', GROUP);
    if (committed(await sameRows(suite, GROUP)) !== 7) throw new Error('not as their file says');
  });
}

async function checkDeleting(suite: Suite): Promise<void> {
  await suite.report.check('group-tools/kafka-consumer-groups deletes offsets and groups', async () => {
    await groups(suite, ['--delete-offsets', '--group', GROUP, '--topic', `${TOPIC}:0`]);
    const rows = await sameRows(suite, GROUP);
    if (rows.map(({ partition }) => partition).join() !== '1') throw new Error(`left are ${JSON.stringify(rows)}`);
    await groups(suite, ['--delete', '--group', GROUP]);
    if (/^tools$/m.test(await groups(suite, ['--list']))) throw new Error('the group is still listed');
  });
}

/** What both say, which must be the same. */
async function sameRows(suite: Suite, group: string): Promise<Row[]> {
  const [own, theirs] = [await ours(suite, group), await kafkas(suite, group)];
  if (JSON.stringify(own) !== JSON.stringify(theirs)) {
    throw new Error(`ours: ${JSON.stringify(own)}\ntheirs: ${JSON.stringify(theirs)}`);
  }
  return own;
}

async function ours(suite: Suite, group = GROUP): Promise<Row[]> {
  const [lag] = JSON.parse(await cli('lag', suite, group, '--json')).groups;
  return lag.partitions.map((one: Record<string, unknown>) => ({
    partition: one['partition'],
    offset: one['offset'],
    latest: one['latest'],
    lag: one['records'],
    member: (one['member'] as { memberId: string } | null)?.memberId ?? '',
  }));
}

async function kafkas(suite: Suite, group: string): Promise<Row[]> {
  const text = await groups(suite, ['--describe', '--group', group]);
  const rows = text.split('\n').flatMap((line) => {
    const [, topic, partition, offset, latest, lag, member] = line.trim().split(/\s+/);
    if (topic !== TOPIC) return [];
    const number = (cell: string | undefined): number | null => (cell === '-' ? null : Number(cell));
    return [
      {
        partition: Number(partition),
        offset: number(offset),
        latest: Number(latest),
        lag: number(lag),
        member: member === '-' ? '' : member!,
      },
    ];
  });
  return rows.sort((a, b) => a.partition - b.partition);
}

function committed(rows: readonly Row[]): number {
  return rows.reduce((sum, { offset }) => sum + (offset ?? 0), 0);
}

function groups(suite: Suite, args: readonly string[]): Promise<string> {
  return tool(suite, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', args);
}

function tool({ broker }: Suite, mainClass: string, args: readonly string[]): Promise<string> {
  return outputOf(javaProgram(mainClass, ['--bootstrap-server', broker.bootstrap, ...args]));
}

function cli(command: string, { broker }: Suite, ...args: string[]): Promise<string> {
  return outputOf(millraceProgram('group', command, ...args, '-b', broker.bootstrap));
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`);
    await sleep(200);
  }
}

function expect(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`expected ${pattern} in:\n${text.slice(0, 2_000)}`);
}
