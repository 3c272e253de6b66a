import type { GroupDescription } from '../client/group-description.ts';
import type { PartitionLag } from '../client/group-lag.ts';
import { brokerFlags, defineCommand } from './command.ts';
import { withAdmin } from './connect.ts';
import { lagJson, lagTable, totalText } from './group-lag.ts';
import { membersTable } from './group-members.ts';
import { countText, describeGroup, ofThoseThere, reportFaults } from './group-output.ts';
import { write, writeJson } from './output.ts';

export const groupDescribe = defineCommand({
  syntax: 'describe <group..>',
  describe: "Show a group's state, members, offsets and lag",
  positionals: { group: { type: 'string', array: true, demandOption: true } },
  flags: brokerFlags,
  examples: [
    { run: '$0 group describe billing', does: 'All there is to know of it' },
    { run: '$0 group describe billing --json', does: 'The same, for a script' },
  ],
  async run(args) {
    const groups = await withAdmin(args, async (admin) => {
      return ofThoseThere(args.group, args.verbose, async (group) => {
        return { ...(await describeGroup(admin, group)), lag: await admin.groups.lag(group) };
      });
    });
    if (args.json) await writeJson(groups.map((one) => ({ ...one, lag: lagJson(one.lag) })));
    else await write(groups.map(textOf).join('\n'));
    reportFaults(
      groups.flatMap(({ lag }) => lag),
      args.verbose,
    );
  },
});

function textOf(described: GroupDescription & { lag: readonly PartitionLag[] }): string {
  const { group, type, state, assignor, groupEpoch, assignmentEpoch, members, lag } = described;
  const facts = [
    `group ${group}`,
    type,
    state,
    countText(members.length, 'member'),
    ...(assignor === '' ? [] : [`assignor ${assignor}`]),
    ...(groupEpoch === null ? [] : [`epoch ${groupEpoch}, assigned at ${assignmentEpoch}`]),
  ];
  const tables = [lag.length === 0 ? 'no offsets committed\n' : `${lagTable(lag)}${totalText(lag)}`];
  if (members.length > 0) tables.push(membersTable(described));
  return `${facts.join(', ')}\n\n${tables.join('\n')}`;
}
