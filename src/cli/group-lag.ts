import { systemClock } from '../base/clock.ts';
import type { Admin } from '../client/admin.ts';
import type { PartitionLag } from '../client/group-lag.ts';
import { brokerFlags, defineCommand, type Values } from './command.ts';
import { withAdmin } from './connect.ts';
import { durationText, parseDurationMs } from './duration.ts';
import { countText, faultJson, memberText, ofThoseThere, reportFaults } from './group-output.ts';
import { write, writeJson } from './output.ts';
import { type Cell, table } from './table.ts';
import { UsageError } from './usage-error.ts';
import { watching } from './watch.ts';

const flags = {
  ...brokerFlags,
  by: {
    type: 'string',
    choices: ['partition', 'topic', 'member'],
    requiresArg: true,
    default: 'partition',
    describe: 'A line for each of these',
  },
  watch: { type: 'boolean', default: false, describe: 'Show it again and again until Ctrl-C' },
  interval: { type: 'string', requiresArg: true, default: '2s', describe: 'With --watch, how often' },
} as const;

export const groupLag = defineCommand({
  syntax: 'lag <group..>',
  describe: 'Show how far a group is behind, in records and in time',
  positionals: { group: { type: 'string', array: true, demandOption: true } },
  flags,
  examples: [
    { run: '$0 group lag billing', does: 'Each partition, and who has it' },
    { run: '$0 group lag billing --by member --watch', does: 'Each member, every 2 seconds' },
    { run: '$0 group lag billing --json', does: 'For a script or an alarm' },
  ],
  notes:
    'LAG is the number of records from the committed offset to the end, as kafka-consumer-groups counts it.\n' +
    'BEHIND is how long the oldest record that is not handled has been waiting, by its timestamp.\n' +
    '- stands for what is not known: no offset is committed.',
  async run(args) {
    const intervalMs = parseDurationMs(args.interval, '--interval');
    if (intervalMs === 0) throw new UsageError('--interval must be longer than 0');
    await withAdmin(args, (admin) => (args.watch ? watching(intervalMs, () => show(admin, args)) : show(admin, args)));
  },
});

async function show(
  admin: Admin,
  args: Values<typeof flags> & { group: string[]; json: boolean; verbose: boolean },
): Promise<void> {
  const groups = await ofThoseThere(args.group, args.verbose, async (group) => {
    return { group, partitions: await admin.groups.lag(group) };
  });
  if (args.json) {
    const shown = groups.map(({ group, partitions }) => ({
      group,
      ...totalOf(partitions),
      partitions: lagJson(partitions),
    }));
    await writeJson({ atMs: systemClock.wallMs(), groups: shown });
  } else {
    const texts = groups.map(({ group, partitions }) => {
      const rows = args.by === 'partition' ? lagTable(partitions) : sumTable(partitions, args.by);
      return `group ${group}\n\n${rows}${totalText(partitions)}`;
    });
    await write(texts.join('\n'));
  }
  reportFaults(
    groups.flatMap(({ partitions }) => partitions),
    args.verbose,
  );
}

export function lagTable(partitions: readonly PartitionLag[]): string {
  const rows = partitions.map((one) => [
    one.topic,
    one.partition,
    one.offset,
    one.latest,
    one.records,
    behindText(one.behindMs),
    one.member === null ? null : memberText(one.member),
    one.member?.host ?? null,
  ]);
  return table(['TOPIC', 'PARTITION', 'OFFSET', 'LATEST', 'LAG', 'BEHIND', 'MEMBER', 'HOST'], rows);
}

function sumTable(partitions: readonly PartitionLag[], by: 'topic' | 'member'): string {
  const sums = new Map<string, PartitionLag[]>();
  for (const one of partitions) {
    const key = by === 'topic' ? one.topic : one.member === null ? '' : memberText(one.member);
    sums.set(key, [...(sums.get(key) ?? []), one]);
  }
  const rows = [...sums].map(([key, ofKey]): Cell[] => {
    const { records, behindMs } = totalOf(ofKey);
    return [key || '(nobody)', ofKey.length, records, behindText(behindMs)];
  });
  return table([by.toUpperCase(), 'PARTITIONS', 'LAG', 'BEHIND'], rows);
}

interface Total {
  /** Of the partitions where it is known. */
  readonly records: number;
  /** The longest of them. */
  readonly behindMs: number | null;
}

function totalOf(partitions: readonly PartitionLag[]): Total {
  const times = partitions.flatMap(({ behindMs }) => (behindMs === null ? [] : [behindMs]));
  return {
    records: partitions.reduce((sum, { records }) => sum + (records ?? 0), 0),
    behindMs: times.length === 0 ? null : Math.max(...times),
  };
}

export function totalText(partitions: readonly PartitionLag[]): string {
  const { records, behindMs } = totalOf(partitions);
  return `\n${countText(records, 'record')} behind${behindMs ? `, the oldest for ${durationText(behindMs)}` : ''}\n`;
}

function behindText(ms: number | null): string | null {
  return ms === null ? null : durationText(ms);
}

/** Members are named, not described again at each partition. */
export function lagJson(partitions: readonly PartitionLag[]): object[] {
  return partitions.map(({ member, fault, ...rest }) => ({
    ...rest,
    member:
      member === null
        ? null
        : { memberId: member.memberId, instanceId: member.instanceId, clientId: member.clientId, host: member.host },
    fault: faultJson(fault),
  }));
}
