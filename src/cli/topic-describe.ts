import type { Admin } from '../client/admin.ts';
import type { PartitionMetadata } from '../client/metadata.ts';
import type { Setting } from '../client/settings.ts';
import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';
import { bytesText, table } from './table.ts';

interface PartitionState extends PartitionMetadata {
  readonly earliest: number;
  readonly latest: number;
  /** Of the leader's copy; null where the broker does not say. */
  readonly bytes: number | null;
}

interface TopicState {
  readonly name: string;
  readonly id: string | null;
  readonly internal: boolean;
  readonly partitions: readonly PartitionState[];
  readonly settings: readonly Setting[];
}

export const topicDescribe = defineCommand({
  syntax: 'describe <name>',
  describe: "Show a topic's partitions, offsets, bytes and settings",
  positionals: { name: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    all: { type: 'boolean', default: false, describe: 'Settings at their default too' },
  },
  examples: [
    { run: '$0 topic describe orders', does: 'What was set, and where the partitions stand' },
    { run: '$0 topic describe orders --all', does: 'Every setting, with where its value comes from' },
  ],
  async run(args) {
    const topic = await withAdmin(args, (admin) => describe(admin, args.name));
    const settings = topic.settings.filter((setting) => args.all || setting.source === 'topic');
    if (args.json) await writeJson({ ...topic, settings });
    else await write(textOf({ ...topic, settings }));
  },
});

async function describe(admin: Admin, name: string): Promise<TopicState> {
  const { id, internal, partitions } = await admin.describeTopic(name);
  const [earliest, latest, settings, bytes] = await Promise.all([
    admin.offsets(name, 'earliest'),
    admin.offsets(name, 'latest'),
    admin.settings({ topic: name }),
    bytesByPartition(admin, name, partitions),
  ]);
  return {
    name,
    id,
    internal,
    partitions: partitions.map((partition) => ({
      ...partition,
      earliest: earliest.get(partition.partition)!.offset,
      latest: latest.get(partition.partition)!.offset,
      bytes: bytes.get(partition.partition) ?? null,
    })),
    settings: settings.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

async function bytesByPartition(
  admin: Admin,
  topic: string,
  partitions: readonly PartitionMetadata[],
): Promise<Map<number, number>> {
  const leaders = [...new Set(partitions.map(({ leader }) => leader))].filter((leader) => leader >= 0);
  const bytes = new Map<number, number>();
  for (const dir of await admin.logDirs(leaders)) {
    for (const one of dir.partitions) {
      const leads = partitions[one.partition]?.leader === dir.broker;
      if (one.topic === topic && leads) bytes.set(one.partition, one.bytes);
    }
  }
  return bytes;
}

function textOf({ name, id, partitions, settings }: TopicState): string {
  const total = partitions.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  const headings = ['PARTITION', 'LEADER', 'EPOCH', 'REPLICAS', 'IN SYNC', 'EARLIEST', 'LATEST', 'BYTES'];
  const rows = partitions.map((one) => [
    one.partition,
    one.leader,
    one.leaderEpoch,
    one.replicas.join(','),
    one.inSyncReplicas.join(','),
    one.earliest,
    one.latest,
    one.bytes,
  ]);
  const settingRows = settings.map((one) => [one.name, one.secret ? '(secret)' : one.value, one.source]);
  const settingsText =
    settings.length === 0
      ? 'no settings of its own; --all shows the defaults\n'
      : table(['SETTING', 'VALUE', 'SOURCE'], settingRows);
  return `topic ${name}, id ${id ?? '-'}, ${bytesText(total)}\n\n${table(headings, rows)}\n${settingsText}`;
}
