import { systemClock } from '../base/clock.ts';
import type { Millrace } from '../client/millrace.ts';
import type { ReplayOptions, ReplayPlan, ReplayResult, ReplayTopic } from '../client/replay/replay-options.ts';
import { compressions } from '../record/compression.ts';
import { checkpointFile } from '../replay-checkpoint-file.ts';
import { BufferedOutput } from './buffered-output.ts';
import { ByteWriter } from './byte-writer.ts';
import { brokerFlags, defineCommand, partitionFlag, type Values } from './command.ts';
import { connect, withBroker } from './connect.ts';
import { untilInterrupted } from './interrupted.ts';
import { parsePairs } from './key-value.ts';
import { note, write, writeJson } from './output.ts';
import { Progress } from './progress.ts';
import { RecordCommand } from './record-command.ts';
import type { RecordPrinter } from './record-format.ts';
import { checkPrinterFlags, printerFlags, printerOf } from './record-printer.ts';
import { parseFroms, parseTos } from './replay-places.ts';
import { bytesText, table } from './table.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  ...brokerFlags,
  from: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Where to begin; see below. PARTITION=PLACE for one partition; repeatable [default: earliest]',
  },
  to: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Where to stop, exclusive; likewise [default, and at most: the end as it is now]',
  },
  ...partitionFlag,
  key: { type: 'string', requiresArg: true, describe: 'Only records of this key' },
  'key-like': {
    type: 'string',
    requiresArg: true,
    describe: 'Only records whose key is like this: * any, ? one character',
  },
  header: {
    alias: 'H',
    type: 'string',
    array: true,
    requiresArg: true,
    default: [],
    describe: 'Only records with such a header, NAME=VALUE, where * and ? stand as above; repeatable',
  },
  count: { alias: 'c', type: 'number', requiresArg: true, describe: 'Stop after so many records' },
  isolation: {
    type: 'string',
    choices: ['committed', 'uncommitted'],
    requiresArg: true,
    default: 'committed',
    describe: 'Whether records of transactions that are open or aborted are left out',
  },
  'to-topic': {
    type: 'string',
    requiresArg: true,
    describe: 'Send to this topic [default with --to-broker: the same]',
  },
  'to-broker': { type: 'string', requiresArg: true, describe: 'The topic is at this broker [default: the source]' },
  exec: {
    alias: 'pipe-to',
    type: 'string',
    requiresArg: true,
    describe: 'Give the records to the standard input of this command, which the shell runs',
  },
  'partition-by': {
    type: 'string',
    choices: ['same', 'murmur2', 'crc32'],
    requiresArg: true,
    describe:
      "The topic's partition: of the same number, or by the key as Kafka (murmur2) or librdkafka (crc32) do [default: same]",
  },
  map: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Partition FROM=TO of the topic; repeatable, for each partition that is replayed',
  },
  compression: {
    alias: 'z',
    type: 'string',
    choices: ['same', ...compressions],
    requiresArg: true,
    default: 'same',
    describe: "Of the topic's batches",
  },
  create: {
    type: 'boolean',
    default: false,
    describe: "Make the topic, with the source's partitions and settings, if it is not there",
  },
  'into-itself': { type: 'boolean', default: false, describe: 'Allow the topic to be the source itself' },
  rate: { type: 'number', requiresArg: true, describe: 'So many records a second [default: at full speed]' },
  pace: { type: 'number', requiresArg: true, describe: 'The recorded pace, times this factor' },
  checkpoint: {
    type: 'string',
    requiresArg: true,
    describe: 'A file that says how far it came: run again to go on from there',
  },
  'dry-run': { type: 'boolean', default: false, describe: 'Only say what would be replayed' },
  progress: { type: 'boolean', describe: 'Show how far it has come [default: at a terminal]' },
  ...printerFlags,
  frame: {
    type: 'boolean',
    default: false,
    describe: 'Before each printed record its bytes, as a big-endian int32; no delimiter',
  },
} as const;

type Args = Values<typeof flags> & { topic: string };

export const replay = defineCommand({
  syntax: 'replay <topic>',
  describe: 'Send a range of records once more: to another topic, another broker, a command, or standard output',
  positionals: { topic: { type: 'string', demandOption: true } },
  flags,
  examples: [
    {
      run: '$0 replay orders --from -2h --to-topic orders-again --create',
      does: 'The last two hours, to a topic made for them',
    },
    {
      run: '$0 replay orders --to-broker kafka:9092 --checkpoint orders.json',
      does: 'All, to another broker; run again after an interruption',
    },
    {
      run: '$0 replay orders --from 0=1000 --to 0=2000 -p 0 --dry-run',
      does: 'What a range of one partition would be',
    },
    {
      run: "$0 replay orders --key-like 'eu-*' --pace 10 --exec ./bill",
      does: 'Records of some keys, ten times as fast as they came, to a program',
    },
  ],
  notes:
    'Places: earliest, end, an offset, -10 (the last ten; only to begin), -2h (that long ago), 2026-05-01T12:00:00Z, @MILLISECONDS.\n' +
    'Keys, values, headers, timestamps and, unless told otherwise, partitions stay as they are. With a checkpoint each record is ' +
    'in the target topic once, however often the replay was interrupted or killed. Formats are those of consume.',
  async run(args) {
    checkArgs(args);
    const isDone = await untilInterrupted((signal) => withBroker(args, (client) => start(client, args, signal)));
    if (!isDone && args.checkpoint !== undefined) note(`interrupted; run it again to go on from ${args.checkpoint}`);
  },
});

function isTopic(args: Args): boolean {
  return args.toTopic !== undefined || args.toBroker !== undefined;
}

/** @throws UsageError */
function checkArgs(args: Args): void {
  const wrong = (message: string): never => {
    throw new UsageError(message);
  };
  checkPrinterFlags(args);
  if (isTopic(args) && args.exec !== undefined) wrong('--exec and --to-topic or --to-broker are two targets; give one');
  if (args.rate !== undefined && args.pace !== undefined) wrong('give --rate or --pace, not both');
  for (const [flag, value] of [
    ['--rate', args.rate],
    ['--pace', args.pace],
  ] as const) {
    if (value !== undefined && !(value > 0)) wrong(`${flag} must be above 0, not ${value}`);
  }
  if (args.count !== undefined && !(Number.isSafeInteger(args.count) && args.count >= 0))
    wrong(`--count must be a whole number from 0 up, not ${args.count}`);
  if (args.map !== undefined && args.partitionBy !== undefined) wrong('give --map or --partition-by, not both');
  if (isTopic(args)) return;
  // What a pipe has taken in, nobody knows to be handled.
  if (args.checkpoint !== undefined)
    wrong('--checkpoint needs a target that says what it has stored: --to-topic or --to-broker');
  for (const [name, given] of Object.entries({
    map: args.map !== undefined,
    'partition-by': args.partitionBy !== undefined,
    create: args.create,
    'into-itself': args.intoItself,
  })) {
    if (given) wrong(`--${name} is for a topic; give --to-topic or --to-broker`);
  }
}

async function start(client: Millrace, args: Args, signal: AbortSignal): Promise<void> {
  const options = await optionsOf(client, args, signal);
  if (!isTopic(args))
    return args.dryRun ? dryRun(client, args, options, () => {}) : print(client, args, options, signal);
  const other = args.toBroker === undefined ? null : await connect(args.toBroker, args.timeout, '--to-broker');
  try {
    const target = targetOf(args, other ?? client);
    await (args.dryRun ? dryRun(client, args, options, target) : send(client, args, options, target));
  } finally {
    await other?.close();
  }
}

type Common = Omit<ReplayOptions, 'target'>;

async function optionsOf(client: Millrace, args: Args, signal: AbortSignal): Promise<Common> {
  const { partitions: all } = await client.admin.describeTopic(args.topic);
  const partitions = args.partition ?? all.map(({ partition }) => partition);
  const { key, keyLike, isolation, rate, pace, count } = args;
  const headers = Object.fromEntries(parsePairs(args.header, '--header'));
  const hasFilter = key !== undefined || keyLike !== undefined || args.header.length > 0;
  const filter = { ...(key !== undefined && { key }), ...(keyLike !== undefined && { keyLike }), headers };
  return {
    topic: args.topic,
    partitions,
    from: parseFroms(args.from ?? [], partitions),
    to: parseTos(args.to ?? [], partitions),
    isolation,
    signal,
    ...(hasFilter && { filter }),
    ...(count !== undefined && { limit: count }),
    ...(rate !== undefined && { recordsPerSecond: rate }),
    ...(pace !== undefined && { pace }),
    ...(args.checkpoint !== undefined && { checkpoint: checkpointFile(args.checkpoint) }),
  };
}

function targetOf(args: Args, client: Millrace): ReplayTopic {
  const { toTopic = args.topic, partitionBy = 'same', compression, create, intoItself } = args;
  const partition = args.map === undefined ? partitionBy : mapOf(args.map);
  return { topic: toTopic, client, partition, compression, create, intoItself };
}

/** @throws UsageError */
function mapOf(texts: readonly string[]): Map<number, number> {
  return new Map(
    texts.map((text) => {
      const match = /^(\d+)=(\d+)$/.exec(text);
      if (match === null) throw new UsageError(`--map: "${text}" maps nothing; write FROM=TO, for example 0=3`);
      return [Number(match[1]), Number(match[2])];
    }),
  );
}

async function dryRun(client: Millrace, args: Args, options: Common, target: ReplayOptions['target']): Promise<void> {
  const plan: ReplayPlan = await client.planReplay({ ...options, target });
  const name = nameOf(args);
  if (args.json) return writeJson({ topic: args.topic, target: name, ...plan });
  const rows = plan.partitions.map(({ partition, fromOffset, toOffset, recordsMax, bytes }) => [
    partition,
    fromOffset,
    toOffset,
    recordsMax,
    bytes === null ? null : bytesText(bytes),
    name,
  ]);
  await write(table(['PARTITION', 'FROM', 'TO', 'RECORDS MAX', 'BYTES', 'TARGET'], rows));
}

function nameOf({ toTopic, toBroker, topic, exec }: Args): string {
  if (toTopic !== undefined || toBroker !== undefined) {
    return `topic ${toTopic ?? topic}${toBroker === undefined ? '' : ` at ${toBroker}`}`;
  }
  return exec === undefined ? 'standard output' : `command ${exec}`;
}

async function send(client: Millrace, args: Args, options: Common, target: ReplayTopic): Promise<void> {
  const startMs = systemClock.monotonicMs();
  const result = await withProgress(args, (onProgress) => client.replay({ ...options, target, onProgress }));
  noteEmpty(result);
  if (args.json) return writeJson({ topic: args.topic, target: nameOf(args), ...result });
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  const { records, bytes, foundInTarget } = result;
  const found = foundInTarget === 0 ? '' : `; ${foundInTarget.toLocaleString('en')} of an interrupted run were there`;
  note(
    `${records.toLocaleString('en')} records, ${bytesText(bytes)}, in ${seconds.toFixed(1)} s to ${nameOf(args)}${found}`,
  );
}

function noteEmpty({ offsetsTotal }: ReplayResult): void {
  if (offsetsTotal === 0) note('nothing to replay: the range is empty in every partition');
}

async function print(client: Millrace, args: Args, options: Common, signal: AbortSignal): Promise<void> {
  const topic = await client.admin.describeTopic(args.topic);
  const printer = await printerOf(client, topic, args.frame ? { ...args, delimiter: '' } : args);
  const command = args.exec === undefined ? null : new RecordCommand(args.exec);
  const output = new BufferedOutput(command?.write);
  const printed = args.frame ? framed(printer) : printer;
  try {
    const result = await withProgress(args, (onProgress) =>
      client.replay({
        ...options,
        signal: command === null ? signal : AbortSignal.any([signal, command.closed]),
        onProgress,
        target: (record) => {
          printed(record, output.writer);
          return output.isFull || args.rate !== undefined || args.pace !== undefined ? output.keepPace() : undefined;
        },
      }),
    );
    await output.flush();
    noteEmpty(result);
  } catch (error) {
    // How the command ended says more than that it did.
    if (command === null || !command.closed.aborted) throw error;
  } finally {
    await command?.end();
  }
}

function framed(printer: RecordPrinter): RecordPrinter {
  const frame = new ByteWriter(1024);
  return (record, out) => {
    printer(record, frame);
    const bytes = frame.take();
    out.int32(bytes.length);
    out.bytes(bytes);
  };
}

async function withProgress(
  args: Args,
  run: (onProgress: NonNullable<ReplayOptions['onProgress']>) => Promise<ReplayResult>,
): Promise<ReplayResult> {
  const isShown = args.progress ?? (process.stderr.isTTY && (isTopic(args) || !process.stdout.isTTY));
  const progress = isShown ? new Progress(systemClock, null) : null;
  try {
    return await run(({ records, bytes, offsetsDone, offsetsTotal }) => {
      progress?.show(records, bytes, offsetsTotal === 0 ? 1 : offsetsDone / offsetsTotal);
    });
  } finally {
    progress?.end();
  }
}
