import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const groupList = defineCommand({
  syntax: 'list',
  describe: 'List the groups',
  positionals: {},
  flags: {
    ...brokerFlags,
    state: {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Only groups in this state: Stable, Empty and so on; repeatable',
    },
    type: {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Only groups of this type: classic, consumer and so on; repeatable',
    },
  },
  examples: [
    { run: '$0 group list', does: 'Names, types, states, and the broker in charge of each' },
    { run: '$0 group list --state Empty', does: 'Those that nobody consumes with' },
  ],
  async run(args) {
    const groups = await withAdmin(args, (admin) =>
      admin.groups.list({ states: args.state ?? [], types: args.type ?? [] }),
    );
    if (args.json) return writeJson(groups);
    const rows = groups.map((one) => [one.group, one.type, one.state, one.protocolType, one.coordinator]);
    await write(table(['GROUP', 'TYPE', 'STATE', 'PROTOCOL', 'COORDINATOR'], rows));
  },
});
