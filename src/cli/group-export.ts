import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { exitCodes } from './exit-codes.ts';
import { known, noOffsetsText } from './group-output.ts';
import { offsetsCsv, offsetsJson } from './offset-file.ts';
import { note, write } from './output.ts';
import { choosePartitions, topicFlag } from './topic-choice.ts';

export const groupExport = defineCommand({
  syntax: 'export <group..>',
  describe: "Print a group's offsets as a file that import and seek read",
  positionals: { group: { type: 'string', array: true, demandOption: true } },
  flags: { ...brokerFlags, ...topicFlag },
  examples: [
    { run: '$0 group export billing > billing.csv', does: 'Lines of TOPIC,PARTITION,OFFSET' },
    { run: '$0 group export billing --json > billing.json', does: 'With epochs and metadata' },
    { run: '$0 group export billing shipping', does: 'Lines of GROUP,TOPIC,PARTITION,OFFSET' },
  ],
  notes: 'The lines are those of kafka-consumer-groups --reset-offsets --from-file and --export.',
  async run(args) {
    const { groups, missing } = await withAdmin(args, async (admin) => {
      const partitions = await choosePartitions(admin, args.topic);
      const found = await admin.groups.offsets(args.group, partitions === null ? {} : { partitions });
      const all = args.group.map((group) => ({
        group,
        offsets: known(found.get(group), group).filter(({ offset, fault }) => {
          // A file that lacks an offset would be taken for the whole.
          if (fault !== null) throw fault;
          return offset >= 0;
        }),
      }));
      const empty = all.filter(({ offsets }) => offsets.length === 0);
      const texts = await Promise.all(empty.map(({ group }) => noOffsetsText(admin, group)));
      return { groups: all.filter(({ offsets }) => offsets.length > 0), missing: texts };
    });
    if (groups.length > 0) await write(args.json ? offsetsJson(groups) : offsetsCsv(groups, args.group.length > 1));
    for (const text of missing) {
      // A file that lacks a group would be taken for the whole.
      note(text);
      process.exitCode = exitCodes.refused;
    }
  },
});
