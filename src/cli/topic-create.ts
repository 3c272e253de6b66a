import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { parsePairs } from './key-value.ts';
import { write, writeJson } from './output.ts';

export const topicCreate = defineCommand({
  syntax: 'create <name..>',
  describe: 'Make topics',
  positionals: {
    name: { type: 'string', array: true, demandOption: true, describe: 'Letters, digits, ".", "_" and "-"' },
  },
  flags: {
    ...brokerFlags,
    partitions: { type: 'number', requiresArg: true, describe: "How many partitions [default: the broker's]" },
    replicas: { type: 'number', requiresArg: true, describe: "How many copies, on a cluster [default: the broker's]" },
    set: {
      type: 'string',
      array: true,
      requiresArg: true,
      default: [],
      describe: 'A setting of the topic, NAME=VALUE; repeatable',
    },
    'if-missing': { type: 'boolean', default: false, describe: 'A topic that is there already is no failure' },
    'dry-run': { type: 'boolean', default: false, describe: 'Only ask the broker whether it would' },
  },
  examples: [
    { run: '$0 topic create orders --partitions 3', does: 'Three partitions' },
    { run: '$0 topic create clicks --set flush.messages=10000 --set flush.ms=1000', does: 'Synced once a second' },
    { run: '$0 topic create logs --set retention.ms=604800000', does: 'Keep records for a week' },
  ],
  async run(args) {
    const settings = Object.fromEntries(parsePairs(args.set, '--set'));
    const { partitions, replicas, ifMissing, dryRun } = args;
    await withAdmin(args, async (admin) => {
      const created: string[] = [];
      for (const name of args.name) {
        const topic = {
          name,
          settings,
          ...(partitions !== undefined && { partitions }),
          ...(replicas !== undefined && { replicationFactor: replicas }),
        };
        try {
          await admin.createTopic(topic, { validateOnly: dryRun });
          created.push(name);
          if (!args.json) await write(dryRun ? `${name} could be created\n` : `created ${name}\n`);
        } catch (error) {
          if (!(ifMissing && (error as { fault?: string }).fault === 'topicExists')) throw error;
          if (!args.json) await write(`${name} is there already\n`);
        }
      }
      if (args.json) await writeJson({ created, dryRun });
    });
  },
});
