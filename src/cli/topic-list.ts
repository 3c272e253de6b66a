import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const topicList = defineCommand({
  syntax: 'list',
  describe: 'List the topics',
  positionals: {},
  flags: {
    ...brokerFlags,
    internal: { type: 'boolean', default: false, describe: "The broker's own topics too" },
  },
  examples: [
    { run: '$0 topic list', does: 'Names and numbers of partitions' },
    { run: '$0 topic list --json', does: 'The same, for a script' },
  ],
  async run(args) {
    const topics = await withAdmin(args, (admin) => admin.listTopics({ internal: args.internal }));
    const rows = topics.map(({ name, partitions, id }) => [name, partitions, id] as const);
    if (args.json)
      await writeJson(topics.map(({ name, id, partitions, internal }) => ({ name, id, partitions, internal })));
    else await write(table(['NAME', 'PARTITIONS', 'ID'], rows));
  },
});
