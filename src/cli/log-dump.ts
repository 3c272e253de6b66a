import {
  baseOffset,
  baseSequence,
  compressionOf,
  isControl,
  isTransactional,
  lastOffset,
  leaderEpoch,
  maxTimestamp,
  producerEpoch,
  producerId,
  recordCount,
  storedCrc,
  timestampType,
} from '../record/batch.ts';
import { type LogRecord, recordsOfAsync } from '../record/records.ts';
import { BufferedOutput } from './buffered-output.ts';
import { defineCommand } from './command.ts';
import { jsonBytes } from './json-envelope.ts';
import { logFlags, partitionsFirst, pathPositional, withLogs } from './log-files.ts';
import { visible } from './table.ts';
import { type ShownPiece, UnreadableFiles } from './unreadable-files.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  ...logFlags,
  from: { type: 'string', requiresArg: true, default: '0', describe: 'Leave out batches before this offset' },
  records: { type: 'boolean', default: false, describe: 'Keys, values and headers too' },
} as const;

export const logDump = defineCommand({
  syntax: 'dump <path>',
  describe: 'Show the batches in log files, and with --records what is in them',
  positionals: pathPositional,
  flags,
  examples: [
    { run: '$0 log dump data --topic orders -p 0', does: 'A line for each batch' },
    { run: '$0 log dump data --topic orders --records', does: 'With keys, values and headers' },
    { run: "$0 log dump data --json | jq 'select(.sound | not)'", does: 'What is damaged' },
  ],
  notes:
    'JSON comes as one object per batch. Damaged bytes are shown where they lie, and what follows them is found again. Of a file ' +
    'that the disk cannot read, what comes before the place is shown, then the files after it; the exit code is 5.',
  async run(args) {
    const from = Number(args.from);
    if (!Number.isInteger(from)) throw new UsageError('--from must be an offset');
    const unreadable = new UnreadableFiles();
    const output = new BufferedOutput();
    await withLogs(args, async (folder, logs) => {
      for (const log of partitionsFirst(logs)) {
        for (const segment of log.segments) {
          if (!args.json)
            output.writer.text(`${log.label}  ${segment.logPath}  ${segment.sizeBytes} bytes\n${HEADINGS}`);
          const place = { topic: log.topic, partition: log.partition, file: segment.logPath };
          for await (const piece of unreadable.piecesOf(folder, log, segment)) {
            if (piece.batch !== null && lastOffset(piece.batch, 0) < from) continue;
            const records = args.records && piece.batch !== null ? await readable(piece.batch) : [];
            output.writer.text(args.json ? jsonLine(piece, place, args.records, records) : textLines(piece, records));
            await output.keepPace();
          }
          if (!args.json) output.writer.text('\n');
        }
      }
      await output.flush();
    });
    unreadable.throwIfAny();
  },
});

/** A record, or why those that follow cannot be read. */
type Readable = LogRecord | { readonly unreadable: string };

async function readable(batch: Buffer): Promise<Readable[]> {
  const records: Readable[] = [];
  try {
    for (const record of await recordsOfAsync(batch)) records.push(record);
  } catch (error) {
    records.push({ unreadable: (error as Error).message });
  }
  return records;
}

const WIDTHS = [12, 10, 24, 9, 7, 6, 20, 24];
const HEADINGS = row([
  'BYTE',
  'BYTES',
  'OFFSETS',
  'RECORDS',
  'CODEC',
  'EPOCH',
  'PRODUCER',
  'LATEST TIMESTAMP',
  'NOTES',
]);

function row(cells: readonly (string | number)[]): string {
  return `  ${cells
    .map((cell, column) => String(cell).padEnd(WIDTHS[column] ?? 0))
    .join(' ')
    .trimEnd()}\n`;
}

function textLines({ position, batch, damage }: ShownPiece, records: readonly Readable[]): string {
  if (batch === null) return row([position, damage.bytes, `DAMAGED: ${visible(damage.what)}`]);
  const notes = [
    ...(timestampType(batch, 0) === 'LogAppendTime' ? ['append time'] : []),
    ...(isTransactional(batch, 0) ? ['transaction'] : []),
    ...(isControl(batch, 0) ? ['control'] : []),
  ];
  const hasProducer = producerId(batch, 0) >= 0;
  const line = row([
    position,
    batch.length,
    `${baseOffset(batch, 0)}-${lastOffset(batch, 0)}`,
    recordCount(batch, 0),
    compressionOf(batch, 0),
    leaderEpoch(batch, 0),
    hasProducer ? `${producerId(batch, 0)}:${producerEpoch(batch, 0)}:${baseSequence(batch, 0)}` : '-',
    timeText(maxTimestamp(batch, 0)),
    notes.join(', '),
  ]);
  return line + records.map(recordLine).join('');
}

function recordLine(record: Readable): string {
  if ('unreadable' in record) return `    unreadable: ${record.unreadable}\n`;
  const headers = record.headers.map(({ key, value }) => ` ${visible(key)}=${bytesText(value)}`).join('');
  const { offset, timestampMs, key, value } = record;
  return `    ${offset}  ${timeText(timestampMs)}  key ${bytesText(key)}  value ${bytesText(value)}${headers && `  headers${headers}`}\n`;
}

function bytesText(bytes: Buffer | null): string {
  return visible(JSON.stringify(jsonBytes(bytes)));
}

function timeText(timestampMs: number): string {
  const time = new Date(timestampMs);
  return timestampMs < 0 || Number.isNaN(time.getTime()) ? '-' : time.toISOString();
}

function jsonLine(
  { position, batch, damage }: ShownPiece,
  place: object,
  withRecords: boolean,
  records: readonly Readable[],
): string {
  if (batch === null)
    return `${JSON.stringify({ ...place, position, bytes: damage.bytes, sound: false, what: damage.what })}\n`;
  return `${JSON.stringify({
    ...place,
    position,
    bytes: batch.length,
    sound: true,
    baseOffset: baseOffset(batch, 0),
    lastOffset: lastOffset(batch, 0),
    count: recordCount(batch, 0),
    compression: compressionOf(batch, 0),
    leaderEpoch: leaderEpoch(batch, 0),
    producerId: producerId(batch, 0),
    producerEpoch: producerEpoch(batch, 0),
    baseSequence: baseSequence(batch, 0),
    timestampType: timestampType(batch, 0),
    maxTimestampMs: maxTimestamp(batch, 0),
    transactional: isTransactional(batch, 0),
    control: isControl(batch, 0),
    crc: storedCrc(batch, 0).toString(16).padStart(8, '0'),
    ...(withRecords && { records: records.map(jsonRecord) }),
  })}\n`;
}

function jsonRecord(record: Readable): object {
  if ('unreadable' in record) return record;
  const { offset, timestampMs, key, value, headers } = record;
  return {
    offset,
    timestampMs,
    key: jsonBytes(key),
    value: jsonBytes(value),
    headers: headers.map((header) => [header.key, jsonBytes(header.value)]),
  };
}
