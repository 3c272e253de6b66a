import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { faultJson, known, noOffsetsText, reportFaults } from './group-output.ts';
import { note, write, writeJson } from './output.ts';
import { table } from './table.ts';
import { choosePartitions, topicFlag } from './topic-choice.ts';

export const groupOffsets = defineCommand({
  syntax: 'offsets <group>',
  describe: 'Show the offsets that a group has committed',
  positionals: { group: { type: 'string', demandOption: true } },
  flags: { ...brokerFlags, ...topicFlag },
  examples: [
    { run: '$0 group offsets billing', does: 'Where it goes on in each partition' },
    { run: '$0 group offsets billing --topic orders:0,2', does: 'In these two' },
  ],
  notes:
    'OFFSET is that of the next record to be handled, - where none is committed. METADATA is what the consumer ' +
    'added. A group that is not there has committed nothing, which is said, and is no failure.',
  async run(args) {
    const { offsets, none } = await withAdmin(args, async (admin) => {
      const partitions = await choosePartitions(admin, args.topic);
      const found = await admin.groups.offsets([args.group], partitions === null ? {} : { partitions });
      const ofGroup = known(found.get(args.group), args.group);
      const hasNone = ofGroup.every(({ offset, fault }) => offset < 0 && fault === null);
      return { offsets: ofGroup, none: hasNone ? await noOffsetsText(admin, args.group) : null };
    });
    if (args.json) {
      const rows = offsets.map((one) => ({
        ...one,
        offset: one.offset < 0 ? null : one.offset,
        fault: faultJson(one.fault),
      }));
      await writeJson({ group: args.group, offsets: rows });
    } else {
      const rows = offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => [
        topic,
        partition,
        offset < 0 ? null : offset,
        leaderEpoch < 0 ? null : leaderEpoch,
        metadata || null,
      ]);
      await write(table(['TOPIC', 'PARTITION', 'OFFSET', 'EPOCH', 'METADATA'], rows));
    }
    if (none !== null) note(none);
    reportFaults(offsets, args.verbose);
  },
});
