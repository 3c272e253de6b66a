import type { Fault } from '../base/faults.ts';
import type { Admin } from '../client/admin.ts';
import { brokerFlags, defineCommand } from './command.ts';
import { confirm, yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { countText, faultJson, known, outcomesOr, reportFaults } from './group-output.ts';
import { write, writeJson } from './output.ts';
import { choosePartitions, topicFlag } from './topic-choice.ts';

export const groupDelete = defineCommand({
  syntax: 'delete <group..>',
  describe: 'Delete groups with their offsets, or only offsets',
  positionals: { group: { type: 'string', array: true, demandOption: true } },
  flags: { ...brokerFlags, ...yesFlag, ...topicFlag },
  examples: [
    { run: '$0 group delete billing', does: 'Asks first, at a terminal' },
    { run: '$0 group delete billing --topic orders --yes', does: 'Only what it has committed of a topic' },
  ],
  notes:
    'A group with members is refused: stop its consumers first. With --topic, so is a topic that its members are subscribed to.',
  async run(args) {
    const what = args.topic === undefined ? ' with all offsets' : `: offsets of ${args.topic.join(', ')}`;
    await confirm(`Delete ${args.group.join(', ')}${what}?`, args.yes);
    await withAdmin(args, (admin) =>
      args.topic === undefined ? deleteGroups(admin, args) : deleteOffsets(admin, args),
    );
  },
});

interface Choice {
  readonly group: string[];
  readonly topic?: readonly string[] | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** One that cannot be deleted keeps none of the others. @throws Fault of the first that could not be */
async function deleteGroups(admin: Admin, { group: names, json }: Choice): Promise<void> {
  const outcomes = await admin.groups.delete(names);
  const faultOf = (group: string): Fault | null => outcomes.get(group) ?? null;
  const groups = names.map((group) => ({ group, fault: faultJson(faultOf(group)) }));
  if (json) await writeJson({ groups });
  else for (const { group, fault } of groups) if (fault === null) await write(`deleted ${group}\n`);
  const failed = names.map(faultOf).find((fault) => fault !== null);
  if (failed !== undefined) throw failed;
}

async function deleteOffsets(admin: Admin, { group: names, topic, json, verbose }: Choice): Promise<void> {
  const partitions = (await choosePartitions(admin, topic))!;
  const committed = await admin.groups.offsets(names, { partitions });
  const groups = [];
  for (const group of names) {
    const there = known(committed.get(group), group).filter(({ offset }) => offset >= 0);
    groups.push({ group, outcomes: await outcomesOr(there, () => admin.groups.deleteOffsets(group, there)) });
  }
  const shown = groups.map(({ group, outcomes }) => ({
    group,
    offsets: outcomes.map((one) => ({ ...one, fault: faultJson(one.fault) })),
  }));
  if (json) await writeJson({ groups: shown });
  for (const { group, outcomes } of groups) {
    const done = outcomes.filter(({ fault }) => fault === null).length;
    if (!json) await write(`deleted ${countText(done, 'offset')} of ${group}\n`);
  }
  reportFaults(
    groups.flatMap(({ outcomes }) => outcomes),
    verbose,
  );
}
