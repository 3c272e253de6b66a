import type { PlaceOfOffset, SegmentsOfPartition } from '../client/segments.ts';
import { type BrokerChoice, withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';
import { bytesText, table, visible } from './table.ts';
import { UsageError } from './usage-error.ts';

interface FilesChoice extends BrokerChoice {
  readonly topic: string;
  readonly partition?: readonly number[] | undefined;
  readonly time?: string | undefined;
  readonly segments: boolean;
  readonly at?: number | undefined;
  readonly json: boolean;
}

/** Shows the segments of a topic's partitions, and where in them an offset lies. @throws UsageError, Fault notSupportedByBroker */
export async function showFiles(args: FilesChoice): Promise<void> {
  const { topic, at, segments: shown } = args;
  if (args.time !== undefined) throw new UsageError('--time says an offset; give that to --at then');
  if (at !== undefined && !(Number.isSafeInteger(at) && at >= 0)) {
    throw new UsageError('--at must be a whole number from 0 up');
  }
  const described = await withAdmin(args, async (admin) => {
    const partitions = args.partition ?? (await admin.describeTopic(topic)).partitions.map((one) => one.partition);
    const asks = partitions.map((partition) =>
      admin.segments(topic, partition, at === undefined ? {} : { offset: at }),
    );
    return Promise.all(asks);
  });
  if (args.json) {
    const partitions = described.map(({ partition, folder, segments, damaged, place }) => ({
      partition,
      folder,
      ...(shown && { segments, damaged }),
      ...(at !== undefined && { place }),
    }));
    return writeJson({ topic, ...(at !== undefined && { offset: at }), partitions });
  }
  const texts = described.map((one) => {
    const parts = [`${topic}, partition ${one.partition}, in ${one.folder}\n`];
    if (shown) parts.push(segmentsTable(one));
    if (shown && one.damaged.length > 0) parts.push(damagedTable(one));
    if (at !== undefined) parts.push(placeText(at, one.place!));
    return parts.join('\n');
  });
  await write(texts.join('\n'));
}

function segmentsTable({ segments }: SegmentsOfPartition): string {
  const rows = segments.map((one) => [
    fileName(one.baseOffset),
    one.baseOffset,
    one.endNext,
    bytesText(one.sizeBytes),
    one.maxTimestampMs < 0 ? null : new Date(one.maxTimestampMs).toISOString(),
    one.offsetEntries,
    one.timeEntries,
  ]);
  return table(['SEGMENT', 'EARLIEST', 'NEXT', 'SIZE', 'YOUNGEST', 'INDEX', 'TIME INDEX'], rows);
}

function damagedTable({ damaged }: SegmentsOfPartition): string {
  const rows = damaged.map((one) => [
    `${one.firstOffset} to ${one.nextOffset - 1}`,
    fileName(one.segment),
    one.position,
    bytesText(one.sizeBytes),
    new Date(one.foundAtMs).toISOString(),
    visible(one.what),
  ]);
  return table(['DAMAGED OFFSETS', 'IN', 'AT BYTE', 'SIZE', 'FOUND', 'WHAT'], rows);
}

function placeText(offset: number, { segment, offsetEntry, timeEntry, batch }: PlaceOfOffset): string {
  const rows: [string, string][] = [
    ['offset', String(offset)],
    ['segment', fileName(segment)],
    [
      'index entry',
      offsetEntry === null
        ? 'none before it: the file is read from its start'
        : `offset ${offsetEntry.offset} at byte ${offsetEntry.position}`,
    ],
    [
      'time index entry',
      timeEntry === null
        ? 'none before it'
        : `up to offset ${timeEntry.offset} nothing is younger than ${new Date(timeEntry.timestampMs).toISOString()}`,
    ],
  ];
  if (batch === null) rows.push(['batch', 'none: the record is gone']);
  else {
    rows.push(
      [
        'batch',
        `offsets ${batch.baseOffset} to ${batch.lastOffset}, at byte ${batch.position}, ${bytesText(batch.sizeBytes)}`,
      ],
      ['records', `${batch.records}, compression ${batch.compression}, leader epoch ${batch.leaderEpoch}`],
      ['youngest', batch.maxTimestampMs < 0 ? '-' : new Date(batch.maxTimestampMs).toISOString()],
    );
  }
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

function fileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`;
}
