import type { TopicMetadata } from '../client/metadata.ts';
import type { Millrace } from '../client/millrace.ts';
import type { Flags, Values } from './command.ts';
import { parseEscapes } from './escapes.ts';
import { type EnvelopeFacts, jsonEnvelope } from './json-envelope.ts';
import { delimitedFormat, parseFormat, type RecordPrinter } from './record-format.ts';
import { UsageError } from './usage-error.ts';

/** How to print records. */
export const printerFlags = {
  format: { alias: 'f', type: 'string', requiresArg: true, describe: 'How to print a record; see below' },
  json: { alias: 'J', type: 'boolean', default: false, describe: "A JSON object per record, as kcat's -J" },
  delimiter: { alias: 'D', type: 'string', requiresArg: true, default: '\\n', describe: 'Printed after each record' },
  'key-delimiter': {
    alias: ['k', 'K'],
    type: 'string',
    requiresArg: true,
    describe: 'Print keys too, with this after them',
  },
  null: { alias: 'Z', type: 'boolean', default: false, describe: 'Print null keys and values as NULL' },
} as const satisfies Flags;

/** What is refused before anything is asked of a broker. @throws UsageError */
export function checkPrinterFlags({ json, format }: Pick<Values<typeof printerFlags>, 'json' | 'format'>): void {
  if (json && format !== undefined) throw new UsageError('give --json or --format, not both');
}

/** How the flags say to print the records of a topic. @throws UsageError */
export async function printerOf(
  client: Millrace,
  topic: TopicMetadata,
  args: Values<typeof printerFlags>,
): Promise<RecordPrinter> {
  const delimiter = parseEscapes(args.delimiter, '--delimiter');
  if (args.json) {
    const facts = await envelopeFacts(client, topic);
    return (record, out) => {
      out.text(jsonEnvelope(record, facts[record.partition] ?? facts[0]!));
      out.bytes(delimiter);
    };
  }
  if (args.format !== undefined) return parseFormat(args.format, args.null);
  const keyDelimiter = args.keyDelimiter === undefined ? null : parseEscapes(args.keyDelimiter, '--key-delimiter');
  return delimitedFormat(delimiter, keyDelimiter, args.null);
}

async function envelopeFacts(client: Millrace, { name, partitions }: TopicMetadata): Promise<EnvelopeFacts[]> {
  const [setting] = await client.admin.settings({ topic: name }, ['message.timestamp.type']);
  const timestampType = setting?.value === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime';
  return partitions.map(({ leader }) => ({ broker: leader, timestampType }));
}
