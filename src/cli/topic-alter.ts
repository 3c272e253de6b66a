import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { parsePairs } from './key-value.ts';
import { write, writeJson } from './output.ts';
import { UsageError } from './usage-error.ts';

export const topicAlter = defineCommand({
  syntax: 'alter <name>',
  describe: "Change a topic's settings",
  positionals: { name: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    set: { type: 'string', array: true, requiresArg: true, default: [], describe: 'A setting, NAME=VALUE; repeatable' },
    unset: {
      type: 'string',
      array: true,
      requiresArg: true,
      default: [],
      describe: 'A setting that returns to its default; repeatable',
    },
    'dry-run': { type: 'boolean', default: false, describe: 'Only ask the broker whether it would' },
  },
  examples: [
    { run: '$0 topic alter logs --set retention.ms=86400000', does: 'Keep records for a day' },
    { run: '$0 topic alter logs --unset retention.ms', does: "The broker's default again" },
  ],
  async run(args) {
    const set = Object.fromEntries(parsePairs(args.set, '--set'));
    const { name, unset, dryRun } = args;
    if (args.set.length + unset.length === 0)
      throw new UsageError('nothing to change; give --set NAME=VALUE or --unset NAME');
    await withAdmin(args, (admin) => admin.alterSettings({ topic: name }, { set, unset }, { validateOnly: dryRun }));
    if (args.json) await writeJson({ name, set, unset, dryRun });
    else await write(dryRun ? `${name} could be changed\n` : `changed ${name}\n`);
  },
});
