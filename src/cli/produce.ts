import { open } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { ProducerOptions } from '../client/producer-options.ts';
import type { HeadersInput } from '../client/producer-record.ts';
import { compressions } from '../record/compression.ts';
import { brokerFlags, defineCommand, type Values } from './command.ts';
import { withBroker } from './connect.ts';
import { parseDurationMs } from './duration.ts';
import { parseEscapes } from './escapes.ts';
import { parsePairs } from './key-value.ts';
import { note, writeJson } from './output.ts';
import { type Intake, sendAll } from './produce-stream.ts';
import { Progress } from './progress.ts';
import { bytesText } from './table.ts';
import { UsageError } from './usage-error.ts';

const READ_BYTES = 512 * 1024;
/** Lines come fast, so batches may be larger than where single records are sent; far below what a topic takes by default. */
const BATCH_BYTES = 128 * 1024;

const flags = {
  ...brokerFlags,
  'key-delimiter': {
    alias: ['k', 'K'],
    type: 'string',
    requiresArg: true,
    describe: 'Splits key from value; a line without it has no key',
  },
  delimiter: { alias: 'D', type: 'string', requiresArg: true, default: '\\n', describe: 'Ends a record' },
  header: {
    alias: 'H',
    type: 'string',
    array: true,
    requiresArg: true,
    default: [],
    describe: 'A header of every record, NAME=VALUE; repeatable',
  },
  partition: { alias: 'p', type: 'number', requiresArg: true, describe: 'All to this partition [default: by key]' },
  compression: {
    alias: 'z',
    type: 'string',
    choices: compressions,
    requiresArg: true,
    default: 'none',
    describe: 'Of the batches',
  },
  null: { alias: 'Z', type: 'boolean', default: false, describe: 'Empty keys and values are null: tombstones' },
  acks: {
    type: 'string',
    choices: ['all', '1', '0'],
    requiresArg: true,
    default: 'all',
    describe: 'Who must have a record before it counts',
  },
  idempotent: {
    type: 'boolean',
    describe: 'Whether retries can never store a record twice [default: with --acks all]',
  },
  linger: { type: 'string', requiresArg: true, default: '5ms', describe: 'How long a batch waits for more records' },
  'batch-bytes': { type: 'number', requiresArg: true, default: BATCH_BYTES, describe: 'Where a batch is full' },
  'delivery-timeout': {
    type: 'string',
    requiresArg: true,
    default: '2m',
    describe: 'After which a record counts as failed',
  },
  progress: { type: 'boolean', describe: 'Show how far a long input has come [default: at a terminal]' },
} as const;

export const produce = defineCommand({
  syntax: 'produce <topic> [file]',
  describe: 'Send lines from standard input or a file to a topic',
  positionals: {
    topic: { type: 'string', demandOption: true },
    file: { type: 'string', describe: 'Instead of standard input' },
  },
  flags,
  examples: [
    { run: 'echo hello | $0 produce greetings', does: 'One record' },
    { run: '$0 produce orders -k : orders.txt', does: 'Lines KEY:VALUE of a file' },
    { run: "$0 produce logs -z zstd -H 'host=web 1' < app.log", does: 'Compressed, each with a header' },
    { run: '$0 produce state -k = -Z', does: 'A line KEY= is its key with a null value, not an empty one' },
  ],
  notes:
    'Delimiters may hold \\n, \\r, \\t, \\0 and \\xNN. Every line is a record, empty ones too, and so is a last line without ' +
    'its delimiter; bytes are stored as they are.',
  async run(args) {
    const options = producerOptions(args);
    const intake: Intake = {
      topic: args.topic,
      delimiter: parseEscapes(args.delimiter, '--delimiter'),
      keyDelimiter: args.keyDelimiter === undefined ? null : parseEscapes(args.keyDelimiter, '--key-delimiter'),
      headers: headersOf(args.header),
      partition: args.partition,
      emptyIsNull: args.null,
      recordBytesMax: limits.frameBytesMax,
    };
    const file = args.file === undefined ? null : await open(args.file);
    const facts = (await file?.stat()) ?? null;
    if (facts?.isDirectory()) {
      await file?.close();
      throw new UsageError(`cannot read ${args.file}: it is a folder`);
    }
    const progress = (args.progress ?? process.stderr.isTTY) ? new Progress(systemClock, facts?.size ?? null) : null;
    const startMs = systemClock.monotonicMs();
    try {
      const input = file?.createReadStream({ highWaterMark: READ_BYTES }) ?? process.stdin;
      const totals = await withBroker(args, async (client) => {
        const { bytes } = await import('../client/codecs.ts');
        const producer = client.producer({ ...options, key: bytes, value: bytes });
        return sendAll(input, producer, intake, (records, read) => progress?.show(records, read));
      });
      progress?.end();
      if (args.json) await writeJson({ topic: args.topic, ...totals });
      else if (progress !== null) {
        const seconds = (systemClock.monotonicMs() - startMs) / 1000;
        note(`${totals.records.toLocaleString('en')} records, ${bytesText(totals.bytes)}, in ${seconds.toFixed(1)} s`);
      }
    } finally {
      progress?.end();
      await file?.close();
    }
  },
});

function producerOptions(args: Values<typeof flags>): ProducerOptions<Buffer, Buffer> {
  return {
    compression: args.compression,
    acks: args.acks === 'all' ? 'all' : args.acks === '1' ? 1 : 0,
    lingerMs: parseDurationMs(args.linger, '--linger'),
    batchBytesMax: args.batchBytes,
    deliveryTimeoutMs: parseDurationMs(args.deliveryTimeout, '--delivery-timeout'),
    unknownTopicMs: parseDurationMs(args.timeout, '--timeout'),
    ...(args.idempotent !== undefined && { idempotent: args.idempotent }),
  };
}

function headersOf(texts: readonly string[]): HeadersInput | undefined {
  return texts.length === 0 ? undefined : parsePairs(texts, '--header');
}
