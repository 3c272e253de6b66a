import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { write, writeJson } from './output.ts';
import { UsageError } from './usage-error.ts';

export const topicAddPartitions = defineCommand({
  syntax: 'add-partitions <name>',
  describe: 'Raise the number of partitions',
  positionals: { name: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    to: { type: 'string', demandOption: true, requiresArg: true, describe: 'How many partitions it shall have' },
    'dry-run': { type: 'boolean', default: false, describe: 'Only ask the broker whether it would' },
  },
  examples: [{ run: '$0 topic add-partitions orders --to 6', does: 'Six partitions, whatever there were before' }],
  notes:
    'Records stay where they are, so a key that moves to a new partition parts from its older records.\nThe number can never be lowered.',
  async run(args) {
    const { name, dryRun } = args;
    const to = Number(args.to);
    if (!Number.isInteger(to) || to < 1) throw new UsageError('--to must be a whole number from 1 up');
    await withAdmin(args, (admin) => admin.addPartitions(name, to, { validateOnly: dryRun }));
    if (args.json) await writeJson({ name, partitions: to, dryRun });
    else await write(dryRun ? `${name} could have ${to} partitions\n` : `${name} has ${to} partitions\n`);
  },
});
