import { brokerFlags, defineCommand } from './command.ts';
import { confirm, yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';

export const topicDelete = defineCommand({
  syntax: 'delete <name..>',
  describe: 'Delete topics with all their records',
  positionals: { name: { type: 'string', array: true, demandOption: true } },
  flags: { ...brokerFlags, ...yesFlag },
  examples: [
    { run: '$0 topic delete orders', does: 'Asks first, at a terminal' },
    { run: '$0 topic delete orders --yes', does: 'Does not ask' },
  ],
  async run(args) {
    await confirm(`Delete ${args.name.join(', ')} with all records?`, args.yes);
    await withAdmin(args, async (admin) => {
      for (const name of args.name) {
        await admin.deleteTopic(name);
        if (!args.json) await write(`deleted ${name}\n`);
      }
    });
    if (args.json) await writeJson({ deleted: args.name });
  },
});
