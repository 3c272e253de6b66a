import { systemClock } from '../base/clock.ts';
import type { Admin } from '../client/admin.ts';
import { brokerFlags, defineCommand, partitionFlag } from './command.ts';
import { confirm, yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { parseMomentMs } from './duration.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

type Bounds = Map<number, number | 'latest'>;

export const topicTrim = defineCommand({
  syntax: 'trim <name>',
  describe: "Drop a topic's oldest records, for good",
  positionals: { name: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    ...yesFlag,
    ...partitionFlag,
    before: { type: 'string', requiresArg: true, describe: 'Drop what lies before this offset; "end" drops all' },
    'before-time': {
      type: 'string',
      requiresArg: true,
      describe: 'Drop what is older: 2026-05-01T12:00:00Z, milliseconds since 1970, or -7d',
    },
  },
  examples: [
    { run: '$0 topic trim orders -p 0 --before 1000', does: 'Partition 0 begins at offset 1000' },
    { run: '$0 topic trim orders --before-time -7d', does: 'Only the last week stays' },
    { run: '$0 topic trim orders --before end', does: 'Every record goes, the topic stays' },
  ],
  notes:
    'Whole files go at once, and with them their room on the disk; records before the offset that share a file with later ones are only hidden. ' +
    'Only topics whose cleanup.policy includes delete can be trimmed, on Apache Kafka as well.',
  async run(args) {
    const { name, before, beforeTime, partition: partitions } = args;
    if ((before === undefined) === (beforeTime === undefined)) {
      throw new UsageError('give either --before OFFSET or --before-time MOMENT');
    }
    const timeMs = beforeTime === undefined ? null : parseMomentMs(beforeTime, systemClock.wallMs(), '--before-time');
    const offset = before === undefined ? null : offsetOf(before);
    const starts = await withAdmin(args, async (admin) => {
      const all = (await admin.describeTopic(name)).partitions.map((one) => one.partition);
      const chosen = partitions ?? all;
      const bounds = timeMs === null ? fixedBounds(chosen, offset!) : await boundsAt(admin, name, chosen, timeMs);
      await confirm(`Drop records of ${name} before ${boundsText(bounds)}?`, args.yes);
      return admin.trim(name, bounds);
    });
    const rows = [...starts].sort(([a], [b]) => a - b);
    if (args.json)
      await writeJson({ name, partitions: rows.map(([partition, earliest]) => ({ partition, earliest })) });
    else await write(table(['PARTITION', 'EARLIEST'], rows));
  },
});

function offsetOf(text: string): number | 'latest' {
  if (text === 'end') return 'latest';
  const offset = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw new UsageError(`--before: "${text}" is no offset; write a number, or end`);
}

function fixedBounds(partitions: readonly number[], offset: number | 'latest'): Bounds {
  return new Map(partitions.map((partition) => [partition, offset]));
}

/** Where a partition has no record that young, all of its records go. */
async function boundsAt(admin: Admin, name: string, partitions: readonly number[], timeMs: number): Promise<Bounds> {
  const found = await admin.offsets(name, { time: timeMs }, { partitions });
  return new Map([...found].map(([partition, { offset }]) => [partition, offset < 0 ? 'latest' : offset]));
}

function boundsText(bounds: Bounds): string {
  return [...bounds]
    .map(([partition, bound]) => `${bound === 'latest' ? 'the end' : bound} in partition ${partition}`)
    .join(', ');
}
