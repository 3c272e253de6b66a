import type { TopicMetadata } from '../client/metadata.ts';
import type { Millrace } from '../client/millrace.ts';
import type { ReadBatch } from '../client/read-record.ts';
import type { Reader } from '../client/reader.ts';
import { BufferedOutput } from './buffered-output.ts';
import { brokerFlags, defineCommand, partitionFlag, type Values } from './command.ts';
import { withBroker } from './connect.ts';
import { untilInterrupted } from './interrupted.ts';
import { note } from './output.ts';
import { type Places, parsePlaces, resolveStart } from './read-places.ts';
import type { RecordPrinter } from './record-format.ts';
import { checkPrinterFlags, printerFlags, printerOf } from './record-printer.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  ...brokerFlags,
  offset: {
    alias: 'o',
    type: 'string',
    array: true,
    requiresArg: true,
    describe:
      'Where to start: beginning, end, N, -N (the last N), s@MOMENT; where to stop: e@MOMENT [default: beginning]',
  },
  ...partitionFlag,
  count: { alias: 'c', type: 'number', requiresArg: true, describe: 'Stop after so many records' },
  'exit-at-end': { alias: 'e', type: 'boolean', default: false, describe: 'Stop at the end as it is now' },
  ...printerFlags,
  isolation: {
    type: 'string',
    choices: ['committed', 'uncommitted'],
    requiresArg: true,
    default: 'committed',
    describe: 'Whether records of transactions that are open or aborted are left out',
  },
  quiet: { alias: 'q', type: 'boolean', default: false, describe: 'Do not say where the end was reached' },
} as const;

type Args = Values<typeof flags>;

export const consume = defineCommand({
  syntax: 'consume <topic>',
  describe: "Print a topic's records",
  positionals: { topic: { type: 'string', demandOption: true } },
  flags,
  examples: [
    { run: '$0 consume orders', does: 'All there is, then what comes' },
    { run: '$0 consume orders -o -10 -e', does: 'The last ten of each partition' },
    { run: '$0 consume orders -o s@-1h -e -J', does: 'The last hour as JSON' },
    {
      run: "$0 consume orders -p 0 -c 5 -f '%p:%o %k=%s\\n'",
      does: 'Five records of partition 0, with offset and key',
    },
  ],
  notes:
    'Formats: %t topic, %p partition, %o offset, %T timestamp in ms, %k key, %K its bytes, %s value, %S its bytes, %R the same as ' +
    'big-endian int32, %h headers, %% a percent sign; \\n \\r \\t \\0 \\xNN bytes. Moments: milliseconds since 1970, ISO 8601, or -2h.',
  async run(args) {
    if (args.count !== undefined && !(Number.isInteger(args.count) && args.count >= 0)) {
      throw new UsageError('--count must be a whole number from 0 up');
    }
    checkPrinterFlags(args);
    await untilInterrupted((signal) => withBroker(args, (client) => print(client, args.topic, args, signal)));
  },
});

async function print(client: Millrace, topicName: string, args: Args, signal: AbortSignal): Promise<void> {
  const topic = await client.admin.describeTopic(topicName);
  const output = new BufferedOutput();
  const printer = await printerOf(client, topic, args);
  const places = parsePlaces(args.offset ?? []);
  const reader = await readerOf(client, topic, args, places, signal);
  let isAllRead = false;
  try {
    isAllRead = await printBatches(reader, printer, output, args.count ?? Number.POSITIVE_INFINITY);
  } finally {
    await output.flush();
  }
  // A moment at which to stop goes before the end.
  if (!isAllRead || places.stop !== null || args.quiet) return;
  for (const partition of reader.partitions.toSorted((a, b) => a - b)) {
    note(`% Reached end of topic ${topicName} [${partition}] at offset ${reader.position(partition)}`);
  }
}

/** Whether all there is to read was printed, and not just as many records as may be. */
async function printBatches(
  reader: Reader<Buffer, Buffer>,
  printer: RecordPrinter,
  output: BufferedOutput,
  countMax: number,
): Promise<boolean> {
  let left = countMax;
  if (left === 0) {
    await reader.close();
    return false;
  }
  for await (const { records } of reader.batches() as AsyncIterable<ReadBatch<Buffer, Buffer>>) {
    for (const record of records) {
      printer(record, output.writer);
      if (--left === 0) return false;
    }
    await output.keepPace();
  }
  return true;
}

async function readerOf(
  client: Millrace,
  topic: TopicMetadata,
  args: Args,
  { start, stop }: Places,
  signal: AbortSignal,
): Promise<Reader<Buffer, Buffer>> {
  const partitions = args.partition ?? topic.partitions.map((one) => one.partition);
  const from = await resolveStart(client.admin, topic.name, start, partitions);
  const to = stop ?? (args.exitAtEnd ? 'end' : null);
  const { bytes } = await import('../client/codecs.ts');
  return client.reader({
    topic: topic.name,
    // Else all, also those that are added meanwhile.
    ...(args.partition !== undefined && { partitions }),
    from,
    ...(to !== null && { to }),
    key: bytes,
    value: bytes,
    isolation: args.isolation,
    signal,
  });
}
