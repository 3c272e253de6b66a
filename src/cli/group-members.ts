import type { GroupDescription } from '../client/group-description.ts';
import { brokerFlags, defineCommand } from './command.ts';
import { confirm, yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { describeGroup, faultJson, memberText, partitionsText } from './group-output.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const groupMembers = defineCommand({
  syntax: 'members <group>',
  describe: "Show a group's members and what each has, or make members leave",
  positionals: { group: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    ...yesFlag,
    remove: {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Make the member of this member id or instance id leave; repeatable',
    },
  },
  examples: [
    { run: '$0 group members billing', does: 'Who consumes, from where, and which partitions' },
    { run: '$0 group members billing --remove desk-1', does: 'A static member that will not come back' },
  ],
  notes:
    'TARGET is what a member of a group of the type "consumer" is to have once others have let go of it.\n' +
    'A member that is removed while it runs joins again.',
  async run(args) {
    if (args.remove !== undefined) return remove(args, args.group, args.remove);
    const group = await withAdmin(args, (admin) => describeGroup(admin, args.group));
    if (args.json) await writeJson(group);
    else await write(membersTable(group));
  },
});

export function membersTable({ type, members }: GroupDescription): string {
  const isConsumer = type === 'consumer';
  const headings = ['MEMBER', 'CLIENT', 'HOST', ...(isConsumer ? ['EPOCH'] : []), 'PARTITIONS'];
  const rows = members.map((member) => [
    memberText(member),
    member.clientId,
    member.host,
    ...(isConsumer ? [member.memberEpoch] : []),
    partitionsText(member.assignment) || null,
    ...(isConsumer ? [partitionsText(member.targetAssignment ?? []) || null] : []),
  ]);
  return table(isConsumer ? [...headings, 'TARGET'] : headings, rows);
}

async function remove(
  args: { broker: string; timeout: string; yes: boolean; json: boolean },
  group: string,
  names: readonly string[],
): Promise<void> {
  await confirm(`Make ${names.join(', ')} leave group ${group}?`, args.yes);
  const outcomes = await withAdmin(args, async (admin) => {
    const { members } = await describeGroup(admin, group);
    const isStatic = (name: string): boolean => members.some(({ instanceId }) => instanceId === name);
    const removed = await admin.groups.removeMembers(
      group,
      names.map((name) => (isStatic(name) ? { instanceId: name } : { memberId: name })),
    );
    return removed.map(({ fault }, index) => ({ member: names[index]!, fault }));
  });
  if (args.json) await writeJson({ group, removed: outcomes.map((one) => ({ ...one, fault: faultJson(one.fault) })) });
  const failed = outcomes.find(({ fault }) => fault !== null);
  if (!args.json) for (const { member, fault } of outcomes) if (fault === null) await write(`removed ${member}\n`);
  if (failed !== undefined) throw failed.fault;
}
